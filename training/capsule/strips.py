"""Labelled frames as strips along the neck, each cut out anew a little off and disturbed: what EdgeNet learns from."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.record import Record, landmarks_array
from datasets.store import Store
from model.anatomy import LANDMARK_NAMES, View, structure
from model.geometry import Points
from model.strip import Strip, cut, row_by_column, strip_over
from training.augment import apply_to_image, draw, unchanged

_ENDS: Final = [LANDMARK_NAMES.index(name) for name in ("head_neck_junction", "capsule_insertion")]
_RECESS: Final = structure("anterior_recess").id
_NEEDED: Final = {"anterior_recess", "femoral_neck"}
_OFF: Final = (0.02, 0.06)
_FAR_OFF_SHARE: Final = 0.15
"""SD of a strip's ends about the true ones, as shares of the neck's length: mostly the first, sometimes the second."""
_AHEAD: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A frame that shows a capsule: where it lies."""

    store: Store
    row: int


@dataclass(frozen=True, slots=True)
class Strips:
    """Strips (N, 1, ROWS, COLUMNS) float 0..255, the rows (N, E, COLUMNS) of their edges, NaN where not told, and the
    capsules' grades (N,), -1 unknown.
    """

    pictures: torch.Tensor
    rows: torch.Tensor
    gsus: torch.Tensor

    def to(self, device: torch.device) -> "Strips":
        return Strips(self.pictures.to(device), self.rows.to(device), self.gsus.to(device))


def places(store: Store, rows: tuple[int, ...]) -> tuple[Place, ...]:
    """Those of the rows that show a neck from end to end with its recess outlined."""
    return tuple(Place(store, row) for row in rows if _shows_capsule(store.records[row]))


def _shows_capsule(record: Record) -> bool:
    drawn = record.mask is not None and set(record.labelled) >= _NEEDED
    return drawn and record.view is View.LONGITUDINAL and bool(np.isfinite(landmarks_array(record)[_ENDS]).all())


def batches(seen: tuple[Place, ...], size: int, key: tuple[int, int]) -> Iterator[Strips]:
    """A shuffled, disturbed epoch; the same for the same `key`, a seed and an epoch. The last, smaller batch is left
    out.
    """
    order = np.random.default_rng(key).permutation(len(seen))
    groups = [order[k : k + size] for k in range(0, len(seen) - size + 1, size)]
    return _made([[(seen[i], np.random.default_rng([*key, int(i)])) for i in group] for group in groups])


def plain_batches(seen: tuple[Place, ...], size: int) -> Iterator[Strips]:
    """Every strip once, in order, between its true ends, undisturbed."""
    return _made([[(place, None) for place in seen[k : k + size]] for k in range(0, len(seen), size)])


_Drawn = tuple[Place, Generator | None]


def _made(groups: list[list[_Drawn]]) -> Iterator[Strips]:
    """The batches in turn, a few made ahead: each frame is read from its file again."""
    with ThreadPoolExecutor(1) as ahead:
        waiting = [ahead.submit(_batch, group) for group in groups[:_AHEAD]]
        for group in [*groups[_AHEAD:], *[None] * len(waiting)]:
            ready = waiting.pop(0).result()
            if group is not None:
                waiting.append(ahead.submit(_batch, group))
            yield ready


def _batch(group: list[_Drawn]) -> Strips:
    pictures, rows = zip(*(_strip(place, rng) for place, rng in group), strict=True)
    grades = [place.store.records[place.row].gsus for place, _ in group]
    gsus = torch.tensor([-1 if grade is None else grade for grade in grades])
    return Strips(torch.from_numpy(np.stack(pictures))[:, None].float(), torch.from_numpy(np.stack(rows)).float(), gsus)


def _strip(place: Place, rng: Generator | None) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    sample = place.store.sample(place.row)
    ends: Points = sample.truth.landmarks_xy[_ENDS]
    strip = strip_over(ends if rng is None else _moved(ends, rng), row_by_column(sample.frame.spacing_at(*ends[0])))
    mask = sample.truth.mask
    if mask is None:
        raise ValueError(f"row {place.row} of {place.store.folder} has no mask")
    picture = cut(sample.frame.grey, strip)
    return picture if rng is None else _disturbed(picture, rng), edges_of(mask, strip)


def _moved(ends_xy: Points, rng: Generator) -> Points:
    length = np.hypot(*(ends_xy[1] - ends_xy[0]))
    off = _OFF[int(rng.random() < _FAR_OFF_SHARE)]
    return np.asarray(ends_xy + rng.normal(0, off * length, (2, 2)))


def _disturbed(picture: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    one = draw(picture.shape[0], rng)
    return apply_to_image(replace(one, affine=unchanged(picture.shape[0]).affine), picture)


def edges_of(mask: NDArray[np.uint8], strip: Strip) -> NDArray[np.float64]:
    """Rows (E, COLUMNS) where the recess of a mask (H, W) begins and where the bone under it does, NaN where the strip
    does not hold it.
    """
    inside = cut(np.where(mask == _RECESS, 255, 0).astype(np.uint8), strip) / 255
    below = len(inside) - 1 - _first_crossing(inside[::-1])
    return np.stack([_first_crossing(inside), below])


def _first_crossing(inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """The row (COLUMNS,) at which a half is reached from above, between rows; NaN where never, or at once."""
    within = inside >= 0.5
    first = within.argmax(axis=0)
    columns = np.arange(inside.shape[1])
    at, before = inside[first, columns], inside[np.maximum(first - 1, 0), columns]
    row = first - (at - 0.5) / np.maximum(at - before, 1e-6)
    return np.where(within.any(axis=0) & (first > 0), row, np.nan)
