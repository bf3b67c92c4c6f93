"""A Reading drawn over its frame: outlines, points, targets with clearance, the capsule's distance, the grade, a ruler.

Words go where they cover neither anatomy nor each other, as far as there is room (`lettering`, `labels`).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import structure
from model.frame import Frame
from model.measure import measured
from model.reading import FrameInfo, Reading
from serving.labels import Places
from serving.lettering import DIM, FONT, SAFETY, WEIGHT, WHITE, YELLOW, Colour, Line, lettering, ruler_of, unit_of

Rgb = NDArray[np.uint8]

_TINT: Final = 0.22
_SHADE: Final = 0.9
_FRACTION: Final = 4
"""Bits below the pixel that OpenCV's lines are drawn with."""


def draw_overlay(frame: Frame, reading: Reading, before: Places | None = None) -> Rgb:
    """The annotated picture (H, W, 3) RGB. One `before` for all frames of a stream keeps its labels from jumping."""
    grey = frame.colour is None
    canvas = np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_GRAY2RGB) if grey else frame.pixels.copy(), np.uint8)
    unit = unit_of(reading.frame)
    _structures(canvas, reading, unit)
    _ruler(canvas, reading.frame, unit)
    _span(canvas, reading, unit)
    for target in reading.targets:
        _target(canvas, (round(target.x), round(target.y)), unit, SAFETY[target.safety])
    lines = lettering(reading, before)
    for line in lines:
        _lead(canvas, line, unit)
    for point in reading.landmarks:
        _cross(canvas, (round(point.x), round(point.y)), unit)
    for line in lines:
        _write(canvas, line)
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


def _structures(canvas: Rgb, reading: Reading, unit: float) -> None:
    for found in reading.structures:
        x0, y0 = (max(int(low), 0) for low in found.bbox[:2])
        part = canvas[y0 : int(found.bbox[3]) + 2, x0 : int(found.bbox[2]) + 2]
        tinted, colour = part.copy(), structure(found.name).colour
        inside = [np.round((outline - [x0, y0]) * 2**_FRACTION).astype(np.int32) for outline in found.contours]
        cv2.fillPoly(tinted, inside, colour, cv2.LINE_AA, shift=_FRACTION)
        part[:] = cv2.addWeighted(tinted, _TINT, part, 1 - _TINT, 0)
    for found in reading.structures:
        outlines = [np.round(outline * 2**_FRACTION).astype(np.int32) for outline in found.contours]
        colour = structure(found.name).colour
        cv2.polylines(canvas, outlines, True, colour, _thick(1.2 * unit), cv2.LINE_AA, shift=_FRACTION)


def _ruler(canvas: Rgb, info: FrameInfo, unit: float) -> None:
    ruler = ruler_of(info)
    if ruler is None:
        return
    for k, y in enumerate(np.arange(ruler.y0, ruler.y1 + 0.5, ruler.step_px)):
        ends = (round(ruler.x - (5 if k % 2 else 9) * unit), round(y)), (round(ruler.x - 1), round(y))
        cv2.line(canvas, *ends, (0, 0, 0), 3 * _thick(unit), cv2.LINE_AA)
        cv2.line(canvas, *ends, WHITE, _thick(unit), cv2.LINE_AA)


def _span(canvas: Rgb, reading: Reading, unit: float) -> None:
    distance = measured(reading.measurements, "capsule_distance")
    if distance is not None:
        start, end = [(round(x), round(y)) for x, y in distance.points_xy]
        cv2.line(canvas, start, end, YELLOW, _thick(2 * unit), cv2.LINE_AA)


def _target(canvas: Rgb, at: tuple[int, int], unit: float, colour: Colour) -> None:
    cv2.circle(canvas, at, round(9 * unit), colour, _thick(2 * unit), cv2.LINE_AA)
    cv2.circle(canvas, at, _thick(2 * unit), colour, -1, cv2.LINE_AA)


def _cross(canvas: Rgb, at: tuple[int, int], unit: float) -> None:
    arm, thick = round(13 * unit), _thick(unit)
    cv2.drawMarker(canvas, at, (0, 0, 0), cv2.MARKER_CROSS, arm + 2 * thick, 3 * thick, cv2.LINE_AA)
    cv2.drawMarker(canvas, at, WHITE, cv2.MARKER_CROSS, arm, thick, cv2.LINE_AA)


def _lead(canvas: Rgb, line: Line, unit: float) -> None:
    if line.of is None:
        return
    x0, y0, x1, y1 = line.box
    start = (round(line.of[0]), round(line.of[1]))
    end = (round(min(max(start[0], x0), x1)), round(min(max(start[1], y0), y1)))
    cv2.line(canvas, start, end, (0, 0, 0), 3 * _thick(unit), cv2.LINE_AA)
    cv2.line(canvas, start, end, DIM, _thick(unit), cv2.LINE_AA)


def _write(canvas: Rgb, line: Line) -> None:
    """Letters on their own shade: readable on any picture."""
    shade = max(2, round(3 * line.size))
    x0, y0 = (max(int(low) - shade, 0) for low in line.box[:2])
    x1, y1 = (max(int(high) + shade + 2, 0) for high in line.box[2:])
    part = canvas[y0:y1, x0:x1]
    if not part.size:
        return  # a picture too small for its words
    letters = np.zeros(part.shape[:2], np.uint8)
    cv2.putText(letters, line.text, (line.at[0] - x0, line.at[1] - y0), FONT, line.size, 255, WEIGHT, cv2.LINE_AA)
    around = cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * shade + 1, 2 * shade + 1)))
    ink = letters[..., None].astype(np.float32) / 255
    left = (1 - ink) * (1 - around[..., None].astype(np.float32) * (_SHADE / 255))
    part[:] = np.rint(part * left + ink * np.array(line.colour, np.float32))


def _thick(width: float) -> int:
    return max(1, round(width))
