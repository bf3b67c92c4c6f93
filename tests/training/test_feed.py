"""The feed: a share of extra examples in every batch, everything seen, the same again from the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.sample import VESSEL_ID
from training.augment import Bow, draw
from training.feed import SETTLING_FRAMES, Example, Mix, augmented, batches, collate, settling_pictures
from training.losses import GROUPS


def example(level, view=0):
    picture = np.full((32, 32), level, np.uint8)
    return Example(picture, np.zeros((32, 32), np.uint8), np.full((6, 2), np.nan), view, -1, ())


MAIN = tuple(example(50, 0) for _ in range(23))
EXTRA = tuple(example(200, 1) for _ in range(3))


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.5, 4)])
def test_each_batch_holds_its_share(share, count):
    mix = Mix(MAIN, EXTRA, share)
    fed = list(batches(mix, 8, seed=1, epoch=0))
    assert len(fed) == mix.steps(8) == 23 // (8 - count)
    assert all(int(batch.target.view.sum()) == count for batch in fed)


def test_statistics_are_settled_on_batches_as_they_are_learnt_from():
    black = tuple(replace(one, picture=np.zeros_like(one.picture)) for one in EXTRA)
    fed = list(settling_pictures(Mix(MAIN, black, 0.25), 8))
    assert len(fed) == SETTLING_FRAMES // 8
    assert all((pictures.amax(dim=(1, 2, 3)) == 0).sum() == 2 for pictures in fed), "real frames in every batch"


def test_without_extra_examples_the_share_is_nothing():
    assert Mix(MAIN, (), 0.5).steps(8) == 2


def test_main_examples_come_once_and_extra_ones_come_round_drawn_anew():
    named = tuple(replace(one, gsus=k % 4, view=k) for k, one in enumerate(MAIN))
    fed = list(batches(Mix(named, tuple(replace(e, view=100) for e in EXTRA), 0.5), 8, seed=1, epoch=0))
    seen = torch.cat([batch.target.view for batch in fed])
    assert sorted(seen[seen < 100].tolist()) == sorted(set(seen[seen < 100].tolist()))
    pictures = torch.cat([batch.pictures[batch.target.view == 100] for batch in fed])
    assert len(pictures) == 20
    assert len({one.numpy().tobytes() for one in pictures}) > 15


def test_the_same_seed_and_epoch_give_the_same_batches():
    mix = Mix(MAIN, EXTRA, 0.25)
    one, again, other = (list(batches(mix, 8, seed, epoch)) for seed, epoch in ((1, 2), (1, 2), (1, 3)))
    assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a.pictures, b.pictures) for a, b in zip(one, other, strict=True))


def test_a_cell_is_shared_by_its_four_pixels():
    mask = np.zeros((32, 32), np.uint8)
    mask[0, 0], mask[:2, 2:4], mask[0, 5], mask[1, 4] = 1, 2, 3, VESSEL_ID
    shares = collate([replace(MAIN[0], mask=mask)]).target.shares
    assert shares.shape == (1, GROUPS, 16, 16)
    assert shares[0, :, 0, 0].tolist() == [0.75, 0.25] + [0.0] * (GROUPS - 2)
    assert shares[0, 2, 0, 1] == 1.0
    assert (shares[0, 0, 0, 2], shares[0, 3, 0, 2], shares[0, -1, 0, 2]) == (0.5, 0.25, 0.25)
    assert torch.equal(shares.sum(dim=1), torch.ones(1, 16, 16))


def test_a_bent_frame_has_no_grade_and_comes_in_its_share():
    graded = tuple(replace(one, gsus=2) for one in MAIN * 4)
    grades = torch.cat([batch.target.gsus for batch in batches(Mix(graded, warp_share=0.5), 8, seed=1, epoch=0)])
    assert set(grades.tolist()) == {-1, 2}
    assert 0.3 < float((grades == -1).float().mean()) < 0.7


def test_few_examples_come_round_again_disturbed_anew():
    few = MAIN[:5]
    mix = Mix(few, limit=4)
    fed = list(batches(mix, 4, seed=1, epoch=0))
    assert len(fed) == mix.steps(4) == 4
    views = torch.cat([batch.target.view for batch in fed])
    assert len(views) == 16
    pictures = torch.cat([batch.pictures for batch in fed])
    assert len({picture.numpy().tobytes() for picture in pictures}) == 16


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.026, 0.2, 0.8), (-0.1, 0, 0)])
def test_a_grade_is_told_of_no_capsule_that_the_draw_gave_another_shape(ratio, least, most):
    one = replace(example(50), gsus=2, bow=Bow((90.0, 5.0), ratio))
    grades = [augmented(one, draw(32, np.random.default_rng(seed))).gsus for seed in range(200)]
    assert least <= grades.count(-1) / 200 <= most
    assert set(grades) <= {2, -1}
    assert augmented(one).gsus == 2
