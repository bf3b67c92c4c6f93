"""The whole analysis on one screen: a joined trial -> every table of its report."""

from dataclasses import dataclass

from serving.cohort.agreement import (
    Conclusion,
    DistanceAgreement,
    GradeAgreement,
    MeanPair,
    OutcomeTests,
    conclusions_agree,
    distances_agree,
    grades_agree,
    means_agree,
)
from serving.cohort.between import differences_between
from serving.cohort.model import fit
from serving.cohort.outcomes import (
    DISTANCE,
    OUTCOMES,
    QUALITY,
    READER_DISTANCE,
    READER_SOLAR,
    SOLAR,
    WITH_REVIEW,
    Cohort,
    Flow,
    Grid,
    Outcome,
    flows,
    grid,
)
from serving.cohort.summaries import Summary, Trait, summarise, who_took_part
from serving.cohort.within import changes_within


@dataclass(frozen=True, slots=True)
class OutcomeAnalysis:
    """Everything of one outcome."""

    outcome: Outcome
    grid: Grid
    summaries: tuple[Summary, ...]
    tests: OutcomeTests


@dataclass(frozen=True, slots=True)
class Agreement:
    """Machine beside reader; each empty where the reader noted nothing."""

    grades: tuple[GradeAgreement, ...] = ()
    distances: tuple[DistanceAgreement, ...] = ()
    means: tuple[MeanPair, ...] = ()
    conclusions: tuple[Conclusion, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The grade once more with the `added` hips that are under review at their learned grade, and every test by both:
    the primary analysis as the machine's, this one as the reader's.
    """

    analysis: OutcomeAnalysis
    added: int
    conclusions: tuple[Conclusion, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A trial's tables; `outcomes` those that anybody has, in the order of OUTCOMES.

    `quality` of the pictures is empty where the readings do not tell it, `sensitivity` None where no hip is missing
    for review.
    """

    cohort: Cohort
    flows: tuple[Flow, ...]
    traits: tuple[Trait, ...]
    outcomes: tuple[OutcomeAnalysis, ...]
    agreement: Agreement
    quality: tuple[Summary, ...] = ()
    sensitivity: Sensitivity | None = None

    @property
    def summaries(self) -> tuple[Summary, ...]:
        return tuple(summary for one in self.outcomes for summary in one.summaries)


def analyse(cohort: Cohort) -> Analysis:
    """Every outcome that anybody has, tested; then machine beside reader."""
    grids = [(outcome, found) for outcome in OUTCOMES if (found := grid(cohort, outcome)) is not None]
    outcomes = tuple(_outcome(outcome, found) for outcome, found in grids)
    first = cohort.design.weeks[0]
    at_first = tuple(one for outcome in outcomes for one in outcome.summaries if one.week == first)
    quality = grid(cohort, QUALITY)
    return Analysis(
        cohort,
        flows(cohort),
        who_took_part(cohort, at_first),
        outcomes,
        _agreement(outcomes),
        () if quality is None else summarise(quality),
        _sensitivity(cohort, outcomes),
    )


def _sensitivity(cohort: Cohort, outcomes: tuple[OutcomeAnalysis, ...]) -> Sensitivity | None:
    primary = next((one for one in outcomes if one.outcome is SOLAR), None)
    found = grid(cohort, WITH_REVIEW)
    added = sum(record.value(SOLAR) is None and record.value(WITH_REVIEW) is not None for record in cohort.records)
    if found is None or not added:
        return None
    one = _outcome(WITH_REVIEW, found)
    conclusions = () if primary is None else conclusions_agree(WITH_REVIEW.key, primary.tests, one.tests)
    return Sensitivity(one, added, conclusions)


def _outcome(outcome: Outcome, found: Grid) -> OutcomeAnalysis:
    tests = OutcomeTests(changes_within(found), differences_between(found), fit(found.course))
    return OutcomeAnalysis(outcome, found, summarise(found), tests)


def _agreement(outcomes: tuple[OutcomeAnalysis, ...]) -> Agreement:
    by_outcome = {one.outcome: one for one in outcomes}
    pairs = [
        (by_outcome[machine], by_outcome[reader])
        for machine, reader in ((SOLAR, READER_SOLAR), (DISTANCE, READER_DISTANCE))
        if machine in by_outcome and reader in by_outcome
    ]
    grades = [grades_agree(ours.grid, theirs.grid) for ours, theirs in pairs if ours.outcome is SOLAR]
    distances = [distances_agree(ours.grid, theirs.grid) for ours, theirs in pairs if ours.outcome is DISTANCE]
    return Agreement(
        tuple(one for told in grades for one in told),
        tuple(one for told in distances for one in told),
        tuple(one for ours, theirs in pairs for one in means_agree(ours.grid, theirs.grid)),
        tuple(c for ours, theirs in pairs for c in conclusions_agree(ours.outcome.key, ours.tests, theirs.tests)),
    )
