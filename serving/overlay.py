"""A Reading drawn over its frame: outlines, points, targets with clearance, the capsule's distance, the grade."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import landmark, structure
from model.frame import Frame
from model.reading import NOTICE, Reading

Rgb = NDArray[np.uint8]

_SAFETY: Final = {"danger": (255, 70, 70), "caution": (255, 190, 60), "clear": (90, 220, 130), None: (200, 200, 200)}
_WHITE: Final = (245, 245, 245)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(frame: Frame, reading: Reading) -> Rgb:
    """The annotated picture (H, W, 3) RGB."""
    canvas = np.repeat(frame.pixels[..., None], 3, axis=2) if frame.colour is None else frame.pixels.copy()
    scale = max(frame.width, frame.height, 640) / 800
    _structures(canvas, reading)
    _measurements(canvas, reading, scale)
    _targets(canvas, reading, scale)
    _landmarks(canvas, reading, scale)
    _banner(canvas, reading, scale)
    return canvas


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """RGB (H, W, 3) or grey (H, W) as PNG bytes."""
    ordered = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    _, data = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return data.tobytes()


def encode_jpeg(frame: Frame, quality: int = 90) -> bytes:
    """The frame as JPEG, for a page that shows it."""
    pixels = frame.pixels if frame.colour is None else cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def _structures(canvas: Rgb, reading: Reading) -> None:
    tinted = canvas.copy()
    for found in reading.structures:
        parts = [np.round(part * 16).astype(np.int32) for part in found.contours]
        cv2.fillPoly(tinted, parts, structure(found.name).colour, cv2.LINE_AA, shift=4)
    cv2.addWeighted(tinted, 0.22, canvas, 0.78, 0, dst=canvas)
    for found in reading.structures:
        parts = [np.round(part * 16).astype(np.int32) for part in found.contours]
        cv2.polylines(canvas, parts, True, structure(found.name).colour, 1, cv2.LINE_AA, shift=4)


def _landmarks(canvas: Rgb, reading: Reading, scale: float) -> None:
    """Crosses, with labels pushed outward from the picture's middle so that they do not cover the anatomy."""
    taken: list[tuple[int, int, int, int]] = []
    for point in sorted(reading.landmarks, key=lambda p: p.y):
        centre = (round(point.x), round(point.y))
        cv2.drawMarker(canvas, centre, (0, 0, 0), cv2.MARKER_CROSS, round(13 * scale) + 2, 3, cv2.LINE_AA)
        cv2.drawMarker(canvas, centre, _WHITE, cv2.MARKER_CROSS, round(13 * scale), 1, cv2.LINE_AA)
        _label(canvas, landmark(point.name).title, centre, 0.42 * scale, taken)


def _label(canvas: Rgb, text: str, at: tuple[int, int], size: float, taken: list[tuple[int, int, int, int]]) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, size, 1)
    x = int(np.clip(at[0] + 10, 2, canvas.shape[1] - width - 2))
    y = int(np.clip(at[1] - 14, height + 2, canvas.shape[0] - 4))
    while any(x < b[2] and b[0] < x + width and y - height < b[3] and b[1] < y for b in taken) and y > 2 * height:
        y -= height + 4
    taken.append((x, y - height, x + width, y))
    cv2.line(canvas, at, (x, y), _WHITE, 1, cv2.LINE_AA)
    _text(canvas, text, (x, y), size, _WHITE)


def _text(canvas: Rgb, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, at, _FONT, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, at, _FONT, size, colour, 1, cv2.LINE_AA)


def _targets(canvas: Rgb, reading: Reading, scale: float) -> None:
    for target in reading.targets:
        centre, colour = (round(target.x), round(target.y)), _SAFETY[target.safety]
        cv2.circle(canvas, centre, round(9 * scale), colour, 2, cv2.LINE_AA)
        cv2.circle(canvas, centre, 2, colour, -1, cv2.LINE_AA)
        known = [c for c in target.clearances if c.distance_mm is not None]
        told = ", ".join(f"{c.structure.split('_')[1]} {c.distance_mm:.1f} mm" for c in known) or "no scale"
        words = f"target: {target.safety or 'clearance unknown'} ({told})"
        (width, height), _ = cv2.getTextSize(words, _FONT, 0.45 * scale, 1)
        x = int(np.clip(centre[0] - width / 2, 2, max(canvas.shape[1] - width - 2, 2)))
        y = int(np.clip(centre[1] + 26 * scale, height, canvas.shape[0] - round(26 * scale)))
        _text(canvas, words, (x, y), 0.45 * scale, colour)


def _measurements(canvas: Rgb, reading: Reading, scale: float) -> None:
    for one in reading.measurements:
        if one.name == "capsule_distance" and one.value is not None:
            ends = [(round(x), round(y)) for x, y in one.points_xy]
            cv2.line(canvas, ends[0], ends[1], (255, 255, 120), 2, cv2.LINE_AA)
            at = (ends[0][0] + 6, ends[0][1] + round(22 * scale))
            _text(canvas, f"{one.value:.1f} mm", at, 0.5 * scale, (255, 255, 120))


def _banner(canvas: Rgb, reading: Reading, scale: float) -> None:
    gsus = reading.solar.gsus
    view = str(reading.view.name).replace("_", " ")
    told = f"SOLAR GSUS {gsus.grade}: {gsus.review or gsus.evidence}"
    graded = told if gsus.grade is not None else f"not graded: {gsus.reason}"
    bottom = canvas.shape[0] - round(8 * scale)
    _text(canvas, f"{view} ({reading.view.confidence:.2f})   {graded}", (8, bottom), 0.45 * scale, _WHITE)
    (width, height), _ = cv2.getTextSize(NOTICE, _FONT, 0.38 * scale, 1)
    _text(canvas, NOTICE, (canvas.shape[1] - width - 8, height + 8), 0.38 * scale, (255, 200, 120))
