"""A hip judged over its frames: tallies of some of them, which add up to that of all, and the row that tells it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from model.anatomy import Laterality, View
from model.cine import CineGrade
from model.frame import Frame
from model.grade import Combined, GradeRules, Gsus, Pdus, capsule_percentile, combine
from model.measure import measured
from model.reading import Reading
from serving.archive.quality import frame_quality
from serving.archive.tables import FrameSource, HipRow

_NO_FLOW: Final = Pdus(None, None, "no Doppler picture")


@dataclass(frozen=True, slots=True, eq=False)
class Deciding:
    """A frame that may decide a hip, with its reading: what a person looks at."""

    source: FrameSource
    frame: Frame
    reading: Reading

    @property
    def place(self) -> tuple[str, int]:
        """The file's name in the archive, and the frame's number there."""
        return self.source.source, self.reading.frame.index


@dataclass(frozen=True, slots=True)
class Shown:
    """What a hip's row takes from the frame that decides it; `place` is the file's name and the frame's number."""

    place: tuple[str, int]
    evidence: str
    quality: float | None
    distance_mm: float | None
    spread_mm: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What some frames of a study say of a hip.

    `shown` are the frames of which one decides, whatever more frames say, by their number among the hip's;
    `quality_sum` and `reasons`, why there is no grade, are over the `view_frames` longitudinal ones.
    """

    hip: Laterality
    study: str
    patient_id: str
    study_date: str
    age_years: float | None
    frames: int
    view_frames: int
    quality_sum: float
    grade: CineGrade
    shown: dict[int, Shown]
    flow: Pdus
    reasons: dict[str, int]

    def joined(self, later: "Tally") -> "Tally":
        """That of the frames of both."""
        grade = self.grade.joined(later.grade, self.frames)
        both = self.shown | {number + self.frames: one for number, one in later.shown.items()}
        return replace(
            self,
            age_years=later.age_years if self.age_years is None else self.age_years,
            frames=self.frames + later.frames,
            view_frames=self.view_frames + later.view_frames,
            quality_sum=self.quality_sum + later.quality_sum,
            grade=grade,
            shown={number: both[number] for _, number in grade.best if number in both},
            flow=later.flow if _level(later.flow) > _level(self.flow) else self.flow,
            reasons={one: self.reasons.get(one, 0) + later.reasons.get(one, 0) for one in self.reasons | later.reasons},
        )

    @property
    def decided(self) -> Shown | None:
        """The frame that shows the hip's grade most clearly."""
        return None if self.grade.deciding is None else self.shown[self.grade.deciding]

    def row(self, rules: GradeRules) -> HipRow:
        """The hip's row, but for the difference to the other side."""
        decided, gsus = self.decided, self._gsus()
        combined = Combined(None) if decided is None else combine(gsus, self.flow)
        distance = None if decided is None else decided.distance_mm
        percentile = None
        if distance is not None and self.age_years is not None:
            percentile = capsule_percentile(distance, self.age_years, rules)
        return HipRow(
            study=self.study,
            patient_id=self.patient_id,
            study_date=self.study_date,
            hip=self.hip,
            age_years=self.age_years,
            frames=self.frames,
            view_frames=self.view_frames,
            graded_frames=self.grade.frames,
            gsus=gsus.grade,
            probabilities=gsus.probabilities,
            evidence=gsus.evidence,
            pdus_literal=self.flow.literal,
            pdus_calibrated=self.flow.calibrated,
            combined=combined.grade,
            review=combined.reason,
            reason=gsus.reason,
            capsule_distance_mm=distance,
            capsule_spread_mm=None if decided is None else decided.spread_mm,
            capsule_percentile=percentile,
            deciding_source=None if decided is None else decided.place[0],
            deciding_frame=None if decided is None else decided.place[1],
            quality=self.quality_sum / self.view_frames if self.view_frames else None,
            deciding_quality=None if decided is None else decided.quality,
        )

    def _gsus(self) -> Gsus:
        decided = self.decided
        if decided is None:
            return Gsus(None, (), "", self._why_not())
        return Gsus(self.grade.grade, self.grade.probabilities or (), decided.evidence)

    def _why_not(self) -> str:
        if not self.view_frames:
            return f"no anterior longitudinal view among {self.frames} frames"
        reason, count = max(self.reasons.items(), key=lambda one: one[1])
        return f"{reason} ({count} of {self.view_frames} longitudinal frames)"

    def as_json(self) -> dict[str, Any]:
        """As numbers and texts."""
        return asdict(self) | {"shown": [(number, asdict(one)) for number, one in self.shown.items()]}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Tally":
        """What `as_json` told."""
        grade = told["grade"]
        best = tuple((worth, number) for worth, number in grade["best"])
        shown = {number: Shown(**one | {"place": tuple(one["place"])}) for number, one in told["shown"]}
        known = {
            "hip": Laterality(told["hip"]), "grade": CineGrade(grade["frames"], tuple(grade["sums"]), best),
            "shown": shown, "flow": Pdus(**told["flow"]),
        }  # fmt: skip
        return cls(**told | known)


def tally_of(seen: Deciding) -> Tally:
    """What one frame says."""
    reading, identity, gsus = seen.reading, seen.source.identity, seen.reading.solar.gsus
    is_view = reading.view.name is View.LONGITUDINAL
    grade = CineGrade().seen(gsus, 0) if is_view else CineGrade()
    quality, (distance, spread) = frame_quality(reading), _distance(reading)
    return Tally(
        hip=seen.frame.laterality,
        study=seen.source.study,
        patient_id=identity.patient_id,
        study_date=identity.study_date,
        age_years=seen.frame.age_years,
        frames=1,
        view_frames=int(is_view),
        quality_sum=quality or 0.0,
        grade=grade,
        shown={0: Shown(seen.place, gsus.evidence, quality, distance, spread)} if grade.frames else {},
        flow=_NO_FLOW if reading.solar.pdus.calibrated is None else reading.solar.pdus,
        reasons={gsus.review or gsus.reason or "no grade": 1} if is_view and not grade.frames else {},
    )


def add_up(tallies: dict[Laterality, Tally], more: Iterable[Tally]) -> None:
    """Adds tallies of further frames to those of their hips."""
    for one in more:
        tallies[one.hip] = tallies[one.hip].joined(one) if one.hip in tallies else one


def hips_of(tallies: Iterable[Tally], rules: GradeRules) -> tuple[HipRow, ...]:
    """The rows of a study's hips by the tallies of all its frames, with the side difference where both have one."""
    whole: dict[Laterality, Tally] = {}
    add_up(whole, tallies)
    hips = [whole[side].row(rules) for side in Laterality if side in whole]
    distance = {hip.hip: hip.capsule_distance_mm for hip in hips}
    left, right = distance.get(Laterality.LEFT), distance.get(Laterality.RIGHT)
    if left is None or right is None:
        return tuple(hips)
    difference = {Laterality.LEFT: left - right, Laterality.RIGHT: right - left}
    return tuple(replace(hip, side_difference_mm=difference.get(hip.hip)) for hip in hips)


def _level(flow: Pdus) -> int:
    return -1 if flow.calibrated is None else flow.calibrated


def _distance(reading: Reading) -> tuple[float | None, float | None]:
    found = measured(reading.measurements, "capsule_distance")
    return (None, None) if found is None else (found.value, found.spread)
