"""`hipsono cohort` and `hipsono plausible` from the command line: a report, a summary, what was lost by name."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.cohort.agreement import MeanPair
from serving.cohort.analysis import Analysis, analyse
from serving.cohort.design import read_design
from serving.cohort.identity import renamed
from serving.cohort.matching import Side, Stage
from serving.cohort.outcomes import DISTANCE, SOLAR, join
from serving.cohort.published import read_published
from serving.cohort.readings import Origin, read_readings
from serving.cohort.report import write_report

_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for: readings of `hipsono grade`, a design file, a report's folder; printed summaries to check."""

    readings: Path
    design: Path
    report: Path
    side: Side = Side.INDEX
    published: Path | None = None
    identity: Path | None = None
    """The private folder of a de-identified run, where the design bears the originals' names."""


def report_cohort(job: Job, say: Callable[[str], None]) -> int:
    """Writes the report and says what is in it; 0 where every visit that counts has its study and hip, else 1.

    Raises ValueError for files that cannot be used.
    """
    readings = read_readings(job.readings)
    design = read_design(job.design)
    if job.identity is not None:
        design = renamed(design, job.identity, readings.origin)
    cohort = join(design, readings, job.side)
    if all(record.study is None for record in cohort.records):
        reasons = Counter(record.loss.reason for record in cohort.records if record.loss is not None)
        reason, count = reasons.most_common(1)[0]
        hint = "; they are de-identified: add --identity OUT/private" if _lacks_key(job, readings.origin) else ""
        raise ValueError(f"{job.design} and {job.readings} have nothing in common: {reason} ({count} visits){hint}")
    if not readings.origin.finished:
        say(f"{job.readings} is not finished: hipsono grade --resume goes on with it")
    analysis = analyse(cohort)
    published = read_published(job.published, analysis.summaries) if job.published else ()
    write_report(analysis, published, readings.origin, job.report)
    _sum_up(analysis, say)
    for one in published:
        say(f"published {one.group}, week {one.week:g}, {one.outcome}: {one.verdict}; {one.plausibility.words}")
    say(f"{job.report / 'index.html'} shows it all")
    absent = {Stage.NO_STUDY, Stage.NO_HIP}
    return 1 if any(record.loss is not None and record.loss.stage in absent for record in cohort.records) else 0


def _lacks_key(job: Job, origin: Origin) -> bool:
    return job.identity is None and bool(origin.deidentified)


def _sum_up(analysis: Analysis, say: Callable[[str], None]) -> None:
    cohort = analysis.cohort
    graded = sum(flow.graded for flow in analysis.flows)
    say(f"{len(cohort.design.patients)} patients, {len(cohort.records)} visits, {graded} with a grade")
    for column in cohort.design.unused:
        say(f"column {column} of the design is not used")
    for week in cohort.design.unscheduled:
        say(f"fewer than half of the patients have a visit at week {week:g}: tests over all visits leave it out")
    if cohort.strangers:
        say(f"{len(cohort.strangers)} studies are of nobody in the design")
    for one in cohort.unmatched[:_NAMED]:
        say(f"  {one.told} is no visit's")
    if len(cohort.unmatched) > _NAMED:
        say(f"  and {len(cohort.unmatched) - _NAMED} more studies that are no visit's in exclusions.csv")
    lost = [record for record in cohort.records if record.loss is not None]
    for record in lost[:_NAMED]:
        assert record.loss is not None, "only lost visits are listed"
        where = f"{record.visit.patient.patient_id}, week {record.visit.week:g}"
        say(f"  {where}: {record.loss.stage}: {record.loss.reason}")
    if len(lost) > _NAMED:
        say(f"  and {len(lost) - _NAMED} more in exclusions.csv")
    if analysis.sensitivity is not None:
        say(f"{analysis.sensitivity.added} hips are missing for review: the report tells what if they were not")
    _beside_the_reader(analysis, say)


def _beside_the_reader(analysis: Analysis, say: Callable[[str], None]) -> None:
    """The figures by which machine and reader are compared, where the reader noted something."""
    agreement = analysis.agreement
    for outcome, unit in ((SOLAR, ""), (DISTANCE, " mm")):
        means = [mean for mean in agreement.means if mean.outcome == outcome.key]
        tests = [test for test in agreement.conclusions if test.outcome == outcome.key]
        if means:
            say(f"{outcome.label}, machine less reader, means of groups: {', '.join(_apart(m, unit) for m in means)}")
        if tests:
            say(f"  {sum(test.alike for test in tests)} of {len(tests)} tests come to the reader's verdict")
    for told in agreement.distances[:1]:
        limits = f"{told.lower.value:+.2f} to {told.upper.value:+.2f} mm"
        say(f"Capsule distance, machine less reader: bias {told.bias.value:+.2f}, limits {limits}, n = {told.n}")
    for grades in agreement.grades[:1]:
        kappa = "none" if grades.kappa is None else f"{grades.kappa.value:.3f}"
        shares = f"exact {grades.exact_percent:.1f} %, within one {grades.within_one_percent:.1f} %"
        say(f"SOLAR grade: kappa {kappa}, {shares}, n = {grades.n}")


def _apart(mean: MeanPair, unit: str) -> str:
    return f"{mean.group} week {mean.week:g} {mean.difference:+.3f}{unit}"
