"""A data set letterboxed once and kept in memory; batches whose draws depend on seed, epoch and frame alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from datasets.sample import VESSEL_ID, Sample, Truth
from datasets.store import Store
from model.anatomy import LANDMARK_NAMES, LANDMARKS, POINT_LANDMARK_NAMES, VIEWS
from model.closer import box_around
from model.frame import Frame
from model.geometry import Placement, Points, normals
from model.grade import GradeRules, shape_of
from model.preprocess import Box, find_sector, letterbox
from training.augment import Bow, Draw, apply_to_bow, apply_to_image, apply_to_mask, apply_to_points, draw, unchanged
from training.losses import GROUPS, Target, merge_matrix
from training.texture import covered, draw_cover, faded
from training.warp import draw_warp, warp_image, warp_mask, warp_points

SETTLING_FRAMES: Final = 960
_SETTLING_SEED: Final = 20261123
_NEARBY: Final = 20261122
_AROUND: Final = (0.9, 1.5)
_OFF_MIDDLE: Final = 0.08
POINT_ROWS: Final = [row for row, landmark in enumerate(LANDMARKS) if landmark.centroid_of is None]
"""The landmarks that the network tells as points, by their rows in the anatomy's table."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One letterboxed labelled frame: picture and mask (S, S), points (L, 2) in network pixels, NaN absent where they
    are among the `pointed`, else unknown. `bow` is the capsule's, where its shape was told beside the grade.
    """

    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    points_xy: NDArray[np.float64]
    view: int
    gsus: int
    labelled: tuple[str, ...]
    pointed: tuple[str, ...] = POINT_LANDMARK_NAMES
    bow: Bow | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures (N, 1, S, S) float 0..255 and their truth."""

    pictures: torch.Tensor
    target: Target

    def to(self, device: torch.device) -> "Batch":
        t = self.target
        parts = (t.shares, t.merge, t.points, t.view, t.gsus, t.pointed)
        return Batch(self.pictures.to(device), Target(*(part.to(device) for part in parts)))


def frame_as_it_comes(sample: Sample, row: int) -> Frame:
    """The frame of a data set's row: every other one without its regions, as a PNG comes."""
    return sample.frame if row % 2 == 0 else replace(sample.frame, regions=())


def load_examples(
    store: Store, indices: tuple[int, ...], size_px: int, closer_share: float = 0.0
) -> tuple[Example, ...]:
    """Letterboxed through the same preprocessing that serves; `closer_share` of them as a closer look sees them."""

    def load(i: int) -> Example:
        sample = store.sample(i)
        frame = frame_as_it_comes(sample, i)
        box = find_sector(frame)
        rng = np.random.default_rng([_NEARBY, i])
        if rng.random() < closer_share:
            box = _closer(sample.truth, box, rng)
        picture, placement = letterbox(frame, box, size_px, size_px)
        mask = sample.truth.mask
        moved = np.zeros((size_px, size_px), np.uint8)
        if mask is not None:
            moved = np.asarray(
                cv2.warpAffine(mask, placement.matrix(), (size_px, size_px), flags=cv2.INTER_NEAREST), np.uint8
            )
        points = placement.to_network(sample.truth.landmarks_xy[POINT_ROWS])
        truth = sample.truth
        gsus = -1 if truth.gsus is None else truth.gsus
        labelled = truth.labelled if mask is not None else ()
        bow = _bow(sample, placement)
        return Example(picture, moved, points, VIEWS.index(truth.view), gsus, labelled, truth.pointed, bow)

    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(load, indices))


def _bow(sample: Sample, placement: Placement) -> Bow | None:
    """The capsule's bow in the picture; its chord begins over the head-neck junction, about its distance up."""
    truth, rows = sample.truth, [LANDMARK_NAMES.index(name) for name in ("head_neck_junction", "capsule_insertion")]
    ends: Points = truth.landmarks_xy[rows]
    spacing = sample.frame.spacing_at(*ends[0]) if np.isfinite(ends).all() else None
    if truth.sagitta_ratio is None or truth.capsule_distance_mm is None or spacing is None:
        return None
    start = ends[0] + normals(ends)[0] * truth.capsule_distance_mm / spacing[0]
    across, down = placement.to_network(ends[1]) - placement.to_network(start)
    return Bow((float(across), float(down)), truth.sagitta_ratio)


