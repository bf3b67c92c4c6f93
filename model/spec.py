"""NetworkSpec: what a network takes and gives; it travels inside the ONNX file's metadata.

The graph's contract (names fixed here, read by model.runtime and written by training.export):

    frame       uint8   (N, H, W)      grey, letterboxed, 0 outside the sector
    labels      uint8   (N, H, W)      id of the structure at each pixel, 0 background
    structures  float32 (N, S)         confidence 0..1 of each structure, 0 where it has no pixel
    landmarks   float32 (N, L, 4)      x, y in network pixels, confidence 0..1, spread (SD) in network pixels
    view        float32 (N, V)         calibrated probabilities
    gsus        float32 (N, 4)         calibrated probabilities of grades 0..3

A file may hold a second network, for strips along the neck (model.strip), whole and in base64 under STRIP_KEY:

    strip       uint8   (N, 176, 112)  grey, 0 beyond the picture
    edges       float32 (N, 2, 2, 112) of outer capsule and cortex the row in each column, and its SD in rows
    gsus        float32 (N, 4)         probabilities of grades 0..3, not calibrated
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from model.anatomy import POINT_LANDMARK_NAMES, STRUCTURE_NAMES, VIEWS

SPEC_FORMAT: Final = 1
METADATA_KEY: Final = "hipsono.spec"
INPUT_NAME: Final = "frame"
STRIP_KEY: Final = "hipsono.strip"
STRIP_INPUT: Final = "strip"
STRIP_OUTPUTS: Final = ("edges", "gsus")
OUTPUT_NAMES: Final = ("labels", "structures", "landmarks", "view", "gsus")


class SpecError(ValueError):
    """The file's metadata is not a spec this version can serve; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Below these confidences (0..1) a result is withheld, with the reason."""

    view: float = 0.9
    structure: float = 0.35
    landmark: float = 0.3
    grade: float = 0.4

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise SpecError(f"threshold {name} must be within 0..1, got {value}")


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Divisors of the logits, and the factor of the landmarks' spread; already applied inside the graph."""

    view: float = 1.0
    structures: float = 1.0
    gsus: float = 1.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise SpecError(f"temperature {name} must be positive, got {value}")


@dataclass(frozen=True, slots=True)
class CapsuleSpread:
    """The SD of a capsule distance in mm: `sure_mm` without doubt, growing with it as exp(`growth` x doubt), and no
    more than `widest_mm`: beyond it nothing was calibrated.

    Of outlines the doubt is what the anterior recess lacks of a confidence of 1, of a capsule that was followed along
    the neck the mean SD of its outer edge in mm.
    """

    sure_mm: float
    growth: float
    widest_mm: float

    def __post_init__(self) -> None:
        if not (0 < self.sure_mm <= self.widest_mm and self.growth >= 0):
            raise SpecError(f"capsule_spread is positive and does not fall with doubt, got {asdict(self)}")

    def at(self, doubt: float) -> float:
        """The SD in mm at a doubt of 0 or more."""
        return min(self.sure_mm * math.exp(min(self.growth * doubt, 50.0)), self.widest_mm)


@dataclass(frozen=True, slots=True)
class StripSpec:
    """What a reader must know of the network for strips: what it learnt from, how far its distances err, and how much
    its grade counts beside the first network's: probabilities are averaged by `gsus_share`, at a temperature of their
    own.
    """

    trained_on: str
    spread: CapsuleSpread | None = None
    gsus_share: float = 0.0
    gsus_temperature: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.gsus_share <= 1 and self.gsus_temperature > 0):
            raise SpecError(f"gsus_share is 0..1 and gsus_temperature positive, got {asdict(self)}")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything a reader must know of a network to use it.

    `centroid_spread` is the SD of a landmark that is a structure's centroid, as a share of the structure's radius
    (that of a disc of the same area). Without `capsule_spread` a capsule distance is told without its doubt.
    `gsus_of_two` is the temperature of the mean of two looks' grades, which the Reader applies. `network` is the name
    it is built by (training.networks), empty in older files. `strip` is of the second network, where the file has one.
    """

    name: str
    version: str
    trained_on: str
    input_height: int
    input_width: int
    thresholds: Thresholds = Thresholds()
    temperatures: Temperatures = Temperatures()
    centroid_spread: float = 0.1
    capsule_spread: CapsuleSpread | None = None
    gsus_of_two: float = 1.0
    network: str = ""
    strip: StripSpec | None = None
    structures: tuple[str, ...] = STRUCTURE_NAMES
    landmarks: tuple[str, ...] = POINT_LANDMARK_NAMES
    views: tuple[str, ...] = tuple(VIEWS)
    format: int = SPEC_FORMAT

    def __post_init__(self) -> None:
        if self.format != SPEC_FORMAT:
            raise SpecError(
                f"spec format {self.format}, expected {SPEC_FORMAT}: export the run again with this version"
            )
        expected = {"structures": STRUCTURE_NAMES, "landmarks": POINT_LANDMARK_NAMES, "views": tuple(VIEWS)}
        for field, names in expected.items():
            if getattr(self, field) != names:
                raise SpecError(
                    f"{field} of the network are {getattr(self, field)}, expected {names}: retrain and export"
                )
        if not self.gsus_of_two > 0:
            raise SpecError(f"gsus_of_two must be positive, got {self.gsus_of_two}")
        if min(self.input_height, self.input_width) < 32:
            raise SpecError(f"input is at least 32 x 32, got {self.input_height} x {self.input_width}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "NetworkSpec":
        """Raises SpecError for anything that is not a spec of this format."""
        try:
            raw: dict[str, Any] = json.loads(text)
            raw["thresholds"] = Thresholds(**raw["thresholds"])
            raw["temperatures"] = Temperatures(**raw["temperatures"])
            raw["capsule_spread"] = _spread(raw.get("capsule_spread"))
            if raw.get("strip") is not None:
                raw["strip"] = StripSpec(**{**raw["strip"], "spread": _spread(raw["strip"]["spread"])})
            for field in ("structures", "landmarks", "views"):
                raw[field] = tuple(raw[field])
            return cls(**raw)
        except SpecError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(f"unreadable spec in the file's metadata ({error}): export the run again") from error


def _spread(raw: dict[str, float] | None) -> CapsuleSpread | None:
    return None if raw is None else CapsuleSpread(**raw)
