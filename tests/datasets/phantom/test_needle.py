"""A needle changes the picture now and then, in every view alike, and never the truth."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom import needle
from datasets.phantom.generate import draw_phantom, phantom, truth_of
from datasets.phantom.scene import within
from model.anatomy import View

SEEDS = range(8_300_000, 8_300_060)


def scenes(view):
    return [draw_phantom(seed, view).scene for seed in SEEDS]


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(needle, "_SHARE", 1.0)


def test_a_few_pictures_have_one(monkeypatch):
    drawn = [len(scene.interfaces) for scene in scenes(View.ILIOPECTINEAL)]
    monkeypatch.setattr(needle, "_SHARE", 0.0)
    bare = [len(scene.interfaces) for scene in scenes(View.ILIOPECTINEAL)]
    assert 1 <= sum(one != other for one, other in zip(drawn, bare, strict=True)) <= 12


@pytest.mark.parametrize("view", [View.ILIOPECTINEAL, View.INFEROMEDIAL, View.LONGITUDINAL, View.OTHER])
def test_it_leads_to_what_is_aimed_at_and_through_no_vessel(always, view):
    shafts = 0
    for seed in SEEDS[:20]:
        scene = replace(draw_phantom(seed, view).scene, interfaces=())
        lines = needle.with_needle(scene, np.random.default_rng(seed)).interfaces
        if not lines or len(lines[0].line_mm) < 10:
            continue
        shafts += 1
        shaft = lines[0].line_mm
        assert shaft[:, 1].min() < 1 or np.hypot(*np.ptp(shaft, axis=0)) > 69
        assert not any(within(shaft, patch.polygon_mm).any() for patch in scene.patches if patch.flow)
        if scene.marks:
            tip = shaft[np.argmax(shaft[:, 1])]
            assert min(np.hypot(tip[0] - mark.x_mm, tip[1] - mark.z_mm) for mark in scene.marks) < 25
    assert shafts > 5


def test_the_truth_does_not_hear_of_it(always, monkeypatch):
    seen = [phantom(seed, View.LONGITUDINAL) for seed in SEEDS[:4]]
    told = [truth_of(draw_phantom(seed, View.LONGITUDINAL)) for seed in SEEDS[:4]]
    monkeypatch.setattr(needle, "_SHARE", 0.0)
    for seed, one, truth in zip(SEEDS, seen, told, strict=False):
        bare = phantom(seed, View.LONGITUDINAL)
        assert np.array_equal(one.truth.mask, bare.truth.mask) and one.truth.gsus == bare.truth.gsus
        assert np.array_equal(truth.landmarks_xy, bare.truth.landmarks_xy, equal_nan=True)
        assert not np.array_equal(one.frame.grey, bare.frame.grey)
