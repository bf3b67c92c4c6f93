"""Pictures with flow of known extent, with tints and drawn graphics, for the tests of Doppler."""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.phantom.generate import phantom
from datasets.phantom.graphics import colour_flow, walk_flow
from datasets.sample import Sample
from model.anatomy import View, structure
from model.findings import FoundStructure

RECESS = structure("anterior_recess")
YELLOW, GREEN, CYAN, WHITE = (255, 255, 0), (0, 255, 0), (0, 255, 255), (240, 240, 240)


@dataclass(frozen=True, eq=False, repr=False)
class Hip:
    """A grey picture (H, W) of a recess, (H, W) of 0 and 1, with the sector's box."""

    grey: np.ndarray
    recess: np.ndarray
    sector: tuple[int, int, int, int]

    @property
    def found(self) -> FoundStructure:
        outlines, _ = cv2.findContours(self.recess, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return FoundStructure(
            RECESS, 1.0, tuple(part[:, 0].astype(float) for part in outlines), float(self.recess.sum())
        )

    @property
    def plain(self) -> np.ndarray:
        return np.repeat(self.grey[..., None], 3, axis=2)


def hip_of(sample: Sample) -> Hip | None:
    """None where the phantom's own picture has colour, or hardly a recess."""
    region = sample.frame.regions[0]
    recess = (sample.truth.mask == RECESS.id).astype(np.uint8)
    if sample.frame.colour is not None or recess.sum() < 2_000:
        return None
    return Hip(sample.frame.pixels, recess, (region.x0, region.y0, region.x1, region.y1))


def hips(first: int, count: int) -> list[Hip]:
    found = (hip_of(phantom(seed, View.LONGITUDINAL)) for seed in range(first, first + 10 * count))
    return [hip for hip, _ in zip((hip for hip in found if hip is not None), range(count), strict=False)]


def box_around(hip: Hip) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(hip.recess)
    return max(x - 12, 0), max(y - 12, 0), x + width + 11, y + height + 11


def with_doppler(hip: Hip, fraction: float, rng: np.random.Generator, under=None) -> tuple[np.ndarray, float]:
    """RGB with box and bar and about that fraction of flow over `under` (by default grey), and the fraction drawn."""
    flow = walk_flow(hip.recess, fraction, rng)
    rgb = colour_flow(hip.grey, box_around(hip), flow, rng)
    if under is not None:
        untouched = (rgb == hip.grey[..., None]).all(axis=2)
        rgb[untouched] = under[untouched]
    return rgb, float(flow.sum() / hip.recess.sum())


def sepia(rgb: np.ndarray, strength: float = 1.0) -> np.ndarray:
    return np.rint(rgb * (1 - strength * np.array([0.0, 0.14, 0.4]))).astype(np.uint8)


def heat(grey: np.ndarray) -> np.ndarray:
    """The B-mode map that runs from black through red and yellow towards white."""
    level = grey.astype(int)
    return np.stack([np.minimum(2 * level, 255), level, np.clip(level - 120, 0, 255)], axis=-1).astype(np.uint8)


def with_calipers(rgb: np.ndarray, hip: Hip, rng: np.random.Generator, ink=YELLOW) -> np.ndarray:
    """Two crosses in the recess, joined by dots."""
    drawn = rgb.copy()
    rows, columns = np.nonzero(hip.recess)
    ends = [(int(columns[k]), int(rows[k])) for k in rng.integers(rows.size, size=2)]
    for end in ends:
        cv2.drawMarker(drawn, end, ink, cv2.MARKER_CROSS, 11, 1)
    for share in np.linspace(0, 1, 24):
        x, y = (round(a + share * (b - a)) for a, b in zip(*ends, strict=True))
        drawn[y, x] = ink
    return drawn


def with_label(rgb: np.ndarray, hip: Hip, ink=GREEN) -> np.ndarray:
    """The label lies in the sector, across the recess."""
    drawn = rgb.copy()
    x, y, width, height = cv2.boundingRect(hip.recess)
    cv2.putText(drawn, "LT HIP", (x + width // 3, y + height // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)
    return drawn


def as_jpeg(rgb: np.ndarray, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def through_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(as_jpeg(rgb, quality), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy()
