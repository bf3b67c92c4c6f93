"""Phantoms: the same for the same seed, and true by construction."""

import numpy as np
import pytest

from datasets.phantom.body import draw_body
from datasets.phantom.cine import cine
from datasets.phantom.focused import _spread
from datasets.phantom.generate import phantom, phantoms
from datasets.phantom.longitudinal import longitudinal
from datasets.phantom.scanner import LINES, ROWS, Beam, Probe, draw_probe
from datasets.phantom.scene import band
from datasets.phantom.sounding import complex_noise
from model.anatomy import HIP_VIEWS, LANDMARKS, View, structure, structures_of
from model.geometry import perpendicular_span, sagitta
from model.grade import GradeRules

SEEDS = range(5_000_000, 5_000_012)


def sample_of(view, seed):
    return phantom(seed, view)


@pytest.mark.parametrize("view", list(View))
def test_the_same_seed_gives_the_same_bits(view):
    first, second = phantom(11, view), phantom(11, view)
    assert np.array_equal(first.frame.pixels, second.frame.pixels)
    assert np.array_equal(first.truth.mask, second.truth.mask)


def test_workers_do_not_change_what_is_drawn():
    alone = [phantom(seed) for seed in range(40, 46)]
    together = list(phantoms(range(40, 46), workers=2))
    assert all(np.array_equal(a.frame.pixels, b.frame.pixels) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("view", HIP_VIEWS)
def test_only_structures_of_the_view_are_drawn(view):
    allowed = {0, *(s.id for s in structures_of(view))}
    for seed in SEEDS:
        sample = sample_of(view, seed)
        assert set(np.unique(sample.truth.mask)) <= allowed
        absent = [row for row, landmark in enumerate(LANDMARKS) if view not in landmark.views]
        assert np.isnan(sample.truth.landmarks_xy[absent]).all()


@pytest.mark.parametrize("view", HIP_VIEWS)
def test_landmarks_lie_where_the_protocol_says(view):
    checked = 0
    for seed in SEEDS:
        sample = sample_of(view, seed)
        for landmark, point in zip(LANDMARKS, sample.truth.landmarks_xy, strict=True):
            if not np.isfinite(point).all() or landmark.name in ("acetabular_rim", "capsule_insertion"):
                continue
            name = landmark.centroid_of or ("femoral_neck" if landmark.name == "head_neck_junction" else landmark.name)
            rows, columns = np.nonzero(sample.truth.mask == structure(name).id)
            if rows.size < 30:
                continue
            checked += 1
            if landmark.centroid_of:
                assert np.allclose(point, [columns.mean(), rows.mean()], atol=1)
            else:
                assert np.hypot(columns - point[0], rows - point[1]).min() < 3
    assert checked > 10


def test_other_shows_nothing_and_has_no_grade():
    for seed in SEEDS:
        truth = phantom(seed, View.OTHER).truth
        assert truth.mask is not None and not truth.mask.any()
        assert truth.gsus is None and np.isnan(truth.landmarks_xy).all()


def test_the_grade_is_the_shape_of_the_capsule():
    straight = GradeRules().straight_ratio
    ratio = {0: [], 1: [], 2: [], 3: []}
    distance = {0: [], 1: [], 2: [], 3: []}
    for seed in range(160):
        rng = np.random.default_rng(seed)
        scene = longitudinal(draw_body(rng), rng)
        ratio[scene.gsus].append(scene.sagitta_ratio)
        distance[scene.gsus].append(scene.capsule_distance_mm)
    assert max(ratio[0] + ratio[1]) <= -straight and straight <= min(ratio[3])
    assert np.abs(ratio[2]).max() < straight
    borders = np.abs(np.abs(np.concatenate(list(ratio.values()))) - straight)
    assert (borders < 0.005).mean() > 0.03, "hips lie at the rule's borders too"
    assert np.median(distance[0]) < np.median(distance[1]) < np.median(distance[2]) < np.median(distance[3])
    assert max(distance[1]) > min(distance[2]), "millimetres of neighbouring grades overlap on purpose"


def test_the_capsule_truth_can_be_measured_again_from_the_mask():
    """From the painted mask alone, with its exact ends: the recess's upper edge over the neck's."""
    errors = []
    for seed in SEEDS:
        sample = phantom(seed, View.LONGITUDINAL)
        if sample.truth.capsule_distance_mm is None:
            continue
        spacing = sample.frame.regions[0].spacing_mm
        mask, points = sample.truth.mask, sample.truth.landmarks_xy
        names = [landmark.name for landmark in LANDMARKS]
        ends = points[[names.index("head_neck_junction"), names.index("capsule_insertion")]]
        low, high = sorted(ends[:, 0].round().astype(int))
        columns = np.arange(low + 2, high - 2)
        top = np.array([np.flatnonzero(mask[:, x] == 9)[0] if (mask[:, x] == 9).any() else np.nan for x in columns])
        neck = np.array([np.flatnonzero(mask[:, x] == 8)[0] if (mask[:, x] == 8).any() else np.nan for x in columns])
        kept = np.isfinite(top) & np.isfinite(neck)
        scale = [spacing[1], spacing[0]]
        base = np.stack([columns, neck], axis=1)[kept] * scale
        outer = np.stack([columns, top], axis=1)[kept] * scale
        smooth = np.stack([base[:, 0], np.poly1d(np.polyfit(base[:, 0], base[:, 1], 4))(base[:, 0])], axis=1)
        errors.append(perpendicular_span(smooth, outer)[0] - sample.truth.capsule_distance_mm)
    assert len(errors) >= 6
    assert np.abs(np.median(errors)) < 0.3
    assert np.abs(errors).max() < 0.8


def test_a_band_is_as_deep_as_told():
    line = np.stack([np.linspace(0, 10, 50), np.full(50, 5.0)], axis=1)
    polygon = band(line, 1.5)
    assert polygon[:, 1].max() - polygon[:, 1].min() == pytest.approx(1.5)


def test_sagitta_of_the_truth_is_that_of_its_ratio():
    truth = next(t for s in SEEDS if (t := phantom(s, View.LONGITUDINAL).truth).sagitta_mm is not None)
    assert np.sign(truth.sagitta_mm) == np.sign(truth.sagitta_ratio)
    assert sagitta(np.array([[0.0, 0.0], [5.0, -1.0], [10.0, 0.0]]))[0] == pytest.approx(1.0)


def test_speckle_is_fully_developed():
    """The envelope of homogeneous scatterers is Rayleigh: mean / SD is 1.91 (Goodman)."""
    rng = np.random.default_rng(0)
    probe = Probe("linear", 40, 0, 0, 45, 8)
    beam = Beam(0.6, 3, 2, 0.6, 1.2, -40, -60, -60, 1)
    envelope = np.abs(_spread(complex_noise(rng), probe, beam))[60:-60, 20:-20]
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.1)


