"""One frame's reading against its truth."""

import warnings
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from numpy.typing import NDArray

from datasets.sample import ALL_LABELLED, VESSEL, VESSEL_ID, Acquisition, Sample
from model.anatomy import LANDMARKS, STRUCTURES, View, structure
from model.frame import Spacing
from model.measure import measured
from model.reading import Reader, Reading, paint_mask

warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)  # a call of MONAI's own

MIN_TRUTH_PX: Final = 40
"""A structure of fewer pixels in the truth is too small to be asked for."""
TOLERANCE_MM: Final = 1.0
NAN: Final = float("nan")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StructureScore:
    """A structure on one frame. `labelled`: somebody looked for it; `wanted`: the truth shows enough of it to ask for.

    `dice`, `nsd` (surface Dice at 1 mm) and `hd95_mm` are NaN where it is not wanted, the latter two also without a
    scale; not found it has Dice and NSD 0 and an infinite distance. `precision` is the share of the reading's pixels
    that are right, what its `confidence` claims; both NaN where it was not found.
    """

    labelled: bool = False
    wanted: bool = False
    found: bool = False
    dice: float = NAN
    nsd: float = NAN
    hd95_mm: float = NAN
    confidence: float = NAN
    precision: float = NAN


@dataclass(frozen=True, slots=True)
class GradeScore:
    """The grey-scale grade: truth, the answer (None withheld), the likeliest grade and its probability.

    `review`: the capsule's measured shape contradicts the answer.
    """

    truth: int | None = None
    told: int | None = None
    likeliest: int | None = None
    confidence: float = NAN
    review: bool = False


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame's comparison; `structures` and `landmark_*` in the order of the anatomy's tables.

    Landmark errors are in mm: NaN where the truth has none (or no scale), infinite where it was not found; confidence
    and spread are NaN there. `landmark_false`: told although it was looked for and is not there; None not looked for.
    """

    index: int
    patient: str
    view: View
    told_view: View
    view_confidence: float
    structures: tuple[StructureScore, ...]
    landmark_error_mm: tuple[float, ...]
    landmark_spread_mm: tuple[float, ...]
    landmark_confidence: tuple[float, ...]
    landmark_false: tuple[bool | None, ...]
    gsus: GradeScore = GradeScore()
    distance_mm: float | None = None
    told_distance_mm: float | None = None
    told_distance_spread_mm: float | None = None
    vessel_dice: float = NAN
    age_years: float | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)

    @property
    def mean_dice(self) -> float:
        """Over the structures asked for; NaN where there are none."""
        dice = [s.dice for s in self.structures if s.wanted]
        return float(np.mean(dice)) if dice else NAN

    @property
    def badness(self) -> float:
        """How wrong the reading is, for finding the worst: a grade or a centimetre off weighs as much as all structures
        lost, another view twice that.
        """
        dice, grade = self.mean_dice, self.gsus
        off = abs(grade.truth - grade.told) if grade.truth is not None and grade.told is not None else 0
        lost = 1 - dice if np.isfinite(dice) else float(any(s.labelled and s.found for s in self.structures))
        return lost + off + self._millimetres_off / 10 + 2.0 * (self.view is not self.told_view)

    @property
    def _millimetres_off(self) -> float:
        """The largest error of a landmark or of the capsule's distance that was told."""
        errors = [e for e in self.landmark_error_mm if np.isfinite(e)]
        if self.distance_mm is not None and self.told_distance_mm is not None:
            errors.append(abs(self.distance_mm - self.told_distance_mm))
        return max(errors, default=0.0)


def score_frame(index: int, sample: Sample, reader: Reader) -> FrameScore:
    """Reads a labelled frame and compares."""
    reading = reader.read(sample.frame)
    truth = sample.truth
    raw = reader.raw_mask(sample.frame) if VESSEL in truth.labelled else None
    errors, spreads, confidences = _landmarks(sample, reading)
    probabilities = reading.solar.gsus.probabilities
    distance = measured(reading.measurements, "capsule_distance")
    return FrameScore(
        index=index,
        patient=sample.patient_id,
        view=truth.view,
        told_view=reading.view.name,
        view_confidence=reading.view.confidence,
        structures=_structures(sample, reading),
        landmark_error_mm=errors,
        landmark_spread_mm=spreads,
        landmark_confidence=confidences,
        landmark_false=_false_landmarks(sample, reading),
        gsus=GradeScore(
            truth.gsus,
            reading.solar.gsus.grade,
            int(np.argmax(probabilities)) if probabilities else None,
            max(probabilities, default=NAN),
            reading.solar.gsus.review is not None,
        ),
        distance_mm=truth.capsule_distance_mm,
        told_distance_mm=distance.value if distance else None,
        told_distance_spread_mm=distance.spread if distance else None,
        vessel_dice=NAN if raw is None or truth.mask is None else _vessel_dice(truth.mask, raw),
        age_years=sample.frame.age_years,
        acquisition=sample.acquisition,
    )


