"""A strip along the neck: the joint from head-neck junction to capsule insertion, turned so that the neck lies across
and the probe is up, brought to one length, and seen once more at the frame's own resolution.

A look at a whole sector, or at all that was found in it, leaves a few pixels to a deep picture's capsule. In the strip
every capsule is as large as every other, and a small network that learns nothing else (model.network.edges) tells in
each of its columns where cortex and outer capsule run.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import View
from model.findings import Findings
from model.frame import Frame, Spacing
from model.geometry import Points
from model.measure import CapsuleCurves, smoothed
from model.runtime import Session
from model.spec import CapsuleSpread

ROWS: Final = 176
COLUMNS: Final = 112
EDGES: Final = ("outer", "cortex")
"""What is told of each column: where the outer capsule and the neck's cortex run."""
_ALONG: Final = (-0.25, 1.15)
_UP: Final = (0.9, -0.2)
"""A strip's ends along the neck and its top and bottom, as shares of the neck's length from the junction."""
_LEAST_PX: Final = 8.0
"""Of a shorter neck there is nothing to follow."""
_LOST_ROWS: Final = 12.0
"""A capsule of a larger SD in the mean was not seen: an infant's may stand off by more than its neck is long, beyond
the strip. Of 521 phantoms one had 26 rows, one 19, all others less than 9.
"""
_NEEDED: Final = ("anterior_recess", "femoral_neck")
_ENDS: Final = ("head_neck_junction", "capsule_insertion")


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Where a strip lies: `matrix` (2, 3) takes frame pixels to the strip's, (x, y) = (column, row)."""

    matrix: NDArray[np.float64]

    def to_strip(self, points_xy: Points) -> Points:
        """Frame pixels (N, 2) to the strip's."""
        return np.asarray(points_xy @ self.matrix[:, :2].T + self.matrix[:, 2])

    def to_frame(self, points_xy: Points) -> Points:
        """The strip's pixels (N, 2) to the frame's: the inverse of `to_strip`."""
        return np.asarray((points_xy - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Rows (COLUMNS,) of the outer capsule and of the cortex, each with its SD (COLUMNS,), in rows of the strip."""

    outer: NDArray[np.float32]
    outer_sd: NDArray[np.float32]
    cortex: NDArray[np.float32]
    cortex_sd: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A capsule that was followed along its neck: its curves in frame pixels, and probabilities (4,) of its grade."""

    curves: CapsuleCurves
    gsus: NDArray[np.float32]


def followed(findings: Findings, frame: Frame, session: Session) -> Followed | None:
    """The capsule followed along its neck; None where that cannot be, or the session has no network for it."""
    seen = findings.view is View.LONGITUDINAL and all(findings.structure(name) for name in _NEEDED)
    ends = ends_of(findings) if seen else None
    if session.spec.strip is None or ends is None or np.hypot(*(ends[1] - ends[0])) < _LEAST_PX:
        return None
    spacing = frame.spacing_at(*ends[0])
    strip = strip_over(ends, row_by_column(spacing))
    told = session.run_along(cut(frame.grey, strip))
    edges = Edges(*told.edges.reshape(4, COLUMNS))
    if _over(edges.outer_sd).mean() > _LOST_ROWS:
        return None
    curves = curves_of(edges, strip, _spread(edges, ends, spacing, session.spec.strip.spread))
    return Followed(curves, told.gsus)


def row_by_column(spacing_mm: Spacing | None) -> float:
    """How much longer a row's step is than a column's; 1 where no scale tells."""
    return spacing_mm[0] / spacing_mm[1] if spacing_mm else 1.0


def ends_of(findings: Findings) -> Points | None:
    """Head-neck junction and capsule insertion (2, 2) in frame pixels; None where one was not found."""
    found = [findings.landmark(name) for name in _ENDS]
    return np.array([[point.x, point.y] for point in found if point]) if all(found) else None


def strip_over(ends_xy: Points, row_by_column: float = 1.0) -> Strip:
    """The strip of a neck from junction to insertion (2, 2) in frame pixels; `row_by_column` is how much longer a row's
    step is than a column's. Raises ValueError where both ends are one.
    """
    square = np.diag([1.0, row_by_column])
    junction, insertion = ends_xy @ square
    length = float(np.hypot(*(insertion - junction)))
    if length < 1:
        raise ValueError("the head-neck junction lies on the capsule's insertion: there is no neck between")
    along = (insertion - junction) / length
    up = np.array([along[1], -along[0]]) * (1 if along[0] >= 0 else -1)
    across, down = along * COLUMNS / (_ALONG[1] - _ALONG[0]) / length, up * ROWS / (_UP[1] - _UP[0]) / length
    origin = np.array([column_at(0.0) - junction @ across, row_at(0.0) - junction @ down])
    return Strip(np.column_stack([np.stack([across, down]) @ square, origin]))


def column_at(share: float) -> float:
    """The column of a place along the neck: 0 the junction, 1 the insertion."""
    return (share - _ALONG[0]) / (_ALONG[1] - _ALONG[0]) * COLUMNS - 0.5


def row_at(share: float) -> float:
    """The row of a height over the line from junction to insertion, as a share of its length."""
    return (share - _UP[0]) / (_UP[1] - _UP[0]) * ROWS - 0.5


def cut(picture: NDArray[np.uint8], strip: Strip) -> NDArray[np.uint8]:
    """The strip (ROWS, COLUMNS) of a picture (H, W), zeros beyond it; what is made smaller is averaged."""
    finer = [max(1, round(1 / float(np.hypot(*row)))) for row in strip.matrix[:, :2]]
    scale = np.diag(np.asarray(finer, np.float64))
    shift = (np.asarray(finer) - 1) / 2
    matrix = scale @ strip.matrix + np.column_stack([np.zeros((2, 2)), shift])
    seen = cv2.warpAffine(picture, matrix, (COLUMNS * finer[0], ROWS * finer[1]), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(seen, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.uint8)


def curves_of(edges: Edges, strip: Strip, spread_mm: float | None = None) -> CapsuleCurves:
    """The curves that a capsule is measured between, in frame pixels, from the junction to the insertion.

    The outer one begins over the junction, at a right angle to the line to the insertion. On 500 phantoms a quartic
    cortex left an SD of 0.20 mm of the capsule's distance where a cubic left 0.24 (0.14 and 0.22 of the true edges).
    """
    return CapsuleCurves(
        smoothed(_over_neck(edges.cortex, strip), 4), smoothed(_over_neck(edges.outer, strip), 3), spread_mm
    )


def _over_neck(rows: NDArray[np.float32], strip: Strip) -> Points:
    """An edge from junction to insertion, in frame pixels."""
    columns = np.linspace(column_at(0.0), column_at(1.0), COLUMNS)
    return strip.to_frame(np.stack([columns, np.interp(columns, np.arange(COLUMNS), rows)], axis=1))


def _over(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is told of the columns over the neck."""
    return rows[int(np.ceil(column_at(0.0))) : int(column_at(1.0)) + 1]


def _spread(edges: Edges, ends_xy: Points, spacing_mm: Spacing | None, spread: CapsuleSpread | None) -> float | None:
    """The SD in mm of a distance, by how unsure the outer capsule is over the neck; None where nothing tells."""
    if spread is None or spacing_mm is None:
        return None
    neck_mm = float(np.hypot(*((ends_xy[1] - ends_xy[0]) * [spacing_mm[1], spacing_mm[0]])))
    mm_a_row = neck_mm * (_UP[0] - _UP[1]) / ROWS
    return spread.at(float(_over(edges.outer_sd).mean()) * mm_a_row)
