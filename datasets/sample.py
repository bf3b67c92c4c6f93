"""Sample = Frame + Truth: a picture with what is known of it, who it shows and how it was taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.anatomy import GRADES, LANDMARK_NAMES, POINT_LANDMARK_NAMES, STRUCTURE_NAMES, View
from model.frame import Frame

ALL_LABELLED = STRUCTURE_NAMES
VESSEL = "vessel"
"""A class of partial labels: artery or vein, not told apart. In a mask it has the id VESSEL_ID."""
VESSEL_ID = 100


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of a frame.

    `mask` is uint8 (H, W) of structure ids, None where nothing was drawn; `labelled` names the classes it was drawn
    for. `landmarks_xy` is float64 (9, 2) in the order of anatomy.LANDMARKS, NaN rows where absent; `pointed` names the
    point landmarks that somebody looked for: of any other NaN says nothing. Distances in mm.
    """

    view: View
    mask: NDArray[np.uint8] | None
    landmarks_xy: NDArray[np.float64]
    gsus: int | None = None
    pdus: int | None = None
    capsule_distance_mm: float | None = None
    sagitta_mm: float | None = None
    sagitta_ratio: float | None = None
    flow_fraction: float | None = None
    labelled: tuple[str, ...] = ALL_LABELLED
    pointed: tuple[str, ...] = POINT_LANDMARK_NAMES

    def __post_init__(self) -> None:
        if self.landmarks_xy.shape != (len(LANDMARK_NAMES), 2):
            raise ValueError(f"landmarks_xy has shape ({len(LANDMARK_NAMES)}, 2), got {self.landmarks_xy.shape}")
        for name, grade in (("gsus", self.gsus), ("pdus", self.pdus)):
            if grade is not None and grade not in GRADES:
                raise ValueError(f"{name} must be one of {GRADES}, got {grade}")
        unknown = set(self.labelled) - {*STRUCTURE_NAMES, VESSEL}
        if unknown:
            raise ValueError(
                f"labelled names unknown classes {sorted(unknown)}; known: {STRUCTURE_NAMES} and {VESSEL!r}"
            )
        unknown = set(self.pointed) - set(POINT_LANDMARK_NAMES)
        if unknown:
            raise ValueError(f"pointed names unknown landmarks {sorted(unknown)}; known: {POINT_LANDMARK_NAMES}")


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How the picture was taken, where known: the factors a report is split by."""

    probe: str = "unknown"
    depth_mm: float | None = None
    frequency_mhz: float | None = None
    gain_db: float | None = None
    bmi: float | None = None
    flipped: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A labelled frame. `patient_id` is mandatory: no split without it."""

    frame: Frame
    truth: Truth
    patient_id: str
    study_id: str
    reader_id: str = ""
    acquisition: Acquisition = Acquisition()

    def __post_init__(self) -> None:
        if not self.patient_id:
            raise ValueError("a sample needs a patient_id: frames of one patient must stay on one side of a split")
        mask = self.truth.mask
        if mask is not None and mask.shape != self.frame.pixels.shape[:2]:
            raise ValueError(f"mask {mask.shape} and frame {self.frame.pixels.shape[:2]} differ in size")
