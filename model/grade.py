"""SOLAR grades: the rules as versioned data, the evidence in words, and "not gradable" with its reason.

Sources: SOLAR hip grey-scale score, doi 10.1186/1471-2474-14-358 (shape of the capsule, never millimetres alone);
power-Doppler counts after OMERACT and measured colour fractions after PMID 26070943; combined grade after
EULAR-OMERACT 2017, doi 10.1136/rmdopen-2016-000428; normal capsule distance after Zuber 2017,
doi 10.1186/s12969-017-0136-6 (its first and last age bands, medians and tenths; a straight line between them is ours).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.anatomy import View
from model.doppler import Flow
from model.findings import Findings
from model.measure import Measurement, measured

SHAPES: Final = ("capsule normal", "capsule distended, concave", "capsule straight", "capsule convex")
_TENTH_SD: Final = NormalDist().inv_cdf(0.9)
_GRADES_OF_SHAPE: Final = {"concave": (0, 1), "straight": (2, 2), "convex": (3, 3)}


@dataclass(frozen=True, slots=True)
class GradeRules:
    """All that grades depend on; a capsule is straight while its sagitta is under `straight_ratio` of its chord."""

    version: str = "2"
    straight_ratio: float = 0.025
    literal_half: float = 0.5
    calibrated_fractions: tuple[float, float] = (0.06, 0.12)
    normal_at_birth_mm: float = 3.7
    normal_at_sixteen_mm: float = 6.7
    normal_tenths_at_birth_mm: tuple[float, float] = (3.3, 4.2)
    normal_tenths_at_sixteen_mm: tuple[float, float] = (5.8, 7.3)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What the network says of the grade: probabilities (4,), and the threshold below which it is withheld."""

    probabilities: NDArray[np.float32]
    threshold: float


@dataclass(frozen=True, slots=True)
class Gsus:
    """Grey-scale grade 0..3 with the probability of each; `grade` None with its reason where not gradable.

    `shape` is the capsule's measured shape (concave, straight, convex; None unmeasured), `review` why a person should
    look: the learned grade and the measured shape lie more than one grade apart.
    """

    grade: int | None
    probabilities: tuple[float, ...]
    evidence: str
    reason: str | None = None
    shape: str | None = None
    review: str | None = None


@dataclass(frozen=True, slots=True)
class Pdus:
    """Power-Doppler grades 0..3 by the literal (50 %) and the calibrated reading; None with the reason."""

    literal: int | None
    calibrated: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Combined:
    """The higher of GSUS and PDUS; a reason where it is absent or wants a person's review."""

    grade: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Solar:
    """The SOLAR grades of one frame."""

    gsus: Gsus
    pdus: Pdus
    combined: Combined


def grade_gsus(
    findings: Findings,
    measurements: tuple[Measurement, ...],
    learned: Learned,
    age_years: float | None,
    rules: GradeRules,
) -> Gsus:
    """The learned grade with the measured shape as its evidence; not gradable where the recess is not delineated."""
    reason = findings.withheld or why_not_gradable(findings)
    if reason is not None:
        return Gsus(None, (), "", reason)
    told = tuple(float(p) for p in learned.probabilities)
    best = int(np.argmax(learned.probabilities))
    evidence = _evidence(best, measurements, age_years, rules)
    shape = measured_shape(measurements, rules)
    if told[best] < learned.threshold:
        return Gsus(None, told, evidence, f"grade uncertain ({told[best]:.2f}, needs {learned.threshold:.2f})", shape)
    return Gsus(best, told, evidence, shape=shape, review=_disagreement(best, shape))


def measured_shape(measurements: tuple[Measurement, ...], rules: GradeRules) -> str | None:
    """The capsule's shape by its sagitta over its chord; None where that was not measured."""
    ratio = measured(measurements, "capsule_sagitta_ratio")
    return None if ratio is None or ratio.value is None else shape_of(ratio.value, rules)


def shape_of(ratio: float, rules: GradeRules) -> str:
    """The capsule's shape by its sagitta over its chord, positive towards the probe."""
    if abs(ratio) < rules.straight_ratio:
        return "straight"
    return "convex" if ratio > 0 else "concave"


