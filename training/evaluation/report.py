"""An evaluation as a page that stands alone, and a JSON file."""

import base64
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import jinja2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from datasets.sample import Sample
from model.anatomy import GRADES, STRUCTURES, VIEWS, structure
from model.reading import Reading
from training.evaluation.figures import Evaluation
from training.evaluation.score import FrameScore
from training.evaluation.table import table

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

Worst = list[tuple[FrameScore, Sample, Reading]]


def write_report(e: Evaluation, worst: Worst, folder: Path) -> None:
    """report.json and report.html into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(_finite(asdict(e)), indent=1))
    page = (
        _pages()
        .get_template("report.html.jinja")
        .render(
            e=e,
            lines=table(e),
            views=[str(v).replace("_", " ") for v in VIEWS],
            grades=GRADES,
            factors=list(dict.fromkeys(group.factor for group in e.groups)),
            agreement=_picture_of(_agreement(e)),
            doubt=_picture_of(_doubt(e)),
            worst=[(_caption(score), _picture(sample, reading)) for score, sample, reading in worst],
        )
    )
    (folder / "report.html").write_text(page)


def _pages() -> jinja2.Environment:
    pages = jinja2.Environment(autoescape=True, loader=jinja2.FileSystemLoader(Path(__file__).parent))
    pages.filters["share"] = lambda value: "" if math.isnan(value) else f"{100 * value:.1f} %"
    pages.filters["figure"] = lambda value, digits=3: "" if math.isnan(value) else f"{value:.{digits}f}"
    pages.filters["limits"] = lambda pair: "" if math.isnan(pair[0]) else f"{pair[0]:+.2f} to {pair[1]:+.2f}"
    return pages


def _agreement(e: Evaluation) -> Figure:
    """Landmark error, capsule distance and Dice at a glance; titled with what the frames are."""
    figure, (errors, capsule, dice) = plt.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    figure.suptitle(e.provenance)
    seen = np.sort([v for s in e.scores for v in s.landmark_error_mm if np.isfinite(v)])
    errors.plot(seen, np.arange(1, len(seen) + 1) / max(len(seen), 1))
    errors.set(xlim=(0, 5), ylim=(0, 1), xlabel="landmark error, mm", ylabel="share of landmarks found")
    pairs = [(s.distance_mm, s.told_distance_mm) for s in e.scores]
    known = np.array([(a, b) for a, b in pairs if a is not None and b is not None]).reshape(-1, 2)
    capsule.scatter(known.mean(axis=1), known[:, 1] - known[:, 0], s=10)
    for level in (e.capsule.bias_mm, *e.capsule.limits_mm):
        capsule.axhline(level, color="grey", linestyle="--")
    capsule.set(xlabel="capsule distance, mean of reading and truth, mm", ylabel="reading - truth, mm")
    dice.barh([s.name for s in e.structures], [s.dice for s in e.structures])
    dice.set(xlim=(0, 1), xlabel="mean Dice")
    return figure


def _doubt(e: Evaluation) -> Figure:
    """What confidences are worth: reliability, and risk against coverage."""
    figure, (reliable, risk) = plt.subplots(1, 2, figsize=(14, 4), constrained_layout=True)
    reliable.plot([0, 1], [0, 1], color="grey", linestyle="--")
    for name, told in e.calibration.items():
        if told.bins:
            confidence, right, count = np.array(told.bins).T
            reliable.plot(confidence, right, label=f"{name}, error {told.error:.3f}")
            reliable.scatter(confidence, right, s=8 + 60 * count / count.max())
            risk.plot(*np.array(told.risk_coverage).T, label=name)
    reliable.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share that is right")
    risk.set(xlim=(0, 1), ylim=(0, None), xlabel="coverage: share answered, surest first", ylabel="risk: share wrong")
    for axes in (reliable, risk):
        axes.legend(loc="best")
    return figure


def _picture_of(figure: Figure) -> str:
    """A figure as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _caption(score: FrameScore) -> str:
    told = f"frame {score.index}: {score.view}, read as {score.told_view}"
    if math.isfinite(score.mean_dice):
        told += f"; mean Dice {score.mean_dice:.2f}"
    if score.gsus.truth is not None:
        told += f"; grade {score.gsus.truth}, read as {'none' if score.gsus.told is None else score.gsus.told}"
    return told


def _picture(sample: Sample, reading: Reading) -> str:
    """The truth filled, the reading outlined, as a data URI."""
    pixels = sample.frame.pixels
    canvas = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
    tinted = canvas.copy()
    if sample.truth.mask is not None:
        for one in STRUCTURES:
            tinted[sample.truth.mask == one.id] = one.colour
    canvas = np.asarray(cv2.addWeighted(tinted, 0.35, canvas, 0.65, 0), np.uint8)
    for found in reading.structures:
        parts = [np.round(part).astype(np.int32) for part in found.contours]
        cv2.polylines(canvas, parts, True, structure(found.name).colour, 2, cv2.LINE_AA)
    return _data_uri(canvas)


def _data_uri(rgb: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
