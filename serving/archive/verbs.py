"""Verbs of the command line for archives."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from datasets.verbs import lacking, say
from serving.verbs import LooksOption, ModelOption, PortOption, ProviderOption, settings_of

app: Final = typer.Typer()


@app.command()
def grade(
    archive: Annotated[str, typer.Argument(help="A folder, zip, DICOMDIR or file, or dicomweb://HOST/PATH.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables and the page.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="With --resume: drop what lies in OUT/aside, and take ARCHIVE as it is.")
    ] = False,
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
    looks: LooksOption = 2,
    model: ModelOption = None,
    provider: ProviderOption = None,
) -> None:
    """Grade an archive of studies into tables and a page.  Example: hipsono grade studies/ -o graded --sr --seg"""
    try:
        from serving.archive.command import asked_of, grade_archive, identities_for
        from serving.archive.results import asked_results
        from serving.archive.run import Job
    except ImportError as error:
        raise lacking(error.name, "archive") from error
    from serving.tuning import choice_of, execution_of

    settings = settings_of(model=model, provider=provider)
    identities = None
    if deidentify or identity is not None:
        try:
            identities = identities_for(out, identity)
        except ModuleNotFoundError as error:
            raise lacking(error.name, "deidentify") from error
    asked = asked_of((spacing_mm, age_years), asked_results(sr, seg, overlays), identities, looks)
    execution = execution_of(settings, choice_of(settings).provider)
    job = Job(archive, out, settings.model, workers or os.cpu_count() or 1, resume, asked, ray, forget, execution)
    try:
        raise SystemExit(grade_archive(job, say))
    except ModuleNotFoundError as error:
        raise lacking(error.name, "cluster") from error


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
        raise lacking(error.name, "archive,deidentify") from error
    run_clearing(out, by, port, say)