def _closer(truth: Truth, sector: Box, rng: np.random.Generator) -> Box:
    """What a closer look might be taken of: the anatomy with more or less around it, not quite in the middle."""
    places = truth.landmarks_xy[np.isfinite(truth.landmarks_xy).all(axis=1)]
    if truth.mask is not None and truth.mask.any():
        x, y, width, height = cv2.boundingRect(truth.mask)
        places = np.concatenate([[[x, y], [x + width, y + height]], places])
    if not len(places):
        return sector
    off = _OFF_MIDDLE * rng.uniform(-1, 1, 2) * (places.max(axis=0) - places.min(axis=0))
    return box_around(places + off, sector, rng.uniform(*_AROUND))


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """What a run learns from: the main examples once an epoch, and extra ones in a share of each batch.

    With `limit` above 0 an epoch has that many batches: the next draws anew, and examples that are too few for it come
    round again, disturbed anew. Main examples are veiled by an
    extra one in `veil_share` of their draws and lose sight of a structure in `fade_share`; all have their greys bent in
    `bend_share` (training.texture) and their anatomy in `warp_share` (training.warp).
    """

    main: tuple[Example, ...]
    extra: tuple[Example, ...] = ()
    share: float = 0.0
    limit: int = 0
    veil_share: float = 0.0
    bend_share: float = 0.0
    fade_share: float = 0.0
    warp_share: float = 0.0

    def extra_of(self, batch_size: int) -> int:
        """How many of a batch are extra."""
        return round(self.share * batch_size) if self.extra else 0

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return self.limit or len(self.main) // (batch_size - self.extra_of(batch_size))

    def covered(self, example: Example, rng: np.random.Generator, *, main: bool) -> Example:
        """The example bent, and with foreign texture over it, or as it was."""
        if self.warp_share and rng.random() < self.warp_share:
            example = warped(example, rng)
        veil_share = self.veil_share if main and self.extra else 0.0
        cover = draw_cover(veil_share, self.bend_share, rng)
        over = self.extra[int(rng.integers(len(self.extra)))].picture if cover.veil else None
        fade = main and rng.random() < self.fade_share
        picture = faded(example.picture, example.mask, rng) if fade else example.picture
        return replace(example, picture=covered(picture, over, cover))


