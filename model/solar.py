"""The SOLAR grades of one frame: grey-scale from what was found, power Doppler from the colour in its recess."""

from dataclasses import dataclass
from typing import Final

from model.doppler import find_flow, measure_flow
from model.findings import Findings
from model.frame import Frame
from model.grade import GradeRules, Learned, Pdus, Solar, combine, grade_gsus, grade_pdus
from model.measure import Measurement
from model.preprocess import Box

_NO_DOPPLER_SEEN: Final = "no Doppler picture: no flow, colour box or bar is seen, nor does the source tell one"
_COLOUR_LOST: Final = "the source tells of colour flow, but the picture is grey: export it in colour"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a grade rests on beside the picture: what was found and measured, and what the network learned to say."""

    findings: Findings
    measurements: tuple[Measurement, ...]
    learned: Learned


def grade_frame(frame: Frame, sector: Box, evidence: Evidence, rules: GradeRules) -> Solar:
    """All grades of a frame, each or the reason why there is none."""
    gsus = grade_gsus(evidence.findings, evidence.measurements, evidence.learned, frame.age_years, rules)
    pdus = _grade_doppler(frame, sector, evidence.findings, rules)
    return Solar(gsus, pdus, combine(gsus, pdus))


def _grade_doppler(frame: Frame, sector: Box, findings: Findings, rules: GradeRules) -> Pdus:
    recess = findings.structure("anterior_recess")
    if frame.colour is None:
        lost = any(region.shows_flow for region in frame.regions)
        return grade_pdus(None, _COLOUR_LOST if lost else "no Doppler picture", rules)
    if recess is None:
        return grade_pdus(None, findings.withheld or "anterior_recess not delineated", rules)
    flow = find_flow(frame, sector)
    if flow is None:
        return grade_pdus(None, _NO_DOPPLER_SEEN, rules)
    return grade_pdus(measure_flow(flow, recess), None, rules)
