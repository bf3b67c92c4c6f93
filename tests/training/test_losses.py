"""Losses that reward what they should, and leave alone what nobody labelled."""

from dataclasses import replace

import torch

from datasets.sample import ALL_LABELLED, VESSEL
from model.network.hipnet import CLASSES
from model.network.served import decode_landmarks, grade_probabilities, structure_confidence, winning_probability
from training.losses import (
    GROUPS,
    Target,
    heat_loss,
    merge_matrix,
    near_outlines,
    ordinal_loss,
    presence_loss,
    structure_loss,
)


def target(ids, labelled):
    shares = torch.zeros(1, GROUPS, *ids.shape).scatter_(1, ids[None, None], 1.0)
    nothing = torch.full((1, 6, 2), float("nan"))
    grade = torch.tensor([-1])
    return Target(shares, merge_matrix(labelled)[None], nothing, torch.tensor([0]), grade, torch.ones(1, 6).bool())


def logits_for(ids):
    return (torch.zeros(1, CLASSES, *ids.shape).scatter_(1, ids[None, None], 1.0) * 20).requires_grad_()


def test_the_right_answer_costs_least():
    ids = torch.zeros(16, 16, dtype=torch.long)
    ids[4:9, 4:9] = 4
    wrong = ids.roll(5, dims=0)
    right = structure_loss(logits_for(ids), target(ids, ALL_LABELLED))
    assert right < structure_loss(logits_for(wrong), target(ids, ALL_LABELLED))


def test_classes_nobody_labelled_are_neither_rewarded_nor_punished():
    """With only the artery labelled, moving belief between background and the neck changes nothing."""
    ids = torch.zeros(16, 16, dtype=torch.long)
    ids[2:5, 2:5] = 4
    told = target(ids, ("femoral_artery",))
    seen, unseen = ids.clone(), ids.clone()
    seen[10:14] = 8
    assert torch.isclose(structure_loss(logits_for(seen), told), structure_loss(logits_for(unseen), told), atol=1e-4)
    full = target(ids, ALL_LABELLED)
    assert structure_loss(logits_for(seen), full) > structure_loss(logits_for(unseen), full) + 0.1


def test_a_vessel_may_be_artery_or_vein():
    ids = torch.zeros(16, 16, dtype=torch.long)
    ids[4:9, 4:9] = GROUPS - 1
    told = target(ids, (VESSEL,))
    artery, vein, missed = (torch.where(ids > 0, k, 0) for k in (4, 5, 0))
    losses = [float(structure_loss(logits_for(guess), told).detach()) for guess in (artery, vein, missed)]
    assert abs(losses[0] - losses[1]) < 1e-4
    assert losses[2] > losses[0] + 0.5


def test_cells_beside_an_outline_count_more():
    """A mistake at an outline costs more with `edges`, one far from any costs less of the whole."""
    ids = torch.zeros(32, 32, dtype=torch.long)
    ids[4:12, 4:12] = 4
    near, far = ids.clone(), ids.clone()
    near[4:6, 4:12] = 0
    far[24:26, 4:12] = 4
    assert near_outlines(target(ids, ALL_LABELLED).shares).sum() == 12 * 12 - 4 * 4

    def dearer(guess):
        told = target(ids, ALL_LABELLED)
        more = structure_loss(logits_for(guess), told, 4.0) - structure_loss(logits_for(guess), told)
        return float(more.detach())

    assert dearer(near) > 0 > dearer(far)


def test_merge_covers_each_class_once():
    for labelled in ((), ALL_LABELLED, (VESSEL,), ("aiis", VESSEL)):
        assert torch.equal(merge_matrix(labelled).sum(dim=0), torch.ones(CLASSES))


def test_landmarks_decode_below_a_cell():
    columns, rows = torch.arange(64.0), torch.arange(64.0)
    x, y = 20.3, 41.7
    heat = -((columns[None] - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * 1.2**2)
    found = decode_landmarks(heat[None, None], torch.tensor([[9.0]]), 4.0)[0, 0]
    assert torch.allclose(found[:2], torch.tensor([(x + 0.5) * 4 - 0.5, (y + 0.5) * 4 - 0.5]), atol=0.15)
    assert found[2] > 0.9
    assert abs(found[3] - 4 * 1.2) < 1.0


def test_heat_loss_is_least_at_the_place():
    points = torch.full((1, 6, 2), float("nan"))
    points[0, 2] = torch.tensor([100.0, 60.0])
    located = torch.isfinite(points).all(dim=2)
    heat = torch.zeros(1, 6, 64, 64)
    heat[0, 2, 15, 25] = 12
    off = heat.roll(8, dims=3)
    assert heat_loss(heat, points, located, 256) < heat_loss(off, points, located, 256)


def test_no_landmark_and_no_grade_cost_nothing():
    nowhere = torch.full((2, 6, 2), float("nan"))
    heat = torch.randn(2, 6, 16, 16, requires_grad=True)
    assert float(heat_loss(heat, nowhere, torch.zeros(2, 6, dtype=torch.bool), 64).detach()) == 0
    assert float(ordinal_loss(torch.randn(2, 3), torch.tensor([-1, -1]))) == 0


def test_grade_probabilities_are_a_distribution():
    told = grade_probabilities(torch.randn(50, 3) * 4)
    assert torch.allclose(told.sum(dim=1), torch.ones(50), atol=1e-5)
    assert bool((told >= 0).all())
    assert grade_probabilities(torch.tensor([[9.0, 9.0, -9.0]])).argmax().item() == 2


def test_confidence_is_the_mean_over_the_pixels_won():
    certainty = torch.tensor([[[0.9, 0.7], [0.1, 0.2]]])
    labels = torch.tensor([[[1, 1], [0, 0]]])
    assert torch.allclose(structure_confidence(certainty, labels, 3), torch.tensor([[0.8, 0.0]]))


def test_certainty_is_the_best_class_of_a_softmax():
    logits = torch.randn(2, 5, 8, 8) * 6
    assert torch.allclose(winning_probability(logits), logits.softmax(dim=1).amax(dim=1), atol=1e-6)


def test_a_landmark_nobody_looked_for_is_not_called_absent():
    """Vessels drawn alone; bone drawn and points told; bone drawn and no point but the first told."""
    presence = torch.zeros(3, 6, requires_grad=True)
    located = torch.zeros(3, 6, dtype=torch.bool)
    parts = [target(torch.zeros(8, 8, dtype=torch.long), labelled) for labelled in ((VESSEL,), *2 * (ALL_LABELLED,))]
    pointed = torch.ones(3, 6, dtype=torch.bool)
    pointed[2, 1:] = False
    told = replace(parts[0], merge=torch.cat([part.merge for part in parts]), pointed=pointed)
    presence_loss(presence, located, told).backward()
    assert not presence.grad[0].any()
    assert bool((presence.grad[1] > 0).all())
    assert presence.grad[2, 0] > 0 and not presence.grad[2, 1:].any()


def test_classes_nobody_labelled_get_no_gradient():
    """Moving belief within a group, here background and everything unlabelled, is free: its gradient sums to zero."""
    logits = torch.randn(1, CLASSES, 8, 8, requires_grad=True)
    structure_loss(logits, target(torch.zeros(8, 8, dtype=torch.long), ())).backward()
    assert torch.allclose(logits.grad, torch.zeros_like(logits), atol=1e-6)