def batches(mix: Mix, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """A shuffled, augmented epoch; the same for the same seed and epoch. The last, smaller batch is left out."""
    size = mix.main[0].picture.shape[0]

    def make(group: list[_Drawn]) -> Batch:
        rngs = [np.random.default_rng([seed, epoch, *key]) for _, key in group]
        draws = [draw(size, rng) for rng in rngs]
        shown = [mix.covered(example, rng, main=key[0] == 0) for (example, key), rng in zip(group, rngs, strict=True)]
        return collate([augmented(example, one) for example, one in zip(shown, draws, strict=True)])

    with ThreadPoolExecutor(1) as ahead:
        groups = _groups(mix, batch_size, np.random.default_rng([seed, epoch]))
        waiting = [ahead.submit(make, group) for group in groups[:2]]
        for group in [*groups[2:], None, None]:
            if not waiting:
                return
            ready = waiting.pop(0).result()
            if group is not None:
                waiting.append(ahead.submit(make, group))
            yield ready


_Drawn = tuple[Example, tuple[int, int]]
"""An example and what its augmentation is drawn by."""


def _groups(mix: Mix, batch_size: int, rng: np.random.Generator) -> list[list[_Drawn]]:
    """The examples of each batch; they come round again when all were seen, drawn anew."""
    count, steps = mix.extra_of(batch_size), mix.steps(batch_size)
    own, held = batch_size - count, len(mix.main)
    turns = [nth * held + int(k) for nth in range(-(-own * steps // held)) for k in rng.permutation(held)]
    main = [(mix.main[turn % held], (0, turn)) for turn in turns]
    rounds = -(-count * steps // len(mix.extra)) if count else 0
    order = [int(k) for _ in range(rounds) for k in rng.permutation(len(mix.extra))]
    extra = [(mix.extra[k], (1, nth)) for nth, k in enumerate(order)]
    return [main[s * own : (s + 1) * own] + extra[s * count : (s + 1) * count] for s in range(steps)]


def plain_batches(examples: tuple[Example, ...], batch_size: int) -> Iterator[Batch]:
    """Every example once, in order, unchanged."""
    for k in range(0, len(examples), batch_size):
        yield collate(list(examples[k : k + batch_size]))


def settling_pictures(mix: Mix, batch_size: int) -> Iterator[torch.Tensor]:
    """Pictures as they are learnt from: shuffled, disturbed, main and extra ones in every batch.

    A batch of real frames alone varies less than one of both kinds, and the mean of such variances took a tenth of
    another simulator's views for none.
    """
    some = replace(mix, limit=max(1, SETTLING_FRAMES // batch_size))
    return (batch.pictures for batch in batches(some, batch_size, _SETTLING_SEED, 0))


def warped(example: Example, rng: np.random.Generator) -> Example:
    """The example's anatomy bent. It has no grade then: that was told by the capsule's shape."""
    one = draw_warp(example.picture.shape[0], rng)
    return replace(
        example,
        picture=warp_image(one, example.picture),
        mask=warp_mask(one, example.mask),
        points_xy=warp_points(one, example.points_xy),
        gsus=-1,
    )


def augmented(example: Example, one: Draw | None = None) -> Example:
    """The example moved and disturbed by one draw."""
    size = example.picture.shape[0]
    one = one or unchanged(size)
    return replace(
        example,
        picture=apply_to_image(one, example.picture),
        mask=apply_to_mask(one, example.mask),
        points_xy=apply_to_points(one, example.points_xy, size),
        gsus=example.gsus if _keeps_its_shape(example.bow, one) else -1,
    )


def _keeps_its_shape(bow: Bow | None, one: Draw) -> bool:
    """Whether a capsule that is stretched or leant upon is still concave, straight or convex as its grade says."""
    if bow is None:
        return True
    before, after = (shape_of(b.ratio, GradeRules()) for b in (bow, apply_to_bow(one, bow)))
    return before == after


def collate(examples: list[Example]) -> Batch:
    """Examples stacked; the mask as each cell's shares at half the picture's size."""
    pictures = torch.from_numpy(np.stack([e.picture for e in examples])).unsqueeze(1).float()
    ids = torch.from_numpy(np.stack([e.mask for e in examples]))
    ids[ids == VESSEL_ID] = GROUPS - 1
    target = Target(
        shares=_shares(ids),
        merge=torch.stack([merge_matrix(e.labelled) for e in examples]),
        points=torch.from_numpy(np.stack([e.points_xy for e in examples])).float(),
        view=torch.tensor([e.view for e in examples]),
        gsus=torch.tensor([e.gsus for e in examples]),
        pointed=torch.tensor([[name in e.pointed for name in POINT_LANDMARK_NAMES] for e in examples]),
    )
    return Batch(pictures, target)


def _shares(ids: torch.Tensor) -> torch.Tensor:
    """Masks (N, H, W) uint8 to (N, GROUPS, H/2, W/2): of each cell's four pixels, the share that is of each group."""
    groups = torch.arange(GROUPS, dtype=torch.uint8).view(1, -1, 1, 1)
    count, height, width = ids.shape
    held = torch.zeros(count, GROUPS, height // 2, width // 2, dtype=torch.uint8)
    for y, x in product((0, 1), (0, 1)):
        held += ids[:, None, y::2, x::2] == groups
    return held * 0.25
