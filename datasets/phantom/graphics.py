"""What a scanner writes over its picture: text, ticks, grey bar, callipers, a mark; Doppler colour in a box."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantom.screen import Screen
from model.geometry import Points

Rgb = NDArray[np.uint8]
Box = tuple[int, int, int, int]
_WORDS = (
    "R HIP",
    "L HIP",
    "HIP LONG",
    "MSK",
    "Gen",
    "FR 27Hz",
    "D 4.5cm",
    "12L-RS",
    "MI 0.9",
    "TIS 0.2",
    "GN 58",
    "DR 66",
    "PENG",
    "1",
    "2D 61%",
    "P 100%",
)
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX)


def burn_in(picture: NDArray[np.uint8], screen: Screen, rng: Generator) -> None:
    """Grey graphics drawn into the picture (H, W), each drawn or not."""
    x0, y0, x1, y1 = screen.box
    ink = int(rng.integers(150, 256))
    if rng.random() < 0.7:
        for _ in range(int(rng.integers(1, 9))):
            at = (int(rng.uniform(0, 0.95) * screen.width), int(rng.uniform(0.02, 0.99) * screen.height))
            inside = x0 < at[0] < x1 and y0 < at[1] < y1
            if not inside or rng.random() < 0.12:
                _text(picture, at, ink, rng)
    if rng.random() < 0.5:
        step = 10 / screen.spacing_row_mm * rng.choice([0.5, 1.0])
        for k in range(int((y1 - y0) / step) + 1):
            y = int(y0 + k * step)
            cv2.line(picture, (min(x1 + 3, screen.width - 1), y), (min(x1 + 9, screen.width - 1), y), ink, 1)
    if rng.random() < 0.4:
        left = int(rng.choice([2, screen.width - 14]))
        height = int(rng.uniform(0.15, 0.4) * screen.height)
        picture[8 : 8 + height, left : left + 9] = np.linspace(255, 0, height)[:, None].astype(np.uint8)
    if rng.random() < 0.22:
        _callipers(picture, screen, rng)
    if rng.random() < 0.3:
        cv2.circle(picture, (max(x0 - 8, 8), y0 + 8), int(rng.integers(3, 8)), ink, 1, cv2.LINE_AA)


def _text(picture: NDArray[np.uint8], at: tuple[int, int], ink: int, rng: Generator) -> None:
    cv2.putText(
        picture, str(rng.choice(_WORDS)), at, int(rng.choice(_FONTS)), rng.uniform(0.35, 0.8), ink, 1, cv2.LINE_AA
    )


def _callipers(picture: NDArray[np.uint8], screen: Screen, rng: Generator) -> None:
    x0, y0, x1, y1 = screen.box
    ends = [(int(rng.uniform(x0, x1)), int(rng.uniform(y0, y1))) for _ in range(2)]
    for end in ends:
        cv2.drawMarker(picture, end, 235, cv2.MARKER_CROSS, int(rng.integers(7, 13)), 1)
    for share in np.linspace(0, 1, 24):
        x, y = (int(a + share * (b - a)) for a, b in zip(*ends, strict=True))
        picture[min(y, screen.height - 1), min(x, screen.width - 1)] = 235


def draw_box(screen: Screen, around: NDArray[np.uint8], rng: Generator) -> Box:
    """A Doppler box (x0, y0, x1, y1) in the sector, over a region (H, W) where there is one."""
    x0, y0, x1, y1 = screen.box
    rows, columns = np.nonzero(around)
    if rows.size:
        pad_x, pad_y = rng.uniform(-0.05, 0.2, 2) * (x1 - x0)
        left, right = columns.min() - pad_x, columns.max() + pad_x
        top, bottom = rows.min() - pad_y, rows.max() + pad_y
    else:
        left, right = x0 + rng.uniform(0, 0.4) * (x1 - x0), x1 - rng.uniform(0, 0.4) * (x1 - x0)
        top, bottom = y0 + rng.uniform(0, 0.4) * (y1 - y0), y1 - rng.uniform(0, 0.4) * (y1 - y0)
    return max(int(left), x0), max(int(top), y0), min(int(right), x1), min(int(bottom), y1)


def within_box(mask: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The mask's pixels inside a box."""
    kept = np.zeros_like(mask)
    x0, y0, x1, y1 = box
    kept[y0 : y1 + 1, x0 : x1 + 1] = mask[y0 : y1 + 1, x0 : x1 + 1]
    return kept


def colour_flow(picture: NDArray[np.uint8], box: Box, flow: NDArray[np.uint8], rng: Generator) -> Rgb:
    """The picture in RGB with a Doppler box, a colour bar, and power colours where `flow` (H, W) is set."""
    rgb = np.repeat(picture[..., None], 3, axis=2)
    power = cv2.GaussianBlur((flow > 0).astype(np.float32), (0, 0), 1.2) * rng.uniform(0.7, 1.0)
    hot = np.stack([200 + 55 * power, 60 + 150 * power, 20 + 40 * power], axis=2)
    shown = flow > 0
    rgb[shown] = np.clip(hot[shown], 0, 255).astype(np.uint8)
    colour = tuple(int(v) for v in rng.choice([(255, 200, 0), (0, 220, 120), (240, 240, 240), (255, 255, 0)]))
    cv2.rectangle(rgb, box[:2], box[2:], colour, 1)
    bar_x = picture.shape[1] - 12 if rng.random() < 0.7 else 3
    heights = np.linspace(1, 0, 70)
    bar = np.stack([255 * heights, 160 * heights**2, 30 * heights], axis=1).astype(np.uint8)
    rgb[10:80, bar_x : bar_x + 8] = bar[:, None]
    return rgb


def walk_flow(within: NDArray[np.uint8], fraction: float, rng: Generator) -> NDArray[np.uint8]:
    """A mask (H, W) of short vessels inside a region, covering about that fraction of it; 0 gives none."""
    flow = np.zeros_like(within)
    rows, columns = np.nonzero(within)
    if rows.size < 50 or fraction <= 0:
        return flow
    wanted = fraction * rows.size
    for _ in range(200):
        start = int(rng.integers(rows.size))
        at = np.array([columns[start], rows[start]], float)
        heading = rng.uniform(0, 6.3)
        path = [at.copy()]
        for _ in range(int(rng.integers(2, 14))):
            heading += rng.normal(0, 0.5)
            at += 2.0 * np.array([np.cos(heading), 0.6 * np.sin(heading)])
            path.append(at.copy())
        thick = int(rng.integers(2, 6))
        cv2.polylines(flow, [np.round(path).astype(np.int32)], False, 1, thick)
        flow &= within
        if flow.sum() >= wanted:
            break
    return flow


def polygon_mask(screen: Screen, polygon_mm: Points) -> NDArray[np.uint8]:
    """A polygon in mm as a binary mask (H, W)."""
    mask = np.zeros((screen.height, screen.width), np.uint8)
    at = np.clip(screen.to_pixels(polygon_mm), -4000, 8000)
    cv2.fillPoly(mask, [np.round(at).astype(np.int32)], 1)
    return mask
