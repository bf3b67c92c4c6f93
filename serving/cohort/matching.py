"""Which study is a visit's, and which of its hips is asked for; where none is, the reason."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from model.anatomy import Laterality
from serving.cohort.design import Visit
from serving.cohort.readings import HipReading, Study


class Side(StrEnum):
    """Which hip of a patient is tabled: the index hip, or the other as its control. Never both as independent."""

    INDEX = "index"
    OTHER = "other"


class Stage(StrEnum):
    """Where a visit was lost, in the order of the flow."""

    EXCLUDED = "excluded by the design"
    NO_STUDY = "no study"
    NO_HIP = "no such hip in the study"
    NOT_GRADED = "not gradable"


@dataclass(frozen=True, slots=True)
class Loss:
    """Why the machine says nothing of a visit; `study` where it has one that tells nothing."""

    stage: Stage
    reason: str
    study: str | None = None


_OPPOSITE = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}


def match_patient(visits: tuple[Visit, ...], studies: Iterable[Study]) -> tuple[Study | Loss, ...]:
    """For each visit of one patient its study, or the loss; `studies` are those of the archive.

    A visit's own study first, then its date. Where no visit of the patient has either, the patient's studies by date
    are the visits that are not excluded, in order, but only where there are as many and each has a date of its own.
    A study that is two visits' is neither's.
    """
    everything = tuple(studies)
    by_name = {study.study: study for study in everything}
    own = [study for study in everything if study.patient_id == visits[0].patient.patient_id]
    in_order = {} if any(v.study or v.day for v in visits) else _in_order(visits, own)
    found = [_match(visit, own, by_name, in_order) for visit in visits]
    told = zip(visits, _once(visits, found), strict=True)
    return tuple(Loss(Stage.EXCLUDED, visit.excluded) if visit.excluded else one for visit, one in told)


def _once(visits: tuple[Visit, ...], found: list[Study | Loss]) -> list[Study | Loss]:
    """What was found, with a loss for a study that is named in one row and dated in another: which of them is wrong
    nobody can tell.
    """
    rows: dict[str, list[Visit]] = defaultdict(list)
    for visit, one in zip(visits, found, strict=True):
        if isinstance(one, Study):
            rows[one.study].append(visit)
    return [_shared(one, rows[one.study]) if isinstance(one, Study) else one for one in found]


def _shared(study: Study, visits: list[Visit]) -> Study | Loss:
    if len(visits) == 1:
        return study
    rows = " and ".join(f"visit {visit.week:g} (row {visit.row})" for visit in visits)
    return Loss(Stage.NO_STUDY, f"study {study.study} is that of {rows}: name each visit's own", study.study)


def _match(
    visit: Visit, own: list[Study], by_name: dict[str, Study], in_order: dict[float, Study | Loss]
) -> Study | Loss:
    if visit.study:
        return _by_name(visit, by_name)
    if not own:
        return Loss(Stage.NO_STUDY, "no study of this patient")
    if visit.day is not None:
        return _by_day(visit, own)
    lost = Loss(Stage.NO_STUDY, "the row has neither date nor study, though other rows of the patient have")
    return in_order.get(visit.week, lost)


def _by_name(visit: Visit, by_name: dict[str, Study]) -> Study | Loss:
    found = by_name.get(visit.study or "")
    if found is None:
        return Loss(Stage.NO_STUDY, f"no study {visit.study}")
    if found.patient_id and found.patient_id != visit.patient.patient_id:
        return Loss(Stage.NO_STUDY, f"study {visit.study} is of another patient")
    if visit.day is not None and found.day not in (None, visit.day):
        return Loss(Stage.NO_STUDY, f"study {visit.study} is of {found.day}, the row says {visit.day}", found.study)
    return found


def _by_day(visit: Visit, own: list[Study]) -> Study | Loss:
    on_day = [study for study in own if study.day == visit.day]
    if len(on_day) == 1:
        return on_day[0]
    if on_day:
        return Loss(Stage.NO_STUDY, f"{len(on_day)} studies on {visit.day}: name one in the column study")
    return Loss(Stage.NO_STUDY, f"no study on {visit.day}, but {len(own)} on other days")


def _in_order(visits: tuple[Visit, ...], own: list[Study]) -> dict[float, Study | Loss]:
    expected = [visit for visit in visits if not visit.excluded]
    by_day = {study.day: study for study in own}
    if len(own) != len(expected):
        lost = Loss(Stage.NO_STUDY, f"{len(own)} studies for {len(expected)} visits, and no dates in the design")
    elif None in by_day or len(by_day) < len(own):
        lost = Loss(Stage.NO_STUDY, "studies without a date of their own cannot be put in order")
    else:
        ordered = sorted(own, key=lambda study: study.day or date.max)
        return {visit.week: study for visit, study in zip(expected, ordered, strict=True)}
    return {visit.week: lost for visit in expected}


def pick_hip(study: Study, index: Laterality, side: Side) -> tuple[HipReading | Loss, str | None]:
    """The hip asked for, or the loss; and what has to be told of the choice.

    The one hip of a study that does not say its side is taken for the index hip.
    """
    wanted = index if side is Side.INDEX else _OPPOSITE[index]
    found = next((hip for hip in study.hips if hip.hip is wanted), None)
    if found is not None:
        return found, None
    unknown = [hip for hip in study.hips if hip.hip is Laterality.UNKNOWN]
    if side is Side.INDEX and unknown and len(study.hips) == 1:
        return unknown[0], "its side is not told; taken for the index hip, the only one of the study"
    present = ", ".join(hip.hip for hip in study.hips)
    return Loss(Stage.NO_HIP, f"no {wanted} hip; the study has {present}"), None
