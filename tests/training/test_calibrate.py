"""Temperatures: what is told is right as often as it says. Spreads: it holds as often as a Gaussian says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.sample import ALL_LABELLED
from model.anatomy import LANDMARK_NAMES, POINT_LANDMARKS, STRUCTURE_NAMES, VIEWS
from model.network.hipnet import CLASSES, Logits
from model.spec import Temperatures
from tests.training.scores import INF, LOOKED_FOR, NAN, NOWHERE, score
from training.calibrate import fit_capsule_spread, fit_centroid_spread, fit_gsus_of_two, fit_temperatures
from training.feed import Example

ARTERY = LANDMARK_NAMES.index("femoral_artery")


def seen(error_mm: float, radius_mm: float):
    errors, spreads = list(NOWHERE), list(NOWHERE)
    errors[ARTERY], spreads[ARTERY] = error_mm, radius_mm
    errors[0], spreads[0] = 50.0, 1.0
    return score(0, 0, landmark_error_mm=tuple(errors), landmark_spread_mm=tuple(spreads))


def test_a_centroid_lies_within_twice_its_spread_as_often_as_a_gaussian_says():
    rng = np.random.default_rng(0)
    radii = rng.uniform(2, 6, 4000)
    errors = np.hypot(*(0.15 * radii * rng.standard_normal((2, 4000))))
    scores = tuple(seen(float(e), float(r)) for e, r in zip(errors, radii, strict=True))
    assert fit_centroid_spread(scores) == pytest.approx(0.15, rel=0.04)


def test_of_what_was_not_found_nothing_is_fitted():
    assert fit_centroid_spread(tuple(seen(INF, NAN) for _ in range(50))) is None


def measured(error_mm: float, confidence: float):
    sure = tuple(
        replace(one, confidence=confidence) if name == "anterior_recess" else one
        for name, one in zip(STRUCTURE_NAMES, LOOKED_FOR, strict=True)
    )
    return score(1, 1, structures=sure, distance_mm=6.0, told_distance_mm=6.0 + error_mm)


def test_a_capsule_distance_errs_as_its_spread_says():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.4, 1, 4000)
    errors = 0.3 * np.exp(2.5 * (1 - confidences)) * rng.standard_normal(4000)
    spread = fit_capsule_spread(tuple(measured(float(e), float(c)) for e, c in zip(errors, confidences, strict=True)))
    assert spread is not None
    assert spread.at(0.0) == pytest.approx(0.3, rel=0.12)
    assert spread.at(0.5) == pytest.approx(0.3 * np.exp(1.25), rel=0.12)


def test_of_few_capsules_no_spread_is_told():
    assert fit_capsule_spread((measured(0.3, 0.9),) * 5) is None


def test_the_mean_of_two_looks_has_a_temperature_of_its_own():
    rng = np.random.default_rng(0)
    true = rng.dirichlet((1, 1, 1, 1), 3000)
    grades = torch.tensor([rng.choice(4, p=p) for p in true])
    vague = true**0.6 / (true**0.6).sum(axis=1, keepdims=True)
    assert fit_gsus_of_two(torch.tensor(vague), grades) == pytest.approx(0.6, rel=0.1)
    assert fit_gsus_of_two(torch.empty(0, 4), torch.empty(0, dtype=torch.long)) == 1.0


class Overconfident(torch.nn.Module):
    """Knows the probabilities that the truth is drawn from, and tells them too surely by known factors."""

    def __init__(self, by: Temperatures, frames: int, cells: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(3)
        self.view = torch.randn(frames, len(VIEWS), generator=draw)
        self.above = torch.randn(frames, 3, generator=draw).sort(dim=1, descending=True).values
        self.structures = 2 * torch.randn(frames, CLASSES, cells, cells, generator=draw)
        self.by, self.done, self.draw = by, 0, draw

    def drawn(self, probabilities):
        return torch.multinomial(probabilities, 1, generator=self.draw).squeeze(1)

    def forward(self, pictures):
        now = slice(self.done, self.done + len(pictures))
        self.done = now.stop
        heat = torch.zeros(len(pictures), len(POINT_LANDMARKS), 8, 8)
        structures = self.by.structures * self.structures[now]
        return Logits(structures, heat, heat[:, :, 0, 0], self.by.view * self.view[now], self.by.gsus * self.above[now])


def drawn_examples(network, frames, cells):
    """Frames whose answers come as often as the network's probabilities, before it overstates them, say."""
    views = network.drawn(network.view.softmax(dim=1))
    above = torch.cat([torch.ones(frames, 1), network.above.sigmoid(), torch.zeros(frames, 1)], dim=1)
    grades = network.drawn(above[:, :-1] - above[:, 1:])
    ids = network.drawn(network.structures.softmax(dim=1).permute(0, 2, 3, 1).reshape(-1, CLASSES))
    masks = ids.reshape(frames, cells, cells).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).numpy()
    picture, nowhere = np.full((2 * cells, 2 * cells), 90, np.uint8), np.full((len(POINT_LANDMARKS), 2), np.nan)
    return tuple(
        Example(picture, masks[k].astype(np.uint8), nowhere, int(views[k]), int(grades[k]), ALL_LABELLED)
        for k in range(frames)
    )


def test_the_temperatures_undo_known_overconfidence():
    frames, cells = 600, 16
    by = Temperatures(view=1.6, structures=0.6, gsus=2.2)
    network = Overconfident(by, frames, cells)
    told = fit_temperatures(network, drawn_examples(network, frames, cells))
    assert (told.view, told.structures, told.gsus) == pytest.approx((by.view, by.structures, by.gsus), rel=0.12)


def test_a_view_is_never_told_more_surely_than_the_floor_lets_it():
    frames, cells = 200, 16
    network = Overconfident(Temperatures(view=0.2), frames, cells)
    assert fit_temperatures(network, drawn_examples(network, frames, cells)).view == pytest.approx(0.7)


def test_without_a_calibration_split_nothing_is_fitted():
    assert fit_temperatures(Overconfident(Temperatures(), 1, 4), ()) == Temperatures()
