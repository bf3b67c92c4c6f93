"""Verbs of the command line for trials."""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from datasets.verbs import lacking, say

app: Final = typer.Typer()


@app.command()
def cohort(
    readings: Annotated[Path, typer.Argument(metavar="OUT", help="The folder that `hipsono grade` wrote.")],
    design: Annotated[Path, typer.Option(help="CSV: patient, group, visit, index_hip; see docs/cohort.md.")],
    report: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page, the tables and the figures.")],
    hip: Annotated[Literal["index", "other"], typer.Option(help="Which hip of a patient is tabled.")] = "index",
    published: Annotated[Path | None, typer.Option(help="CSV of printed summaries to check.")] = None,
    identity: Annotated[
        Path | None, typer.Option(metavar="PRIVATE", help="OUT/private of a de-identified run, to rename the design.")
    ] = None,
) -> None:
    """Tables and plots of a trial.  Example: hipsono cohort graded --design design.csv -o report"""
    try:
        from serving.cohort.command import Job, report_cohort
        from serving.cohort.matching import Side
    except ImportError as error:
        raise lacking(error.name, "trial") from error
    raise SystemExit(report_cohort(Job(readings, design, report, Side(hip), published, identity), say))


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
