"""What a run tells: a line of figures an epoch in a log, and curves as a picture."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from datasets.whole import unfinished, write_whole


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One epoch on the validation split; `score` is what "best" means, higher is better."""

    epoch: int
    train_loss: float
    validation_loss: float
    dice: float
    landmark_px: float
    view_accuracy: float
    gsus_exact: float
    minutes: float

    @property
    def score(self) -> float:
        return self.dice + 0.5 * self.view_accuracy + 0.5 * self.gsus_exact - self.landmark_px / 100


def write_progress(run: Path, history: tuple[EpochFigures, ...]) -> None:
    """metrics.jsonl and curves.png in the run's folder, each replaced whole."""
    lines = "".join(json.dumps(asdict(figures)) + "\n" for figures in history)
    write_whole(run / "metrics.jsonl", lines)
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    epochs = [f.epoch + 1 for f in history]
    panels = (
        ("loss", ("train_loss", "validation_loss")),
        ("share", ("dice", "view_accuracy", "gsus_exact")),
        ("landmark error, network px", ("landmark_px",)),
    )
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name in names:
            axis.plot(epochs, [getattr(f, name) for f in history], marker="o", label=name.replace("_", " "))
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend()
    with unfinished(run / "curves.png") as partial:
        figure.savefig(partial, dpi=90, format="png")
    plt.close(figure)


def say(text: str) -> None:
    """A line to whoever watches, at once also through a pipe."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
