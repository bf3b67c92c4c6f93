"""Every word on an annotated picture, with its place: labels, target, distance, ruler, banner and notice."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2

from model.anatomy import landmark
from model.grade import Solar
from model.measure import measured
from model.reading import NOTICE, FrameInfo, Reading
from model.targets import Target
from serving.labels import Box, Places, Room

Colour = tuple[int, int, int]
Spot = tuple[float, float]

FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
WEIGHT: Final = 2
WHITE: Final = (245, 245, 245)
YELLOW: Final = (255, 255, 120)
SAFETY: Final[dict[str | None, Colour]] = {
    "danger": (255, 70, 70),
    "caution": (255, 190, 60),
    "clear": (90, 220, 130),
    None: (200, 200, 200),
}
DIM: Final = (215, 222, 228)
_AMBER: Final = (255, 200, 120)
_EDGE_PX: Final = 8
_RULER_MM: Final = (10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Line:
    """Words from `at`, the left end of their base line, in their box; `of`: the point a line must lead to."""

    text: str
    at: tuple[int, int]
    size: float
    colour: Colour
    box: Box
    of: Spot | None = None


@dataclass(frozen=True, slots=True)
class Ruler:
    """Ticks every `step_px` down from (x, y0) to `y1`; every second is numbered, in steps of `numbered_mm`."""

    x: float
    y0: float
    y1: float
    step_px: float
    numbered_mm: int


def unit_of(info: FrameInfo) -> float:
    """The size of lines and letters: 1 on a picture of 800 pixels, and no smaller than can be read."""
    return max(info.width, info.height, 640) / 800


def ruler_of(info: FrameInfo) -> Ruler | None:
    """The ruler at the sector's left edge, its numbers as dense as can be read; None without a scale."""
    if info.spacing_mm is None:
        return None
    unit, row_mm = unit_of(info), info.spacing_mm[0]
    fitting = [mm for mm in _RULER_MM if mm / row_mm >= 24 * unit]
    if not fitting:
        return None
    x0, y0, _, y1 = info.sector
    return Ruler(max(x0, 36 * unit), y0, y1, fitting[0] / row_mm / 2, fitting[0])


def lettering(reading: Reading, before: Places | None = None) -> list[Line]:
    """What is written over the reading's frame, and where; `before` is what `Room` remembers of a stream's labels."""
    info, unit = reading.frame, unit_of(reading.frame)
    outlines = [part for found in reading.structures for part in found.contours]
    room = Room(info.width, info.height, outlines, {} if before is None else before)
    banner = [*_banner(reading)]
    above = [line for line in _numbers(info) if line.box[3] < min(row.box[1] for row in banner)]
    fixed = [*banner, _notice(info), *above]
    for line in fixed:
        room.take(line.box, words=True)
    for point in reading.landmarks:
        room.take(_around(point.x, point.y, 8 * unit))
    for target in reading.targets:
        room.take(_around(target.x, target.y, 12 * unit))
    return [*fixed, *(_placed(room, label) for label in _labels(reading, unit))]


@dataclass(frozen=True, slots=True)
class _Label:
    key: str
    text: str
    at: Spot
    size: float
    colour: Colour


def _labels(reading: Reading, unit: float) -> Iterator[_Label]:
    """The most important first: it has the most room."""
    for target in reading.targets:
        yield _Label(target.name, _told(target), (target.x, target.y), 0.5 * unit, SAFETY[target.safety])
    distance = measured(reading.measurements, "capsule_distance")
    if distance is not None:
        x, y = distance.points_xy[distance.points_xy[:, 1].argmin()].tolist()
        yield _Label(distance.name, f"{distance.value:.1f} mm", (x, y), 0.5 * unit, YELLOW)
    for point in sorted(reading.landmarks, key=lambda p: p.y):
        yield _Label(f"{point.name} point", landmark(point.name).title, (point.x, point.y), 0.42 * unit, WHITE)


def _told(target: Target) -> str:
    known = [c for c in target.clearances if c.distance_mm is not None]
    clearances = ", ".join(f"{c.structure.split('_')[1]} {c.distance_mm:.1f} mm" for c in known) or "no scale"
    return f"target: {target.safety or 'clearance unknown'} ({clearances})"


def _placed(room: Room, label: _Label) -> Line:
    wide, tall, drop = _measured(label.text, label.size)
    place = room.place(label.key, label.at, (wide + 4, tall + drop + 2))
    x0, y0, _, _ = place.box
    at = (round(x0) + 2, round(y0) + 1 + tall)
    return Line(label.text, at, label.size, label.colour, place.box, label.at if place.far else None)


def _banner(reading: Reading) -> Iterator[Line]:
    """View and grades along the bottom, in as many lines as they need."""
    info, view = reading.frame, str(reading.view.name).replace("_", " ")
    text = f"{view} ({reading.view.confidence:.2f});  {'; '.join(_graded(reading.solar))}"
    size = 0.45 * unit_of(info)
    rows = _wrapped(text, size, info.width - 2 * _EDGE_PX)
    _, tall, drop = _measured(text, size)
    for k, row in enumerate(reversed(rows)):
        yield _line(row, (_EDGE_PX, info.height - drop - 4 - k * (tall + drop + 4)), size, WHITE)


def _graded(solar: Solar) -> Iterator[str]:
    """Both grades, and what a person should look at in them."""
    gsus, pdus = solar.gsus, solar.pdus
    if gsus.grade is None:
        yield f"not graded: {gsus.reason}"
    else:
        yield f"SOLAR GSUS {gsus.grade}: {gsus.review or gsus.evidence}"
    if pdus.calibrated is None:
        return
    yield f"PDUS {pdus.calibrated} (literal {pdus.literal})"
    if gsus.grade is not None and gsus.review is None:
        yield solar.combined.reason or f"combined {solar.combined.grade}"


def _notice(info: FrameInfo) -> Line:
    size = 0.38 * unit_of(info)
    wide, tall, _ = _measured(NOTICE, size)
    size *= min(1.0, (info.width - 2 * _EDGE_PX) / wide)
    wide, tall, _ = _measured(NOTICE, size)
    return _line(NOTICE, (info.width - wide - _EDGE_PX, tall + _EDGE_PX), size, _AMBER)


def _numbers(info: FrameInfo) -> Iterator[Line]:
    ruler = ruler_of(info)
    if ruler is None:
        return
    unit = unit_of(info)
    steps = int((ruler.y1 - ruler.y0) / (2 * ruler.step_px))
    for k, text in enumerate(["mm", *(str(k * ruler.numbered_mm) for k in range(1, steps + 1))]):
        wide, tall, _ = _measured(text, 0.38 * unit)
        y = max(ruler.y0 + 2 * k * ruler.step_px + tall / 2, tall + _EDGE_PX)
        yield _line(text, (round(ruler.x - 11 * unit - wide), round(y)), 0.38 * unit, DIM)


def _wrapped(text: str, size: float, room_px: int) -> list[str]:
    rows: list[str] = []
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and _measured(longer, size)[0] <= room_px:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


def _line(text: str, at: tuple[int, int], size: float, colour: Colour) -> Line:
    wide, tall, drop = _measured(text, size)
    return Line(text, at, size, colour, (at[0] - 2, at[1] - tall - 1, at[0] + wide + 2, at[1] + drop + 1))


def _measured(text: str, size: float) -> tuple[int, int, int]:
    """Width, height over the base line and depth below it."""
    (wide, tall), drop = cv2.getTextSize(text, FONT, size, WEIGHT)
    return wide, tall, drop


def _around(x: float, y: float, reach: float) -> Box:
    return (x - reach, y - reach, x + reach, y + reach)
