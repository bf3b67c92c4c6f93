"""Every table of a trial's report as rows for CSV: full precision, empty where missing, one table a file."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.anatomy import GRADES
from serving.cohort.analysis import Analysis
from serving.cohort.design import SCORES
from serving.cohort.effects import Effect
from serving.cohort.matching import Stage
from serving.cohort.outcomes import Record
from serving.cohort.published import Published
from serving.cohort.summaries import Summary

Cell = str | int | float | bool | None
_EFFECT: Final = ("effect", "value", "low_95", "high_95")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A file `name`.csv: heads and rows of as many cells."""

    name: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def all_tables(analysis: Analysis, published: tuple[Published, ...]) -> tuple[CsvTable, ...]:
    """All tables, those without rows too."""
    return (
        _records(analysis),
        _exclusions(analysis),
        _flow(analysis),
        _baseline(analysis),
        _summary("summary", analysis.summaries),
        _summary("quality", analysis.quality),
        _summary("sensitivity", () if analysis.sensitivity is None else analysis.sensitivity.analysis.summaries),
        _sensitivity_tests(analysis),
        _within(analysis),
        _between(analysis),
        _model(analysis),
        _agreement(analysis),
        _means(analysis),
        _conclusions(analysis),
        _published(published),
    )


def write_tables(tables: Iterable[CsvTable], folder: Path) -> None:
    """Writes each over an older one."""
    for table in tables:
        with (folder / f"{table.name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.heads)
            writer.writerows(table.rows)


def _records(analysis: Analysis) -> CsvTable:
    heads = ("patient", "group", "visit", "date", "index_hip", "study", "hip", "gsus", "pdus", "capsule_distance_mm",
             "capsule_percentile", "side_difference_mm", "quality", "gsus_under_review", "lost_at", "reason",
             "note")  # fmt: skip
    noted = tuple(f"noted_{name}" for name in SCORES)
    return CsvTable("records", heads + noted, tuple(_record(record) for record in analysis.cohort.records))


def _record(record: Record) -> tuple[Cell, ...]:
    visit, hip, loss = record.visit, record.hip, record.loss
    read: tuple[Cell, ...] = (None,) * 8
    if hip is not None:
        read = (str(hip.hip), hip.gsus, hip.pdus, hip.capsule_distance_mm, hip.capsule_percentile,
                hip.side_difference_mm, hip.quality, hip.learned)  # fmt: skip
    return (
        visit.patient.patient_id, visit.patient.group, f"{visit.week:g}",
        None if visit.day is None else visit.day.isoformat(), str(visit.patient.index_hip), record.study, *read,
        None if loss is None else str(loss.stage), None if loss is None else loss.reason, record.note,
        *(getattr(visit.noted, name) for name in SCORES),
    )  # fmt: skip


def _exclusions(analysis: Analysis) -> CsvTable:
    lost: list[tuple[Cell, ...]] = [
        (r.visit.patient.patient_id, r.visit.patient.group, f"{r.visit.week:g}", str(r.loss.stage), r.loss.reason)
        for r in analysis.cohort.records
        if r.loss is not None
    ]
    lost += [
        (one.patient.patient_id, one.patient.group, None, "no visit", f"{one.told} is no visit's")
        for one in analysis.cohort.unmatched
    ]
    return CsvTable("exclusions", ("patient", "group", "visit", "lost_at", "reason"), tuple(lost))


def _flow(analysis: Analysis) -> CsvTable:
    heads = ("group", "visit", "planned", *(str(stage) for stage in Stage), "graded", "graded_with_note")
    rows: Iterable[tuple[Cell, ...]] = (
        (f.group, f"{f.week:g}", f.planned, *(count for _, count in f.lost), f.graded, f.noted) for f in analysis.flows
    )
    return CsvTable("flow", heads, tuple(rows))


def _baseline(analysis: Analysis) -> CsvTable:
    rows: Iterable[tuple[Cell, ...]] = ((trait.name, *trait.by_group, trait.missing) for trait in analysis.traits)
    return CsvTable("baseline", ("characteristic", *analysis.cohort.design.groups, "missing"), tuple(rows))


def _summary(name: str, summaries: Iterable[Summary]) -> CsvTable:
    grades = tuple(f"grade_{grade}" for grade in GRADES)
    heads = ("outcome", "group", "visit", "n", "missing", *grades, "mean", "sd", "sem", "median", "lower_quartile",
             "upper_quartile")  # fmt: skip
    rows = (
        (s.outcome, s.group, f"{s.week:g}", s.n, s.missing, *(s.counts or (None,) * len(GRADES)), s.mean, s.sd, s.sem,
         s.median, s.lower_quartile, s.upper_quartile)
        for s in summaries
    )  # fmt: skip
    return CsvTable(name, heads, tuple(rows))


def _sensitivity_tests(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "test", "place", "comparison", "primary_p", "sensitivity_p", "alike")
    told = () if analysis.sensitivity is None else analysis.sensitivity.conclusions
    rows = ((c.outcome, c.test, c.place, c.comparison, c.machine_p, c.reader_p, c.alike) for c in told)
    return CsvTable("sensitivity_tests", heads, tuple(rows))


def _within(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "group", "comparison", "test", "n", "median_change", "statistic", "p", "p_holm", *_EFFECT,
             "improved_percent", "at_zero_percent", "reason")  # fmt: skip
    rows = (
        (t.outcome, t.group, t.comparison, t.test, t.n, t.median_change, t.statistic, t.p, t.p_holm, *_effect(t.effect),
         t.improved_percent, t.at_zero_percent, t.reason)
        for one in analysis.outcomes for t in one.tests.within
    )  # fmt: skip
    return CsvTable("within", heads, tuple(rows))


def _between(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "visit", "comparison", "test", "n", "statistic", "p", "p_holm", *_EFFECT, "reason")
    rows = (
        (t.outcome, f"{t.week:g}", t.comparison, t.test, t.n, t.statistic, t.p, t.p_holm, *_effect(t.effect), t.reason)
        for one in analysis.outcomes
        for t in one.tests.between
    )
    return CsvTable("between", heads, tuple(rows))


def _model(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "model", "n", "term", "estimate", "low_95", "high_95", "p", "f_statistic", "f_df",
             "f_df_patients", "reason")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in analysis.outcomes:
        model = one.tests.model
        told = (model.outcome, model.kind, model.n)
        joint = model.interaction
        if joint is None:
            rows.append((*told, *(None,) * 8, model.reason))
            continue
        rows += [(*told, t.name, t.estimate, t.low, t.high, t.p, *(None,) * 4) for t in model.terms]
        rows.append((*told, "group x visit", *(None,) * 3, joint.p, joint.f, joint.df, joint.df_patients, None))
    return CsvTable("model", heads, tuple(rows))


def _agreement(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "visits", "n", "patients", "figure", "value", "low_95", "high_95", "reason")
    rows: list[tuple[Cell, ...]] = []
    for one in analysis.agreement.grades:
        place = ("solar", one.place, one.n, one.patients)
        rows.append((*place, *_effect(one.kappa, "quadratic weighted kappa"), one.reason))
        rows.append((*place, "exact, percent", one.exact_percent, None, None, None))
        rows.append((*place, "within one, percent", one.within_one_percent, None, None, None))
    for told in analysis.agreement.distances:
        place = ("capsule_distance_mm", told.place, told.n, told.patients)
        for name, effect in (("bias", told.bias), ("lower limit", told.lower), ("upper limit", told.upper)):
            rows.append((*place, name, effect.value, effect.low, effect.high, None))
        rows.append((*place, "SD of differences", told.sd_mm, None, None, None))
    return CsvTable("agreement", heads, tuple(rows))


def _means(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "group", "visit", "machine_n", "machine_mean", "reader_n", "reader_mean", "difference",
             "paired_difference")  # fmt: skip
    rows = (
        (m.outcome, m.group, f"{m.week:g}", m.machine_n, m.machine, m.reader_n, m.reader, m.difference, m.paired)
        for m in analysis.agreement.means
    )
    return CsvTable("means", heads, tuple(rows))


def _conclusions(analysis: Analysis) -> CsvTable:
    heads = ("outcome", "test", "place", "comparison", "machine_p", "reader_p", "alike")
    rows = (
        (c.outcome, c.test, c.place, c.comparison, c.machine_p, c.reader_p, c.alike)
        for c in analysis.agreement.conclusions
    )
    return CsvTable("conclusions", heads, tuple(rows))


def _published(published: tuple[Published, ...]) -> CsvTable:
    heads = ("group", "visit", "outcome", "n", "mean", "spread", "kind", "verdict", "words", "our_n", "our_mean",
             "our_sd", "our_sem")  # fmt: skip
    rows = []
    for one in published:
        printed, ours = one.plausibility.printed, one.ours
        own = (None,) * 4 if ours is None else (ours.n, ours.mean, ours.sd, ours.sem)
        told = (printed.n, printed.mean, printed.spread, one.kind, one.verdict, one.plausibility.words)
        rows.append((one.group, f"{one.week:g}", one.outcome, *told, *own))
    return CsvTable("published", heads, tuple(rows))


def _effect(effect: Effect | None, name: str | None = None) -> tuple[Cell, ...]:
    return (name, None, None, None) if effect is None else (effect.name, effect.value, effect.low, effect.high)
