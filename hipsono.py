"""hipsono: one program, one verb per job. A room is imported only when its verb is used.

Exit 0 done, 1 some inputs failed (they are listed), 2 the call was wrong. Results go to stdout or files, talk goes
to stderr.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

import typer  # noqa: E402

from model.anatomy import Laterality, View  # noqa: E402

app = typer.Typer(
    help="Reads hip ultrasound: structures, landmarks, targets and SOLAR grades. Research use; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Labelled data sets: import, check, split, export.", no_args_is_help=True)
app.add_typer(data_app, name="data")

ProviderName = Literal["cpu", "cuda", "tensorrt", "openvino", "directml"]
ModelOption = Annotated[Path | None, typer.Option("--model", help="ONNX file; the starter model without it.")]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(help="Port to listen on.")]


def main() -> None:
    """The entry point: what a user can mend is told in one line, without a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        fail(str(error))


def fail(message: str) -> None:
    """Say what was wrong and end with exit code 2."""
    say(f"hipsono: {message}")
    raise SystemExit(2)


def say(message: str) -> None:
    """Talk goes to stderr; stdout is for results."""
    sys.stderr.write(message + "\n")


def need_training() -> None:
    """Raises SystemExit with the cure where the train extra is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        fail("this verb trains or exports a network: install the extra with  pip install -e '.[train]'")


def need_link() -> None:
    """Raises SystemExit with the cure where the link extra is not installed."""
    try:
        import pyigtl  # noqa: F401
        import pynetdicom  # noqa: F401
    except ImportError:
        fail("this verb speaks OpenIGTLink or DICOM: install the extra with  pip install -e '.[link]'")


@app.command()
def demo(host: HostOption = "127.0.0.1", port: PortOption = 8000) -> None:
    """Serve the viewer with phantom cines of the three hip views playing.  Example: hipsono demo"""
    from serving.demo import run_demo

    run_demo(host, port)


@app.command()
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    model: ModelOption = None,
    provider: Annotated[ProviderName | None, typer.Option(help="What runs the network; cpu without it.")] = None,
) -> None:
    """Serve readings over HTTP and WebSocket.  Example: hipsono serve --port 8080"""
    from serving.app import run_server
    from serving.settings import Settings

    chosen = {name: value for name, value in (("model", model), ("provider", provider)) if value is not None}
    run_server(Settings(host=host, port=port, **chosen))


@app.command()
def read(
    files: Annotated[list[Path], typer.Argument(help="Pictures, DICOM files, videos, or folders of them.")],
    overlay: Annotated[Path | None, typer.Option(help="Folder for annotated pictures.")] = None,
    spacing_mm: Annotated[
        str | None, typer.Option(help="ROW,COL in mm per pixel, for pictures without a scale.")
    ] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    model: ModelOption = None,
) -> None:
    """One Reading a line (JSON) on stdout.  Example: hipsono read study/ --overlay shown/"""
    from serving.batch import ReadOptions, read_files

    options = ReadOptions(model, overlay, spacing_mm, laterality, age_years)
    failures = 0
    for line in read_files(files, options):
        if line.error is None:
            sys.stdout.write(line.text + "\n")
        else:
            failures += not line.skipped
            say(f"{line.source}: {line.error}")
    raise SystemExit(1 if failures else 0)


@app.command()
def grade(
    archive: Annotated[str, typer.Argument(help="A folder, zip, DICOMDIR or file, or dicomweb://HOST/PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables and the page.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that read; a core each without it.")] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster, or auto (extra `cluster`).")] = None,
    sr: Annotated[bool, typer.Option("--sr", help="A DICOM report of each file.")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="A DICOM segmentation of each file.")] = False,
    overlays: Annotated[bool, typer.Option("--overlays", help="Annotated frames as DICOM secondary captures.")] = False,
    spacing_mm: Annotated[
        str | None, typer.Option(help="ROW,COL in mm per pixel, for pictures without a scale.")
    ] = None,
    age_years: Annotated[float | None, typer.Option(help="Age of the patients, where files do not say.")] = None,
    deidentify: Annotated[bool, typer.Option("--deidentify", help="OUT may be given away, less OUT/private.")] = False,
    identity: Annotated[
        Path | None, typer.Option(help="The private folder of an earlier run whose names are to be used again.")
    ] = None,
    model: ModelOption = None,
) -> None:
    """Grade an archive of studies into tables and a page.  Example: hipsono grade studies/ -o graded --sr --seg"""
    try:
        from serving.archive.command import asked_of, grade_archive, identities_for
        from serving.archive.results import asked_results
        from serving.archive.run import Job
    except ImportError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[archive]'")
    from model.runtime import STARTER

    identities = None
    if deidentify or identity is not None:
        try:
            identities = identities_for(out, identity)
        except ModuleNotFoundError as error:
            fail(f"{error.name} is missing: install the extra with  pip install -e '.[deidentify]'")
    asked = asked_of((spacing_mm, age_years), asked_results(sr, seg, overlays), identities)
    job = Job(archive, out, model or STARTER, workers or os.cpu_count() or 1, resume, asked, ray)
    try:
        raise SystemExit(grade_archive(job, say))
    except ModuleNotFoundError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[cluster]'")


@app.command()
def clear(
    out: Annotated[Path, typer.Argument(help="What `hipsono grade --deidentify` wrote.")],
    by: Annotated[str, typer.Option(help="Who decides: it is written down with each decision.")],
    port: PortOption = 8001,
) -> None:
    """Look through withheld pictures and clear them for release.  Example: hipsono clear graded --by 'A. Kim'"""
    try:
        from serving.deidentify.clearing import run_clearing
    except ImportError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[archive,deidentify]'")
    run_clearing(out, by, port, say)


@app.command()
def cohort(
    readings: Annotated[Path, typer.Argument(metavar="OUT", help="The folder that `hipsono grade` wrote.")],
    design: Annotated[Path, typer.Option(help="CSV: patient, group, visit, index_hip; see docs/cohort.md.")],
    report: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page, the tables and the figures.")],
    hip: Annotated[Literal["index", "other"], typer.Option(help="Which hip of a patient is tabled.")] = "index",
    published: Annotated[Path | None, typer.Option(help="CSV of printed summaries to check.")] = None,
) -> None:
    """Tables and plots of a trial.  Example: hipsono cohort graded --design design.csv -o report"""
    try:
        from serving.cohort.command import Job, report_cohort
        from serving.cohort.matching import Side
    except ImportError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[trial]'")
    raise SystemExit(report_cohort(Job(readings, design, report, Side(hip), published), say))


@app.command()
def plausible(
    n: Annotated[int, typer.Argument(help="How many patients.")],
    mean: Annotated[str, typer.Argument(help="As printed: 0.15 has two decimals.")],
    spread: Annotated[str, typer.Argument(help="What stands after the mean, as printed.")],
    scale: Annotated[str, typer.Option(help="LEAST-LARGEST of the whole numbers.")] = "0-3",
) -> None:
    """Can n whole numbers have this mean and SD?  Example: hipsono plausible 40 0.15 0.06"""
    from serving.cohort.plausible import Printed, check, parse_scale

    found = check(Printed(n, mean, spread, parse_scale(scale)))
    sys.stdout.write(found.words + "\n")
    raise SystemExit(0 if found.can_be_sd else 1)


@app.command()
def watch(
    source: Annotated[
        str, typer.Option(help="A grabber's number or device file, an address (rtsp://), or a video.")
    ] = "0",
    lines: Annotated[bool, typer.Option("--lines", help="Print each Reading; end with the source.")] = False,
    spacing_mm: Annotated[str | None, typer.Option(help="ROW,COL in mm per pixel.")] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    model: ModelOption = None,
) -> None:
    """Read a frame grabber, a stream or a video live, in the viewer.  Example: hipsono watch --source /dev/video0"""
    from datasets.files import FrameOptions
    from serving.intake import parse_spacing
    from serving.settings import Settings
    from serving.watch import watch as run

    chosen = {} if model is None else {"model": model}
    spacing = parse_spacing(spacing_mm) if spacing_mm else None
    known = FrameOptions(spacing, laterality, age_years)
    run(source, Settings(host=host, port=port, **chosen), known, lines=lines)


@app.command()
def igtl(
    connect: Annotated[str | None, typer.Option(help="HOST:PORT of a PLUS server or of Slicer.")] = None,
    listen: Annotated[int | None, typer.Option(help="Port to wait on; 18944 is usual.")] = None,
    host: HostOption = "127.0.0.1",
    spacing_mm: Annotated[str | None, typer.Option(help="ROW,COL in mm per pixel; else the image's matrix.")] = None,
    laterality: Annotated[Laterality, typer.Option(help="Side of the hip.")] = Laterality.UNKNOWN,
    age_years: Annotated[float | None, typer.Option(help="Age of the patient.")] = None,
    model: ModelOption = None,
) -> None:
    """Answer OpenIGTLink images with overlay, points and Reading.  Example: hipsono igtl --connect 127.0.0.1:18944"""
    need_link()
    from datasets.files import FrameOptions
    from model.reading import Reader
    from model.runtime import STARTER, Session
    from serving.igtl import link, parse_peer
    from serving.intake import parse_spacing

    peer = parse_peer(connect, listen, host)
    known = FrameOptions(parse_spacing(spacing_mm) if spacing_mm else None, laterality, age_years)
    say(f"hipsono answers OpenIGTLink images {'on' if peer.listen else 'from'} {peer.host}:{peer.port}")
    for reading in link(peer, Reader(Session(model or STARTER)), known):
        sys.stdout.write(f"{reading.view.name} {reading.solar.gsus.grade}\n")


@app.command()
def listen(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the readings.")],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 11112,
    host: HostOption = "127.0.0.1",
    aet: Annotated[str, typer.Option(help="Application entity title of this end.")] = "HIPSONO",
    sr: Annotated[bool, typer.Option("--sr", help="A DICOM report of each instance.")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="A DICOM segmentation of each instance.")] = False,
    overlays: Annotated[bool, typer.Option("--overlays", help="Annotated frames as DICOM secondary captures.")] = False,
    send_to: Annotated[str | None, typer.Option(help="AET@HOST:PORT that the DICOM results are stored to.")] = None,
    model: ModelOption = None,
) -> None:
    """Take DICOM by C-STORE, send results back.  Example: hipsono listen -o out --sr --send-to PACS@host:104"""
    need_link()
    try:
        from serving.archive.results import asked_results
    except ImportError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[archive]'")
    from model.reading import Reader
    from model.runtime import STARTER, Session
    from serving.listen import Receiver, serve_until_stopped
    from serving.outbox import Outbox, Peer

    results = asked_results(sr, seg, overlays)
    outbox = None
    if send_to is not None:
        if not results:
            fail("--send-to sends results: say which with --sr, --seg or --overlays")
        outbox = Outbox(out / "outbox", Peer.parse(send_to), aet)
        outbox.start()
    say(f"hipsono takes C-STORE as {aet} on {host}:{port}, readings in {out}")
    serve_until_stopped(Receiver(Reader(Session(model or STARTER)), out, results, outbox), (host, port), aet)


@app.command()
def phantom(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")],
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many: 100, or 120 patients of a trial.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="First seed; each phantom has its own. 0 without it.")] = None,
    view: Annotated[View | None, typer.Option(help="Only this view.")] = None,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM files instead of a data set.")] = False,
    cine: Annotated[int, typer.Option("--cine", min=0, help="Frames of a cine for each phantom.")] = 0,
    wave: Annotated[bool, typer.Option("--wave", help="Through a wave simulator, minutes a frame.")] = False,
    trial: Annotated[bool, typer.Option("--trial", help="A trial of -n patients in three groups, as DICOM.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores without it.")] = None,
) -> None:
    """Labelled synthetic sonograms with exact truth.  Example: hipsono phantom -n 300 --seed 1000000 -o data/exam"""
    if trial:
        from datasets.phantom.trial_write import TrialOrder, write_trial

        if view or dicom or wave:
            fail("--trial writes DICOM cines of the anterior longitudinal view: leave out --view, --dicom and --wave")
        studies = write_trial(TrialOrder.asked(n, seed, cine), out, workers)
        say(f"{studies} studies and design.csv in {out}; next: hipsono grade {out / 'studies'} -o {out / 'graded'}")
        return
    from datasets.phantom.write import PhantomOrder, write_phantoms

    written = write_phantoms(PhantomOrder(n or 100, seed or 0, view, cine, dicom, wave), out, workers)
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
    masks: Annotated[Path | None, typer.Option(help="Folder of mask PNGs with the pictures' names.")] = None,
    classes: Annotated[str, typer.Option(help="What a mask's values mean: 2=vessel,3=psoas_tendon.")] = "",
    view: Annotated[View, typer.Option(help="View of all frames.")] = View.OTHER,
    patient: Annotated[str, typer.Option(help="Pattern that finds the patient in a file's path.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the pictures.")] = "",
    provenance: Annotated[str, typer.Option(help="Where the pictures come from.")] = "",
) -> None:
    """Make a data set.  Example: hipsono data import scans --masks drawn --classes 2=vessel -o data/scans"""
    from datasets.importing import ImportPlan, import_samples, parse_classes
    from datasets.store import write_store

    plan = ImportPlan(pictures, masks, parse_classes(classes), view, patient)
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


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="TOML file, such as training/recipes/starter.toml.")],
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, if there is one.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu or gpu:N.")] = "cpu",
    extra: Annotated[list[Path] | None, typer.Option(help="Data sets mixed in at the recipe's extra_share.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Run folder whose network to start from.")] = None,
) -> None:
    """Train a network.  Example: hipsono train training/recipes/starter.toml --data data/starter -o runs/starter"""
    need_training()
    from training.loop import train as run
    from training.recipe import load_recipe
    from training.run_folder import Sources

    run(load_recipe(recipe), Sources(data, tuple(extra or ()), weights), out, resume=resume, device=device)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="ONNX file to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Smaller and quicker: INT8 convolutions.")] = False,
) -> None:
    """One self-contained ONNX file of a run's best network.  Example: hipsono export runs/starter -o hip.onnx"""
    need_training()
    from training.export import export as write
    from training.export import export_int8

    (export_int8 if int8 else write)(run, out)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="ONNX file, or a run folder.")],
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for report.html and report.json.")],
) -> None:
    """How well a network reads a data set.  Example: hipsono evaluate hip.onnx --data data/exam -o report"""
    need_training()
    from training.evaluate import evaluate as examine

    examine(model, data, out)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=10, help="Requests of each way, in turn.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each crowd and stream.")] = 15,
    overload: Annotated[float, typer.Option(min=0, help="Seconds of the flood; 0 leaves it out.")] = 60,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Other servers beside this one.")] = True,
    peers_python: Annotated[
        list[Path] | None, typer.Option(help="Interpreters of environments with LitServe, BentoML, MONAI Label.")
    ] = None,
    tuning: Annotated[
        bool, typer.Option("--tune", help="Choose threads and workers by measurement, and keep it.")
    ] = False,
    archive: Annotated[int | None, typer.Option(min=1000, help="Only grade an archive of so many frames.")] = None,
    plot: Annotated[Path | None, typer.Option(help="A picture of the rows, PNG or SVG by its name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: ModelOption = None,
) -> None:
    """This server beside its floor and its peers, in one run.  Example: hipsono bench --rounds 50 --no-peers"""
    try:
        from serving.bench.run import Plan
        from serving.bench.run import bench as measure
    except ImportError as error:
        fail(f"{error.name} is missing: install the extra with  pip install -e '.[bench]'")

    if tuning:
        from serving.bench.tune import keep_best

        say(keep_best(model, say))
        return
    if archive is not None:
        from serving.bench.archive import bench_archive
        from serving.bench.figures import Report

        report = Report(f"{os.cpu_count()} cores", (), bench_archive(archive, model, say))
        sys.stdout.write((report.to_json() + "\n") if as_json else report.markdown())
        return
    pythons = (Path(sys.executable), *(peers_python or ()))
    report = measure(Plan(rounds, seconds, overload, pythons if peers else ()), model, say)
    sys.stdout.write((report.to_json() + "\n") if as_json else report.markdown())
    if plot is not None:
        from serving.bench.plot import draw

        draw(report, plot)


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: ModelOption = None,
) -> None:
    """Versions, providers, model, thresholds.  Example: hipsono info --json"""
    from serving.about import about

    told = about(model)
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    for name, value in told.items():
        sys.stdout.write(f"{name:12} {value}\n")


if __name__ == "__main__":
    main()
