"""Scenes: what lies where, and no fascia through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.phantom.body import DEEP_MM, draw_body
from datasets.phantom.generate import draw_phantom
from datasets.phantom.longitudinal import longitudinal
from datasets.phantom.scanner import LINES, Probe
from datasets.phantom.scene import Interface, Patch, Scene, ellipse, level_at, outside
from datasets.phantom.tissue import tissue_maps
from datasets.phantom.transverse import iliopectineal
from model.anatomy import View

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])


def test_a_line_loses_its_part_inside_a_polygon():
    line = np.stack([np.arange(-5.0, 15.0), np.full(20, 5.0)], axis=1)
    (kept,) = outside([Interface(line, 5.0)], SQUARE)
    inside = (line[:, 0] > 0) & (line[:, 0] < 10)
    assert np.isnan(kept.line_mm[inside]).all()
    assert np.isfinite(kept.line_mm[(line[:, 0] < 0) | (line[:, 0] > 10)]).all()
    assert np.isfinite(line).all()


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(2, 12), st.floats(2, 12), st.floats(-1.5, 1.5))
def test_inside_an_ellipse_is_what_its_formula_says(x, z, wide, tall, turn):
    outline = ellipse((1.0, 2.0), (wide, tall), turn)
    across, down = x - 1.0, z - 2.0
    along = across * np.cos(turn) + down * np.sin(turn)
    aside = -across * np.sin(turn) + down * np.cos(turn)
    reach = np.hypot(along / wide, aside / tall)
    (kept,) = outside([Interface(np.array([[x, z]]), 0.0)], outline)
    if reach < 0.98:
        assert np.isnan(kept.line_mm).all()
    if reach > 1.0001:
        assert np.isfinite(kept.line_mm).all()


def test_no_echo_comes_from_the_gap_of_a_broken_line():
    probe = Probe("linear", 40, 0, 0, 40, 8)
    line = np.stack([np.linspace(-15, 15, 100), np.full(100, 20.0)], axis=1)
    line[40:60] = np.nan
    maps = tissue_maps(Scene(View.OTHER, (), (Interface(line, 10.0),)), probe, np.random.default_rng(0))
    lines_mm = np.linspace(-20, 20, LINES)
    lit = maps.lines.max(axis=0) > 0
    assert lit[(np.abs(lines_mm) > 4) & (np.abs(lines_mm) < 14)].all()
    assert not lit[(np.abs(lines_mm) < 2.5) | (np.abs(lines_mm) > 15.5)].any()


def test_the_last_patch_over_a_place_gives_its_level():
    patches = [Patch(SQUARE, 3.0), Patch(SQUARE + 5.0, 7.0)]
    assert [level_at(patches, place) for place in ((2.0, 2.0), (7.0, 7.0), (30.0, 30.0))] == [3.0, 7.0, 0.0]


@pytest.mark.parametrize("seed", range(20))
def test_a_tendon_differs_from_what_lies_around_it_and_clears_the_bone(seed):
    rng = np.random.default_rng(seed)
    scene = iliopectineal(draw_body(rng), rng)
    outline = next(r.polygon_mm for r in scene.regions if r.name == "psoas_tendon")
    (tendon,) = (k for k, p in enumerate(scene.patches) if np.array_equal(p.polygon_mm, outline))
    under_bone = [p.polygon_mm for p in scene.patches if p.polygon_mm[:, 1].max() == DEEP_MM][-1]
    bone = under_bone[: len(under_bone) // 2]
    assert (np.interp(outline[:, 0], bone[:, 0], bone[:, 1]) > outline[:, 1]).all()
    around = [p for p in scene.patches[:tendon] if p.fibre_angle or p.texture == "fibres"]
    place = (float(outline[:, 0].mean()), float(outline[:, 1].mean()))
    assert abs(scene.patches[tendon].level_db - level_at(around, place)) > 3


def test_a_hip_right_under_the_fascia_is_drawn():
    assert draw_phantom(72_055, View.LONGITUDINAL).scene.marks


@pytest.mark.parametrize("seed", range(20))
def test_no_fascia_runs_through_the_recess(seed):
    rng = np.random.default_rng(seed)
    scene = longitudinal(draw_body(rng), rng)
    recess = next(r.polygon_mm for r in scene.regions if r.name == "anterior_recess")
    middle = recess.mean(axis=0)
    shrunk = middle + 0.9 * (recess - middle)
    soft = [i for i in scene.interfaces if not i.bone]
    clipped = outside(soft, shrunk)
    lost = [np.isnan(b.line_mm).sum() - np.isnan(a.line_mm).sum() for a, b in zip(soft, clipped, strict=True)]
    # Only the capsule itself touches the shrunken recess, where the recess is not convex.
    assert sum(count > 0 for count in lost) <= 1
