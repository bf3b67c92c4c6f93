"""Envelope -> the scanner's screen: time gain, compression, scan conversion, vendor look; and the truth's pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantom.scanner import LINES, ROWS, Display, Probe
from datasets.phantom.scene import Scene
from datasets.phantom.tissue import Map, TissueMaps
from model.anatomy import LANDMARKS, structure
from model.geometry import Points, fill

_SIZES = ((480, 360), (640, 480), (512, 512), (720, 576), (800, 600), (576, 432), (960, 720), (1024, 768))


@dataclass(frozen=True, slots=True)
class Screen:
    """Where the insonated area lies on the screen: mm (x, z) to pixels, with its scale. `box` is inclusive."""

    width: int
    height: int
    origin_x: float
    origin_y: float
    spacing_row_mm: float
    spacing_column_mm: float
    box: tuple[int, int, int, int]

    def to_pixels(self, points_mm: Points) -> Points:
        """(N, 2) mm to pixel coordinates (x, y)."""
        return points_mm / [self.spacing_column_mm, self.spacing_row_mm] + [self.origin_x, self.origin_y]


def draw_size(rng: Generator) -> tuple[int, int]:
    """A screen's width and height in pixels."""
    return _SIZES[int(rng.choice(len(_SIZES), p=[0.2, 0.24, 0.12, 0.12, 0.1, 0.14, 0.05, 0.03]))]


def draw_screen(probe: Probe, size: tuple[int, int], rng: Generator) -> Screen:
    """A screen on which the sector fills most of one side; rows and columns scale alike, or slightly not."""
    width, height = size
    x0, z0, x1, z1 = probe.extent_mm()
    fill = rng.uniform(0.74, 0.99)
    row = max((z1 - z0) / (height * fill), (x1 - x0) / (width * fill))
    column = row * (1.0 if rng.random() < 0.9 else rng.uniform(0.9, 1.1))
    span_x, span_y = int((x1 - x0) / column), int((z1 - z0) / row)
    span_x = min(span_x, width - 2)
    left = int(rng.integers(0, max(width - span_x - 1, 1)) * 0.5 + (width - span_x) * 0.25)
    top = int(rng.uniform(0, 1) * max(height - span_y - 1, 0))
    box = (left, top, min(left + span_x, width - 1), min(top + span_y, height - 1))
    return Screen(width, height, left - x0 / column, top - z0 / row, row, column, box)


def compress(envelope: Map, maps: TissueMaps, probe: Probe, display: Display) -> Map:
    """Time gain, logarithm or power, grey curve: (ROWS, LINES) in 0..1."""
    depth_cm = np.linspace(0, probe.depth_mm, ROWS) / 10
    sliders = np.interp(np.linspace(0, 7, ROWS), np.arange(8), display.tgc_errors_db)
    gain_db = 2 * display.tgc_slope * probe.frequency_mhz * depth_cm + sliders
    level = 20 * np.log10(envelope + 1e-9) + gain_db[:, None]
    soft = ~maps.under_bone & (maps.attenuation > 0.4)
    reference = float(np.median(level[soft])) if soft.any() else float(np.median(level))
    above_db = level - reference
    if display.power:
        grey = np.clip(display.median_level * 10 ** (display.power * above_db / 20), 0, 1)
    else:
        grey = np.clip(above_db / display.range_db + display.median_level, 0, 1)
    curve = np.asarray(display.curve)
    shaped = 0.5 * grey + 0.5 * np.interp(grey, np.linspace(0, 1, len(curve)), curve)
    return np.asarray(display.black_lift + (1 - display.black_lift) * shaped, np.float32)


def scan_convert(grey: Map, probe: Probe, screen: Screen) -> NDArray[np.uint8]:
    """Beam space to the screen (height, width) uint8, black outside the sector."""
    x0, y0, x1, y1 = screen.box
    columns, rows = np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1))
    mm = np.stack(
        [
            (columns.ravel() - screen.origin_x) * screen.spacing_column_mm,
            (rows.ravel() - screen.origin_y) * screen.spacing_row_mm,
        ],
        axis=1,
    )
    at = probe.to_beams(mm).astype(np.float32).reshape(*columns.shape, 2)
    inside = (at[..., 0] >= 0) & (at[..., 0] <= LINES - 1) & (at[..., 1] >= 0) & (at[..., 1] <= ROWS - 1)
    picture = cv2.remap(grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    out = np.zeros((screen.height, screen.width), np.uint8)
    out[y0 : y1 + 1, x0 : x1 + 1] = np.where(inside, np.clip(picture * 255, 1, 255), 0).astype(np.uint8)
    return out


def vendor_look(picture: NDArray[np.uint8], smoothing: str) -> NDArray[np.uint8]:
    """The scanner's own smoothing or sharpening of the picture."""
    if smoothing == "blur":
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.9), np.uint8)
    if smoothing == "median":
        return np.asarray(cv2.medianBlur(picture, 3), np.uint8)
    if smoothing == "bilateral":
        return np.asarray(cv2.bilateralFilter(picture, 5, 30, 3), np.uint8)
    if smoothing == "sharp":
        soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
        return np.asarray(cv2.addWeighted(picture, 1.6, soft, -0.6, 0), np.uint8)
    return picture


def paint_truth(scene: Scene, probe: Probe, screen: Screen) -> NDArray[np.uint8]:
    """The mask (height, width) of structure ids within the sector; the higher row of the table wins."""
    mask = np.zeros((screen.height, screen.width), np.uint8)
    for region in sorted(scene.regions, key=lambda r: structure(r.name).id, reverse=True):
        mask[fill((screen.to_pixels(region.polygon_mm),), *mask.shape)] = structure(region.name).id
    mask[scan_convert(np.ones((ROWS, LINES), np.float32), probe, screen) == 0] = 0
    return mask


def place_landmarks(scene: Scene, probe: Probe, screen: Screen, mask: NDArray[np.uint8]) -> Points:
    """(9, 2) in pixels, NaN where outside the sector; centroids are those of the painted mask."""
    out = np.full((len(LANDMARKS), 2), np.nan)
    marks = {m.name: np.array([m.x_mm, m.z_mm]) for m in scene.marks}
    for row, landmark in enumerate(LANDMARKS):
        if landmark.centroid_of is not None:
            rows, columns = np.nonzero(mask == structure(landmark.centroid_of).id)
            if rows.size >= 12:
                out[row] = columns.mean(), rows.mean()
        elif landmark.name in marks:
            place = marks[landmark.name][None]
            line, depth = probe.to_beams(place)[0]
            if 0 <= line <= LINES - 1 and 0 <= depth <= ROWS - 1:
                out[row] = screen.to_pixels(place)[0]
    return out
