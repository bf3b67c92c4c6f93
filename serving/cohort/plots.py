"""Figures of a trial as SVG: each patient's course, grades by visit, differences of machine and reader."""

import io
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from model.anatomy import GRADES
from serving.cohort.agreement import DistanceAgreement
from serving.cohort.analysis import OutcomeAnalysis
from serving.cohort.outcomes import Grid

INK: Final = "#4d5762"
"""Of text and axes; a page may put its own in its place."""
ACCENT: Final = "#2b83c4"
GRADE_COLOURS: Final = ("#a9b8c6", "#6fb1dd", "#2b83c4", "#c8611c")
_JITTER: Final = 0.13
_LEGIBLE_PERCENT: Final = 7
_LABEL_CHARS: Final = 30
"""Of a line beside an axis: more are cut off."""
_SEED: Final = 20261121
_STYLE: Final[Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "hipsono", "font.family": "sans-serif", "font.size": 10,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.titlecolor": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
}  # fmt: skip


def courses(one: OutcomeAnalysis) -> str:
    """A line a patient, a panel a group, the mean over it; grades are spread a little so that lines come apart."""
    grid = one.grid
    with rc_context(_STYLE):
        figure = Figure(figsize=(3.1 * len(grid.groups), 2.9), layout="constrained")
        panels = figure.subplots(1, len(grid.groups), sharey=True, squeeze=False)[0]
        rng = np.random.default_rng(_SEED)
        for group, panel in enumerate(panels):
            values = grid.of(group)
            spread = rng.uniform(-_JITTER, _JITTER, (len(values), 1)) if grid.outcome.is_grade else 0.0
            _course(panel, values + spread, _means(grid, group))
            panel.set_title(grid.groups[group])
            panel.set_xticks(range(len(grid.weeks)), [f"{week:g}" for week in grid.weeks])
            panel.set_xlabel("week")
            panel.set_xlim(-0.15, len(grid.weeks) - 0.85)
            if grid.outcome.is_grade:
                panel.set_yticks(GRADES)
        panels[0].set_ylabel(f"{fill(one.outcome.label, _LABEL_CHARS)}\n({one.outcome.unit})")
        return _svg(figure)


def _means(grid: Grid, group: int) -> list[float]:
    return [float(there.mean()) if len(there := grid.at(group, week)) else np.nan for week in range(len(grid.weeks))]


def _course(panel: Axes, values: np.ndarray, means: list[float]) -> None:
    for course in values:
        there = np.flatnonzero(np.isfinite(course))
        panel.plot(there, course[there], color=INK, alpha=0.28, linewidth=0.8, marker="o", markersize=2)
    panel.plot(range(len(means)), means, color=ACCENT, linewidth=2.6, marker="o", markersize=5)


def grade_shares(one: OutcomeAnalysis) -> str:
    """Bars a group and visit: the share of patients with each grade, with counts where they fit."""
    grid, weeks = one.grid, len(one.grid.weeks)
    with rc_context(_STYLE):
        figure = Figure(figsize=(3.1 * len(grid.groups), 2.6), layout="constrained")
        panels = figure.subplots(1, len(grid.groups), sharey=True, squeeze=False)[0]
        for group, panel in enumerate(panels):
            for week, summary in enumerate(one.summaries[group * weeks : (group + 1) * weeks]):
                _bar(panel, week, summary.counts or (), summary.n)
            panel.set_title(grid.groups[group])
            panel.set_xticks(range(weeks), [f"{week:g}" for week in grid.weeks])
            panel.set_xlabel("week")
        panels[0].set_ylabel("% of patients")
        handles = [panels[0].bar(0, 0, color=colour) for colour in GRADE_COLOURS]
        labels = [f"grade {grade}" for grade in GRADES]
        figure.legend(handles, labels, loc="outside lower center", ncols=len(GRADES), frameon=False)
        return _svg(figure)


def _bar(panel: Axes, week: int, counts: tuple[int, ...], n: int) -> None:
    below = 0.0
    for grade, count in enumerate(counts):
        if count:
            share = 100 * count / n
            panel.bar(week, share, bottom=below, color=GRADE_COLOURS[grade], width=0.7)
            if share >= _LEGIBLE_PERCENT:
                panel.text(week, below + share / 2, str(count), ha="center", va="center", fontsize=8, color="#10151a")
            below += share


def bland_altman(machine: Grid, reader: Grid, told: DistanceAgreement) -> str:
    """Machine less reader over their mean, a dot a visit, with bias and limits."""
    both = np.isfinite(machine.values) & np.isfinite(reader.values)
    ours, theirs = machine.values[both], reader.values[both]
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.2, 3.2), layout="constrained")
        panel = figure.subplots()
        panel.scatter((ours + theirs) / 2, ours - theirs, s=9, color=ACCENT, alpha=0.55, linewidths=0)
        for effect, dashes in ((told.bias, "-"), (told.lower, "--"), (told.upper, "--")):
            panel.axhline(effect.value, color=INK, linestyle=dashes, linewidth=1)
            across = panel.get_yaxis_transform()
            panel.text(
                1.01,
                effect.value,
                f"{effect.value:+.2f}".replace("-", "\N{MINUS SIGN}"),
                transform=across,
                va="center",
                fontsize=9,
            )
        panel.set_xlabel("mean of machine and reader, mm")
        panel.set_ylabel("machine less reader, mm")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
