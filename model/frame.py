"""The picture as it arrived: pixels, calibration by region, and what the source said of it."""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import Laterality

MIN_SIDE_PX: Final = 32
MAX_SPACING_MM: Final = 5.0

Spacing = tuple[float, float]
"""(row, column) in mm per pixel: the distance between neighbouring rows, then between neighbouring columns."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the picture that shows tissue, pixel bounds inclusive, with its scale where one is known.

    `shows_flow`: the source says that colour flow was on there (DICOM's region data type 2), seen or not.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    spacing_mm: Spacing | None = None
    shows_flow: bool = False

    def __post_init__(self) -> None:
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise ValueError(f"region bounds must be ordered, got x {self.x0}..{self.x1}, y {self.y0}..{self.y1}")
        if self.spacing_mm is not None:
            check_spacing(self.spacing_mm)

    def holds(self, x: float, y: float) -> bool:
        """Whether the point lies on the region's pixels (each pixel reaches half a pixel around its centre)."""
        return self.x0 - 0.5 <= x <= self.x1 + 0.5 and self.y0 - 0.5 <= y <= self.y1 + 0.5

    @property
    def area_px(self) -> int:
        return (self.x1 - self.x0 + 1) * (self.y1 - self.y0 + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture. `pixels` is uint8 (H, W) grey, or (H, W, 3) RGB where the source had colour.

    `regions` are the parts that show tissue, each with its own scale; empty means the whole picture, scale unknown.
    `spacing_source` tells where a scale came from ("dicom-region", "request", "phantom"), None without one.
    """

    pixels: NDArray[np.uint8]
    regions: tuple[Region, ...] = ()
    spacing_source: str | None = None
    source: str = ""
    index: int = 0
    laterality: Laterality = Laterality.UNKNOWN
    age_years: float | None = None
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8:
            raise ValueError(f"a frame's pixels are uint8, got {self.pixels.dtype}: window the picture to 8 bits first")
        shape = self.pixels.shape
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
            raise ValueError(f"a frame is (H, W) grey or (H, W, 3) RGB, got shape {shape}")
        if min(shape[:2]) < MIN_SIDE_PX:
            raise ValueError(f"a frame is at least {MIN_SIDE_PX} pixels a side, got {shape[1]} x {shape[0]}")
        if self.age_years is not None and not 0 <= self.age_years <= 130:
            raise ValueError(f"age_years must be 0..130, got {self.age_years}")

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def colour(self) -> NDArray[np.uint8] | None:
        """The RGB picture (H, W, 3), or None where the source was grey."""
        return self.pixels if self.pixels.ndim == 3 else None

    @property
    def grey(self) -> NDArray[np.uint8]:
        """The picture as grey levels (H, W)."""
        if self.pixels.ndim == 2:
            return self.pixels
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def spacing_at(self, x: float, y: float) -> Spacing | None:
        """Scale at a point: that of the smallest region that holds it, None where no calibrated region does."""
        region = self.region_at(x, y)
        return None if region is None else region.spacing_mm

    def region_at(self, x: float, y: float) -> Region | None:
        """The smallest calibrated region that holds a point."""
        holding = [r for r in self.regions if r.spacing_mm is not None and r.holds(x, y)]
        return min(holding, key=lambda r: r.area_px, default=None)


def whole_frame(width: int, height: int, spacing_mm: Spacing | None) -> tuple[Region, ...]:
    """One region over the whole picture: how a single scale for a picture is told."""
    return (Region(0, 0, width - 1, height - 1, spacing_mm),)


def check_spacing(spacing_mm: Spacing) -> None:
    """Raises ValueError unless both values are finite and within (0, MAX_SPACING_MM]."""
    row, column = spacing_mm
    if not (0 < row <= MAX_SPACING_MM and 0 < column <= MAX_SPACING_MM):
        raise ValueError(
            f"spacing is (row, column) in mm per pixel, each above 0 and at most {MAX_SPACING_MM}, got {spacing_mm}"
        )
