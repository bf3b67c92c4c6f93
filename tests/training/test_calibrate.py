"""Spreads: what is told holds as often as a Gaussian says."""

import numpy as np
import pytest

from model.anatomy import LANDMARK_NAMES
from tests.training.scores import INF, NAN, NOWHERE, score
from training.calibrate import fit_centroid_spread

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
    assert fit_centroid_spread(tuple(seen(INF, NAN) for _ in range(50))) == 1.0