def _disagreement(grade: int, shape: str | None) -> str | None:
    if shape is None:
        return f"review: grade {grade} was learned, the capsule's shape could not be measured"
    low, high = _GRADES_OF_SHAPE[shape]
    apart = max(low - grade, grade - high, 0)
    return f"review: grade {grade} was learned, the capsule is {shape}" if apart > 1 else None


def why_not_gradable(findings: Findings) -> str | None:
    """Why the findings cannot carry a grade: wrong view, or a joint that is not delineated; None where they can."""
    if findings.view is not View.LONGITUDINAL:
        return f"SOLAR is graded in {View.LONGITUDINAL}, this is {findings.view}"
    for name in ("anterior_recess", "femoral_neck"):
        if findings.structure(name) is None:
            return f"{name} not delineated"
    junction, insertion = findings.landmark("head_neck_junction"), findings.landmark("capsule_insertion")
    if junction is None or insertion is None:
        return "the ends of the recess were not found"
    rim = findings.landmark("acetabular_rim")
    if rim is not None and (rim.x - junction.x) * (junction.x - insertion.x) <= 0:
        return "acetabular rim, head-neck junction and insertion do not follow one another"
    return None


def grade_pdus(flow: Flow | None, reason: str | None, rules: GradeRules) -> Pdus:
    """Both readings of the flow within the recess; absent, not 0, without a Doppler picture."""
    if flow is None:
        return Pdus(None, None, reason)
    return Pdus(_literal(flow, rules), _calibrated(flow, rules))


def _literal(flow: Flow, rules: GradeRules) -> int:
    single, confluent = flow.single_spots, flow.confluent_spots
    if single + confluent == 0:
        return 0
    if flow.fraction > rules.literal_half:
        return 3
    few = (confluent == 0 and single <= 3) or (confluent <= 2 and single == 0) or (confluent == 1 and single <= 2)
    return 1 if few else 2


def _calibrated(flow: Flow, rules: GradeRules) -> int:
    if flow.fraction == 0:
        return 0
    return 1 + int(np.searchsorted(rules.calibrated_fractions, flow.fraction, side="left"))


def combine(gsus: Gsus, pdus: Pdus) -> Combined:
    """EULAR-OMERACT: the higher of both; an absent Doppler picture never lowers GSUS."""
    if gsus.grade is None:
        return Combined(None, gsus.reason)
    if gsus.review is not None:
        return Combined(None, gsus.review)
    if pdus.calibrated is None:
        return Combined(gsus.grade)
    if gsus.grade == 0 and pdus.calibrated > 0:
        return Combined(None, "review: flow in a recess of grey-scale grade 0 is not defined")
    return Combined(max(gsus.grade, pdus.calibrated))


def normal_capsule_distance_mm(age_years: float, rules: GradeRules) -> float:
    """Median capsule distance of healthy hips at an age."""
    return float(np.interp(age_years, (0.5, 16.0), (rules.normal_at_birth_mm, rules.normal_at_sixteen_mm)))


def capsule_percentile(distance_mm: float, age_years: float, rules: GradeRules) -> float:
    """The share, in percent, of healthy hips of an age whose capsule distance is smaller.

    A normal distribution on each side of the median, through the published 10th and 90th percentiles (Zuber 2017).
    """
    median = normal_capsule_distance_mm(age_years, rules)
    side = 0 if distance_mm < median else 1
    ends = (rules.normal_tenths_at_birth_mm[side], rules.normal_tenths_at_sixteen_mm[side])
    tenth = float(np.interp(age_years, (0.5, 16.0), ends))
    return 100 * NormalDist(median, abs(tenth - median) / _TENTH_SD).cdf(distance_mm)


def _evidence(grade: int, measurements: tuple[Measurement, ...], age_years: float | None, rules: GradeRules) -> str:
    words = SHAPES[grade]
    ratio, distance = measured(measurements, "capsule_sagitta_ratio"), measured(measurements, "capsule_distance")
    if ratio is not None and ratio.value is not None:
        words += f" (measured {measured_shape(measurements, rules)}, sagitta {100 * ratio.value:.0f} % of chord)"
    if distance is not None:
        spread = distance.spread
        words += f", {distance.value:.1f} mm" if spread is None else f", {distance.value:.1f} mm (SD {spread:.1f})"
        if age_years is not None:
            words += f" (median at this age {normal_capsule_distance_mm(age_years, rules):.1f} mm)"
    return words
