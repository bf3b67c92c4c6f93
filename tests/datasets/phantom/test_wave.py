"""The wave simulator's sums against PyMUST's own."""

import copy

import numpy as np
import pymust
import pytest

from datasets.phantom import wave
from datasets.phantom.scanner import Array, Probe


@pytest.fixture(scope="module")
def sounded():
    rng = np.random.default_rng(0)
    param = wave.array_param(Probe("linear", 38, 0, 0, 12, 7.5), Array())
    points = np.stack([rng.uniform(-0.018, 0.018, 300), rng.uniform(0.001, 0.012, 300)], axis=1)
    strength = rng.standard_normal(300)
    delays = [pymust.txdelay(param, angle) for angle in (-0.1, 0.0)]
    return points, strength, delays, param


def test_signals_are_those_of_simus(sounded):
    points, strength, delays, param = sounded
    ours = wave.signals(points, strength, delays, param)
    for one, delay in zip(ours, delays, strict=True):
        options = pymust.utils.Options()
        options.dBThresh, options.ElementSplitting, options.ParPool = -60, 1, False
        theirs, _ = pymust.simus(points[:, 0], points[:, 1], strength, delay, copy.deepcopy(param), options)
        length = min(len(one), len(theirs))
        assert np.corrcoef(one[:length].ravel(), theirs[:length].ravel())[0, 1] > 0.9999


def test_signals_of_many_scatterers_are_the_sum_of_few(sounded):
    points, strength, delays, param = sounded
    many = np.tile(points, (10, 1)), np.tile(strength, 10) / 10
    whole = wave.signals(points, strength, delays, param)
    assert np.allclose(wave.signals(*many, delays, param), whole, atol=1e-3 * np.abs(whole).max())
