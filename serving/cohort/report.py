"""REPORT/: index.html with all tables and figures in it, a CSV a table, an SVG a figure; no server, no network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from datasets.whole import write_whole
from model.reading import NOTICE
from serving.cohort.agreement import ALPHA
from serving.cohort.analysis import Analysis
from serving.cohort.csv_tables import all_tables, write_tables
from serving.cohort.effects import RESAMPLES, Effect
from serving.cohort.outcomes import DISTANCE, OUTCOMES, READER_DISTANCE
from serving.cohort.plots import INK, bland_altman, courses, grade_shares
from serving.cohort.published import Published
from serving.cohort.readings import Origin

FIGURES: Final = "figures"
_LEAST_P: Final = 0.001


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn figure, what it shows in words, and the outcome it belongs to."""

    name: str
    outcome: str
    words: str
    svg: str

    @property
    def inline(self) -> Markup:
        """For the page: its ink is the page's, and its words are read out."""
        label = Markup.escape(self.words)
        shown = self.svg.replace(INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        return Markup(shown)


def write_report(analysis: Analysis, published: tuple[Published, ...], origin: Origin, folder: Path) -> None:
    """Writes the report over an older one."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    write_tables(all_tables(analysis, published), folder)
    plots = draw(analysis)
    for plot in plots:
        (folder / FIGURES / f"{plot.name}.svg").write_text(plot.svg)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters.update(number=number, week=told_week, p=told_p, effect=told_effect)
    page = environment.get_template("report.html.jinja").render(
        notice=NOTICE,
        analysis=analysis,
        cohort=analysis.cohort,
        design=analysis.cohort.design,
        origin=origin,
        published=published,
        plots=plots,
        labels={outcome.key: outcome.label for outcome in OUTCOMES},
        alpha=ALPHA,
        resamples=RESAMPLES,
    )
    write_whole(folder / "index.html", page)


def draw(analysis: Analysis) -> tuple[Plot, ...]:
    """Every outcome's courses, every grade's shares, and the differences of machine and reader."""
    plots = []
    for one in analysis.outcomes:
        key, label = one.outcome.key, one.outcome.label
        plots.append(
            Plot(f"course-{key}", key, f"{label}: each patient's course, by group, with the mean", courses(one))
        )
        if one.outcome.is_grade:
            words = f"{label}: patients with each grade, by group and visit"
            plots.append(Plot(f"grades-{key}", key, words, grade_shares(one)))
    grids = {one.outcome: one.grid for one in analysis.outcomes}
    if analysis.agreement.distances:
        svg = bland_altman(grids[DISTANCE], grids[READER_DISTANCE], analysis.agreement.distances[0])
        words = "Capsule distance: machine less reader over their mean, with bias and limits of agreement"
        plots.append(Plot("bland-altman", "agreement", words, svg))
    return tuple(plots)


def number(value: float | None, digits: int = 2) -> str:
    """A number for the page, with a true minus; nothing where it is missing."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def told_week(week: float) -> str:
    """0.5, 2, 16: as everywhere, for a week rounded to a whole one may be another visit."""
    return f"{week:g}"


def told_p(value: float | None) -> str:
    """A p value for the page."""
    if value is None:
        return ""
    return f"< {_LEAST_P}" if value < _LEAST_P else f"{value:.3f}"


def told_effect(effect: Effect | None, digits: int = 2) -> str:
    """0.46 (0.33 to 0.62)."""
    if effect is None:
        return ""
    if effect.low is None or effect.high is None:
        return f"{number(effect.value, digits)} (no interval)"
    return f"{number(effect.value, digits)} ({number(effect.low, digits)} to {number(effect.high, digits)})"
