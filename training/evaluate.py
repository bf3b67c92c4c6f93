"""How well a network reads a data set: every frame through the same Reader that serves."""

import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from datasets.store import Store, open_store
from model.reading import Reader
from model.runtime import Session
from model.steps import CAREFUL
from training.evaluation.figures import Evaluation, summarise
from training.evaluation.report import write_report
from training.evaluation.score import FrameScore, score_frame
from training.evaluation.table import table
from training.export import exported

WORST: Final = 20


def evaluate(model: Path, data: Path, report: Path, looks: int = CAREFUL) -> Evaluation:
    """Reads every frame of a data set with so many looks, writes report.json and report.html, prints a table, returns
    the figures.
    """
    store = open_store(data)
    session = Session(exported(model) if model.is_dir() else model)
    reader = Reader(session, looks=looks)
    scores = _score(store, reader)
    told = f"{session.spec.name} {session.spec.version}, {looks} look{'s' * (looks > 1)}"
    figures = summarise(scores, told, session.sha256, store.provenance)
    worst = sorted(scores, key=lambda s: -s.badness)[:WORST]
    pictures = [(score, store.sample(score.index)) for score in worst]
    write_report(figures, [(score, sample, reader.read(sample.frame)) for score, sample in pictures], report)
    sys.stdout.write(table(figures) + "\n")
    return figures


def _score(store: Store, reader: Reader) -> tuple[FrameScore, ...]:
    rows = range(len(store))
    console, quiet = Console(stderr=True), not sys.stderr.isatty()
    return tuple(
        score_frame(i, store.sample(i), reader) for i in track(rows, "reading", console=console, disable=quiet)
    )
