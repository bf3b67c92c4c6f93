"""Plane geometry in one place: Placement between frame and network pixels, polylines, polygons.

Points are float64 (N, 2) as (x, y); pixel centres have integer coordinates; y grows away from the probe.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
"""(N, 2) as (x, y)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a crop of the frame lies in the network's input: the same map for images and points.

    A frame pixel (x, y) lies at ((x + 0.5 - left) * scale_x + pad_x - 0.5, (y + 0.5 - top) * scale_y + pad_y - 0.5).
    `left`, `top` are the crop's outer edges in frame pixels; scales are network pixels per frame pixel.
    """

    left: float
    top: float
    scale_x: float
    scale_y: float
    pad_x: float
    pad_y: float

    def __post_init__(self) -> None:
        if not (self.scale_x > 0 and self.scale_y > 0):
            raise ValueError(f"a placement's scales are positive, got {self.scale_x}, {self.scale_y}")

    def to_network(self, points_xy: ArrayLike) -> Points:
        """Frame pixels (..., 2) to network pixels."""
        return np.asarray(points_xy, dtype=np.float64) * self._scale + self._shift

    def to_frame(self, points_xy: ArrayLike) -> Points:
        """Network pixels (..., 2) to frame pixels: the inverse of `to_network`."""
        return (np.asarray(points_xy, dtype=np.float64) - self._shift) / self._scale

    def matrix(self) -> NDArray[np.float64]:
        """The 2 x 3 affine matrix of `to_network`, for cv2.warpAffine."""
        return np.column_stack([np.diag(self._scale), self._shift])

    @property
    def _scale(self) -> Points:
        return np.array([self.scale_x, self.scale_y])

    @property
    def _shift(self) -> Points:
        """Where the frame's pixel (0, 0) lies."""
        x = (0.5 - self.left) * self.scale_x + self.pad_x - 0.5
        return np.array([x, (0.5 - self.top) * self.scale_y + self.pad_y - 0.5])


def resample(polyline_xy: Points, step: float) -> Points:
    """Points every `step` along a polyline, both ends kept."""
    lengths = arc_length(polyline_xy)
    count = max(2, int(np.ceil(lengths[-1] / step)) + 1)
    at = np.linspace(0.0, lengths[-1], count)
    return np.stack([np.interp(at, lengths, polyline_xy[:, 0]), np.interp(at, lengths, polyline_xy[:, 1])], axis=1)


def arc_length(polyline_xy: Points) -> NDArray[np.float64]:
    """Length from the first point to each point, (N,)."""
    steps = np.hypot(*np.diff(polyline_xy, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


def normals(polyline_xy: Points) -> Points:
    """Unit normals (N, 2) of a polyline, pointing towards the probe (y up the screen)."""
    tangent = np.gradient(polyline_xy, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1])[:, None], 1e-12)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    return np.where(normal[:, 1:2] > 0, -normal, normal)


def sagitta(outer_xy: Points) -> tuple[float, float]:
    """(sagitta, chord) of a curve over the straight line between its ends.

    The sagitta is the deviation of largest size, positive towards the probe (smaller y).
    """
    start, end = outer_xy[0], outer_xy[-1]
    along = end - start
    chord = float(np.hypot(*along))
    if chord == 0:
        raise ValueError("a curve that ends where it starts has no chord")
    left, right = (start, end) if start[0] <= end[0] else (end, start)
    direction = (right - left) / chord
    offset = outer_xy - left
    deviation = offset[:, 0] * direction[1] - offset[:, 1] * direction[0]
    return float(deviation[np.argmax(np.abs(deviation))]), chord


