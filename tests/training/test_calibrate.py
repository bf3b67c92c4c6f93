"""Spreads: what is told holds as often as a Gaussian says."""

from dataclasses import replace

import numpy as np
import pytest

from model.anatomy import LANDMARK_NAMES, STRUCTURE_NAMES
from tests.training.scores import INF, LOOKED_FOR, NAN, NOWHERE, score
from training.calibrate import fit_capsule_spread, fit_centroid_spread

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
    assert spread.at(1.0) == pytest.approx(0.3, rel=0.12)
    assert spread.at(0.5) == pytest.approx(0.3 * np.exp(1.25), rel=0.12)


def test_of_few_capsules_no_spread_is_told():
    assert fit_capsule_spread((measured(0.3, 0.9),) * 5) is None
