"""An evaluation as a page that stands alone, a JSON file, and a table for the terminal."""

import base64
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import cv2
import jinja2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from datasets.sample import Sample
from model.anatomy import GRADES, STRUCTURES, VIEWS, structure
from model.reading import Reading
from training.evaluate import Evaluation, FrameScore

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Worst = list[tuple[FrameScore, Sample, Reading]]


def table(e: Evaluation) -> str:
    """The figures as lines of text."""
    rows = [
        f"{e.frames} frames ({e.provenance}); model {e.model}, {e.sha256[:12]}",
        f"view right                {100 * e.view_accuracy:6.1f} %",
        f"landmark error            {e.landmark_median_mm:6.2f} mm median, {e.landmark_p95_mm:.2f} mm 95th percentile, "
        f"{100 * e.landmark_share_under_2_mm:.1f} % under 2 mm, {100 * e.landmark_found:.1f} % found",
        f"GSUS                      {100 * e.gsus_exact:6.1f} % exact, {100 * e.gsus_within_one:.1f} % within one, "
        f"weighted kappa {e.gsus_kappa:.3f}; {100 * e.gsus_answered:.1f} % of {e.gsus_frames} answered",
        f"capsule distance          {e.capsule_bias_mm:+6.2f} mm bias, limits of agreement "
        f"{e.capsule_limits_mm[0]:+.2f} to {e.capsule_limits_mm[1]:+.2f} mm",
        f"not a hip                 {100 * e.other_with_structures:6.1f} % of {e.other_frames} with a structure, "
        f"{100 * e.other_with_grade:.1f} % with a grade",
        f"{'structure':26}{'Dice':>7}{'found':>8}{'missed':>8}{'false':>8}{'frames':>8}",
    ]
    rows += [
        f"{s.name:26}{s.dice:7.3f}{100 * s.found:7.1f}%{100 * s.missed:7.1f}%{100 * s.false:7.1f}%{s.frames:8d}"
        for s in e.structures
    ]
    return "\n".join(rows)


def write_report(e: Evaluation, worst: Worst, folder: Path) -> None:
    """report.json and report.html into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(_finite(asdict(e)), indent=1))
    page = _PAGE.render(
        e=e,
        lines=table(e),
        views=[str(v).replace("_", " ") for v in VIEWS],
        grades=GRADES,
        plots=_plots(e),
        worst=[(_caption(score), _picture(sample, reading)) for score, sample, reading in worst],
    )
    (folder / "report.html").write_text(page)


def _plots(e: Evaluation) -> str:
    """Landmark error, capsule distance and Dice at a glance, as a data URI; titled with what the frames are."""
    figure, (errors, capsule, dice) = plt.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    figure.suptitle(e.provenance)
    seen = np.sort([v for s in e.scores for v in s.landmark_error_mm if np.isfinite(v)])
    errors.plot(seen, np.arange(1, len(seen) + 1) / max(len(seen), 1))
    errors.set(xlim=(0, 5), ylim=(0, 1), xlabel="landmark error, mm", ylabel="share of landmarks found")
    pairs = [(s.distance_mm, s.told_distance_mm) for s in e.scores]
    known = np.array([(a, b) for a, b in pairs if a is not None and b is not None]).reshape(-1, 2)
    capsule.scatter(known.mean(axis=1), known[:, 1] - known[:, 0], s=10)
    for level in (e.capsule_bias_mm, *e.capsule_limits_mm):
        capsule.axhline(level, color="grey", linestyle="--")
    capsule.set(xlabel="capsule distance, mean of reading and truth, mm", ylabel="reading - truth, mm")
    dice.barh([s.name for s in e.structures], [s.dice for s in e.structures])
    dice.set(xlim=(0, 1), xlabel="mean Dice")
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
    dice = [d for d in score.dice if np.isfinite(d)]
    told = f"frame {score.index}: {score.view}, read as {score.told_view}"
    if dice:
        told += f"; mean Dice {np.mean(dice):.2f}"
    if score.gsus is not None:
        told += f"; grade {score.gsus}, read as {'none' if score.told_gsus is None else score.told_gsus}"
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


_PAGE: Final = jinja2.Environment(autoescape=True).from_string(
    """<!doctype html><html lang="en"><meta charset="utf-8"><title>hipsono evaluation</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#16191d}
pre{background:#f4f5f7;padding:1rem;border-radius:8px;overflow:auto}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{border:1px solid #dde1e6;padding:.25rem .6rem;text-align:right}th{background:#f4f5f7;font-weight:600}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}
figure{margin:0}img{width:100%;border-radius:6px}figcaption{font-size:.85rem;color:#5a6470}</style>
<h1>Evaluation of {{ e.model }}</h1>
<p><strong>{{ e.provenance }}.</strong> Research use; not a medical device.</p>
<pre>{{ lines }}</pre>
<img src="{{ plots }}" alt="landmark error, capsule distance and Dice">
<h2>View: truth in rows, reading in columns</h2>
<table><tr><th></th>{% for v in views %}<th>{{ v }}</th>{% endfor %}</tr>
{% for row in e.view_confusion %}<tr><th>{{ views[loop.index0] }}</th>
{% for n in row %}<td>{{ n }}</td>{% endfor %}</tr>
{% endfor %}</table>
<h2>SOLAR grey-scale grade: truth in rows, reading in columns</h2>
<table><tr><th></th>{% for g in grades %}<th>{{ g }}</th>{% endfor %}</tr>
{% for row in e.gsus_confusion %}<tr><th>{{ loop.index0 }}</th>{% for n in row %}<td>{{ n }}</td>{% endfor %}</tr>
{% endfor %}</table>
<h2>Worst frames: truth filled, reading outlined</h2>
<div class="grid">{% for text, uri in worst %}
<figure><img src="{{ uri }}" alt="{{ text }}"><figcaption>{{ text }}</figcaption></figure>{% endfor %}</div></html>"""
)