def _structures(sample: Sample, reading: Reading) -> tuple[StructureScore, ...]:
    truth = sample.truth
    mask = truth.mask if truth.mask is not None else np.zeros(sample.frame.pixels.shape[:2], np.uint8)
    told = paint_mask(reading)
    confidences = {found.name: found.confidence for found in reading.structures}
    spacing = reading.frame.spacing_mm
    return tuple(
        compare_masks(mask == one.id, told == one.id, spacing, confidences.get(one.name, NAN))
        if truth.mask is not None and one.name in truth.labelled
        else StructureScore(found=one.name in confidences)
        for one in STRUCTURES
    )


def compare_masks(truth: Mask, told: Mask, spacing_mm: Spacing | None, confidence: float = NAN) -> StructureScore:
    """A labelled structure's truth and reading, both (H, W)."""
    common, here, there = int((truth & told).sum()), int(truth.sum()), int(told.sum())
    precision = common / there if there else NAN
    wanted, found = here >= MIN_TRUTH_PX, there > 0
    if not wanted:
        return StructureScore(True, False, found, confidence=confidence, precision=precision)
    if not found:
        return StructureScore(True, True, False, 0.0, 0.0 if spacing_mm else NAN, float("inf") if spacing_mm else NAN)
    nsd, hd95 = _surfaces(truth, told, spacing_mm) if spacing_mm else (NAN, NAN)
    return StructureScore(True, True, True, 2 * common / (here + there), nsd, hd95, confidence, precision)


def _surfaces(truth: Mask, told: Mask, spacing_mm: Spacing) -> tuple[float, float]:
    """Surface Dice at the tolerance and the 95th percentile of the Hausdorff distance in mm (MONAI)."""
    rows, columns = np.nonzero(truth | told)
    box = np.s_[max(rows.min() - 2, 0) : rows.max() + 3, max(columns.min() - 2, 0) : columns.max() + 3]
    here, there = (torch.from_numpy(m[box].copy())[None, None].float() for m in (truth, told))
    spacing = list(spacing_mm)
    nsd = compute_surface_dice(there, here, [TOLERANCE_MM], include_background=True, spacing=spacing)
    hd95 = compute_hausdorff_distance(there, here, include_background=True, percentile=95, spacing=spacing)
    return float(nsd), float(hd95)


def _vessel_dice(mask: NDArray[np.uint8], raw: NDArray[np.uint8]) -> float:
    """Dice of artery and vein taken together, of the network's own mask: the frame need not be a hip view."""
    here = mask == VESSEL_ID
    there = np.isin(raw, [structure(name).id for name in ("femoral_artery", "femoral_vein")])
    if here.sum() < MIN_TRUTH_PX:
        return NAN
    return float(2 * (here & there).sum() / (here.sum() + there.sum()))


def _landmarks(sample: Sample, reading: Reading) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Errors and spreads in mm, and confidences, in the order of LANDMARKS."""
    told = {point.name: point for point in reading.landmarks}
    errors, spreads = [], []
    for landmark, (x, y) in zip(LANDMARKS, sample.truth.landmarks_xy, strict=True):
        spacing = sample.frame.spacing_at(x, y) if np.isfinite(x) else None
        at = told.get(landmark.name)
        if spacing is None:
            errors.append(NAN)
        elif at is None:
            errors.append(float("inf"))
        else:
            errors.append(float(np.hypot((at.x - x) * spacing[1], (at.y - y) * spacing[0])))
        known = at is not None and spacing is not None and at.spread_px > 0
        spreads.append(at.spread_px * spacing[1] if known and at and spacing else NAN)
    confidences = (told[landmark.name].confidence if landmark.name in told else NAN for landmark in LANDMARKS)
    return tuple(errors), tuple(spreads), tuple(confidences)


def _false_landmarks(sample: Sample, reading: Reading) -> tuple[bool | None, ...]:
    """Of landmarks that were looked for: points that are named so, and centroids where every structure was drawn."""
    told = {point.name for point in reading.landmarks}
    if set(sample.truth.labelled) != set(ALL_LABELLED):
        return (None,) * len(LANDMARKS)
    places = zip(LANDMARKS, sample.truth.landmarks_xy, strict=True)
    known = (one.centroid_of is not None or one.name in sample.truth.pointed for one in LANDMARKS)
    return tuple(
        one.name in told if sought and not np.isfinite(x + y) else None
        for sought, (one, (x, y)) in zip(known, places, strict=True)
    )