def perpendicular_span(base_xy: Points, outer_xy: Points) -> tuple[float, Points]:
    """Largest distance from a base curve to an outer curve along the base's normals.

    Returns (distance, points (2, 2): foot on the base and tip on the outer curve). Raises ValueError where no
    normal meets the outer curve.
    """
    direction = normals(base_xy)
    reach = ray_lengths(base_xy, direction, outer_xy)
    if np.isnan(reach).all():
        raise ValueError("no perpendicular of the base curve meets the outer curve")
    widest = int(np.nanargmax(reach))
    foot = base_xy[widest]
    return float(reach[widest]), np.stack([foot, foot + direction[widest] * reach[widest]])


def ray_lengths(origin_xy: Points, direction_xy: Points, polyline_xy: Points) -> NDArray[np.float64]:
    """Length (N,) of each ray from its origin (N, 2) along its unit direction to the polyline; NaN where it misses."""
    start, span = polyline_xy[None, :-1], np.diff(polyline_xy, axis=0)[None]
    offset, along = start - origin_xy[:, None], direction_xy[:, None]
    cross = along[..., 0] * span[..., 1] - along[..., 1] * span[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (offset[..., 0] * span[..., 1] - offset[..., 1] * span[..., 0]) / cross
        place = (offset[..., 0] * along[..., 1] - offset[..., 1] * along[..., 0]) / cross
        hit = (place >= 0) & (place <= 1) & (reach >= 0)
    nearest = np.where(hit, reach, np.inf).min(axis=1)
    return np.where(np.isfinite(nearest), nearest, np.nan)


def distance_to_polygon(point_xy: ArrayLike, polygon_xy: Points) -> float:
    """Shortest distance from a point to a closed polygon's edge; 0 inside it."""
    point = np.asarray(point_xy, dtype=np.float64)
    closed = np.concatenate([polygon_xy, polygon_xy[:1]])
    start, span = closed[:-1], np.diff(closed, axis=0)
    if _inside(point, closed):
        return 0.0
    length2 = np.maximum((span**2).sum(axis=1), 1e-12)
    along = np.clip(((point - start) * span).sum(axis=1) / length2, 0.0, 1.0)
    return float(np.hypot(*(start + span * along[:, None] - point).T).min())


def _inside(point: Points, closed_xy: Points) -> bool:
    x, y = closed_xy[:, 0], closed_xy[:, 1]
    spans = (y[:-1] > point[1]) != (y[1:] > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x[:-1] + (point[1] - y[:-1]) * (x[1:] - x[:-1]) / (y[1:] - y[:-1])
    return bool((spans & (crossing > point[0])).sum() % 2)


def fill(polygons_xy: Iterable[Points], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels (height, width) whose centres lie within any of the polygons (N, 2).

    OpenCV's fillPoly takes every pixel that the outline touches as well: half a pixel more on all sides.
    """
    inside = np.zeros((height, width), bool)
    for polygon in polygons_xy:
        low = np.maximum(np.ceil(polygon.min(axis=0)).astype(int), 0)
        high = np.minimum(np.floor(polygon.max(axis=0)).astype(int) + 1, (width, height))
        if (low < high).all():
            box = np.s_[low[1] : high[1], low[0] : high[0]]
            inside[box] |= _fill_from_zero(polygon - low, *(high - low)[::-1])
    return inside


def _fill_from_zero(polygon_xy: Points, height: int, width: int) -> NDArray[np.bool_]:
    """One polygon's pixels: in each row those with an odd number of its edges to the left."""
    start, end = polygon_xy, np.roll(polygon_xy, -1, axis=0)
    first = np.ceil(np.minimum(start[:, 1], end[:, 1])).astype(int)
    rows = np.ceil(np.maximum(start[:, 1], end[:, 1])).astype(int) - first
    edge = np.repeat(np.arange(len(rows)), rows)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    column = np.clip(np.ceil(x0 + (row - y0) / (y1 - y0) * (x1 - x0)).astype(int), 0, width)
    seen = (row >= 0) & (row < height)
    crossed = np.zeros((height, width + 1), np.int32)
    np.add.at(crossed, (row[seen], column[seen]), 1)
    return np.asarray(np.cumsum(crossed, axis=1)[:, :width] % 2 == 1)
