"""Verbs of the command line that make, check and cut data sets."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from datasets.phantom.renderer import Renderer
from model.anatomy import Laterality, View

app: Final = typer.Typer()
data_app: Final = typer.Typer(help="Labelled data sets: import, check, split, export.", no_args_is_help=True)
app.add_typer(data_app, name="data")


def say(message: str) -> None:
    """Talk goes to stderr; stdout is for results."""
    typer.echo(message, err=True)


def lacking(what: str | None, extra: str) -> ValueError:
    """The error of a verb whose extra is not installed, with the cure."""
    return ValueError(f"{what} is missing: install the extra with  pip install -e '.[{extra}]'")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")],
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many: 100, or 120 patients of a trial.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="First seed; each phantom has its own. 0 without it.")] = None,
    view: Annotated[View | None, typer.Option(help="Only this view.")] = None,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM files instead of a data set.")] = False,
    cine: Annotated[int, typer.Option("--cine", min=0, help="Frames of a cine for each phantom.")] = 0,
    wave: Annotated[bool, typer.Option("--wave", help="Through a wave simulator, seconds a frame.")] = False,
    renderer: Annotated[Renderer | None, typer.Option(help="By this one only, instead of both.")] = None,
    trial: Annotated[bool, typer.Option("--trial", help="A trial of -n patients in three groups, as DICOM.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores without it.")] = None,
) -> None:
    """Labelled synthetic sonograms with exact truth.  Example: hipsono phantom -n 300 --seed 1000000 -o data/exam"""
    if trial:
        from datasets.phantom.trial_write import TrialOrder, write_trial

        if view or dicom or wave or renderer:
            raise ValueError("--trial writes DICOM cines of one view: leave out --view, --dicom, --wave and --renderer")
        studies = write_trial(TrialOrder.asked(n, seed, cine), out, workers)
        say(f"{studies} studies and design.csv in {out}; next: hipsono grade {out / 'studies'} -o {out / 'graded'}")
        return
    from datasets.phantom.write import PhantomOrder, write_phantoms

    written = write_phantoms(PhantomOrder(n or 100, seed or 0, view, cine, dicom, wave, renderer), out, workers)
    say(f"{written} phantoms in {out}")


@data_app.command("check")
def data_check(folder: Path) -> None:
    """Every defect of a data set, named with its file.  Example: hipsono data check data/exam"""
    from datasets.store import check_store

    defects = check_store(folder)
    for defect in defects:
        sys.stdout.write(f"{defect}\n")
    say(f"{folder}: {len(defects)} defects")
    raise SystemExit(1 if defects else 0)


@data_app.command("import")
def data_import(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures, DICOM files or videos.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Data set folder to write.")],
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of mask PNGs named as the pictures; of a cine NAME-0.png, NAME-1.png."),
    ] = None,
    classes: Annotated[str, typer.Option(help="What a mask's values mean: 2=vessel,3=psoas_tendon.")] = "",
    view: Annotated[View, typer.Option(help="View of all frames.")] = View.OTHER,
    patient: Annotated[
        str, typer.Option(help="Pattern that finds the patient in a file's path; without it DICOM's PatientID.")
    ] = "",
    table: Annotated[
        Path | None,
        typer.Option(help="CSV of file, patient, view, spacing_mm, age_years, side, gsus, pdus, aiis_x, aiis_y ..."),
    ] = None,
    spacing_mm: Annotated[str | None, typer.Option(help="ROW,COL in mm per pixel of all frames.")] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of all hips.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of all patients.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the pictures.")] = "",
    provenance: Annotated[str, typer.Option(help="Where the pictures come from.")] = "",
) -> None:
    """Make a data set.  Example: hipsono data import scans --masks drawn --classes 2=vessel -o data/scans"""
    from datasets.files import FrameOptions, parse_spacing
    from datasets.importing import ImportPlan, import_samples, parse_classes
    from datasets.label_table import read_label_table
    from datasets.store import write_store

    known = FrameOptions(parse_spacing(spacing_mm) if spacing_mm else None, laterality, age_years)
    labels = None if table is None else read_label_table(table, pictures)
    plan = ImportPlan(pictures, masks, parse_classes(classes), view, patient, known, labels)
    written = write_store(import_samples(plan), out, provenance=provenance or str(pictures), licence=licence)
    say(f"{written} frames in {out}")


@data_app.command("split")
def data_split(
    folder: Path,
    out: Annotated[Path, typer.Option("-o", "--out", help="JSON file to write.")],
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    fractions: Annotated[str, typer.Option(help="Shares of train, validation, calibration.")] = "0.8,0.1,0.1",
) -> None:
    """Split by patient, look-alikes kept together.  Example: hipsono data split data/scans -o split.json"""
    from datasets.split import parse_fractions, split_patients, write_split
    from datasets.store import open_store

    split = split_patients(open_store(folder), parse_fractions(fractions), seed)
    write_split(split, out)
    say(f"{len(split.train)} train, {len(split.validation)} validation, {len(split.calibration)} calibration -> {out}")


@data_app.command("export")
def data_export(
    folder: Path,
    split: Annotated[Path, typer.Option(help="JSON file of `hipsono data split`.")],
    part: Annotated[str, typer.Option(help="train, validation or calibration.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Data set folder to write.")],
) -> None:
    """One part of a split.  Example: hipsono data export data/scans --split s.json --part train -o data/t"""
    from datasets.split import part_samples, read_split
    from datasets.store import open_store, write_store

    store = open_store(folder)
    samples = part_samples(store, read_split(split, store), part)
    written = write_store(samples, out, provenance=store.provenance, licence=store.licence)
    say(f"{written} frames in {out}")