def test_both_probes_sides_and_flips_are_drawn():
    samples = [phantom(seed) for seed in range(70, 110)]
    scenes = [s for s in samples if s.acquisition.probe != "unknown"]
    assert {s.acquisition.probe for s in scenes} == {"linear", "curvilinear"}
    assert {s.acquisition.flipped for s in scenes} == {True, False}
    assert {str(s.frame.laterality) for s in scenes} == {"left", "right"}
    assert {s.truth.view for s in samples} == set(View)
    assert min(s.frame.age_years for s in samples) < 6 < 18 < max(s.frame.age_years for s in samples)


@pytest.mark.parametrize("seed", range(8))
def test_beams_and_millimetres_agree(seed):
    probe = draw_probe((40.0, 40.0), np.random.default_rng(seed))
    middle = probe.to_beams(np.array([[0.0, probe.depth_mm / 2]]))[0]
    assert middle == pytest.approx([(LINES - 1) / 2, (ROWS - 1) / 2])


def test_a_cine_moves_smoothly_and_the_artery_pulsates():
    frames = list(cine(5, View.ILIOPECTINEAL, 12))
    points = np.stack([f.truth.landmarks_xy[3] for f in frames])
    steps = np.hypot(*np.diff(points, axis=0).T)
    assert 0 < steps.max() < 6
    areas = np.array([(f.truth.mask == 4).sum() for f in frames])
    assert areas.max() > 1.04 * areas.min()
    assert [f.frame.index for f in frames] == list(range(12))
    assert len({f.patient_id for f in frames}) == 1


def test_speckle_moves_with_the_tissue():
    """A neighbouring frame resembles the frame far more than another patient's does, and is not the same."""
    first, second = (f.frame.grey.astype(float) for f in cine(6, View.LONGITUDINAL, 2))
    alike = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert 0.85 < alike < 0.9999


def test_part_of_a_cine_is_the_same_as_the_whole():
    whole = [f.frame.pixels for f in cine(9, View.INFEROMEDIAL, 4)]
    part = [f.frame.pixels for f in cine(9, View.INFEROMEDIAL, 4, range(2, 4))]
    assert all(np.array_equal(a, b) for a, b in zip(whole[2:], part, strict=True))


def test_the_box_of_a_cine_keeps_its_colour():
    """However many draws each frame's flow takes."""
    inks = np.array([(255, 200, 0), (0, 220, 120), (240, 240, 240), (255, 255, 0)], np.uint8)
    frames = [f.frame.pixels for f in cine(3_000_008, View.LONGITUDINAL, 12, range(0, 12, 3))]
    counts = np.array([[(pixels == ink).all(axis=2).sum() for ink in inks] for pixels in frames])
    assert (counts.argmax(axis=1) == counts[0].argmax()).all()
    assert (counts.max(axis=1) > 500).all()


@pytest.mark.parametrize(("seed", "only"), [(3_300_002, range(11, 16)), (3_220_032, range(3))])
def test_a_cine_is_of_one_side_and_what_is_drawn_over_it_stays(seed, only):
    """Frames of these seeds once were of different sides: what came before, flow too, took other draws."""
    frames = list(cine(seed, View.LONGITUDINAL, 25, only))
    assert len({sample.frame.laterality for sample in frames}) == 1
    assert len({sample.frame.colour is None for sample in frames}) == 1


def test_a_phantom_that_cannot_be_drawn_names_its_seed(monkeypatch):
    def faulty(rng):
        raise ValueError("high - low < 0")

    monkeypatch.setattr("datasets.phantom.generate.draw_body", faulty)
    with pytest.raises(RuntimeError, match="seed 4711"):
        phantom(4711)
    with pytest.raises(ValueError, match="0 or more"):
        phantom(-1)
