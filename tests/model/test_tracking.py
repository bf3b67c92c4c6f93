"""Smoothing over a cine: still points on still tissue, no lag on moving tissue, no flicker, and a fresh start."""

import cv2
import numpy as np
import pytest

from model.anatomy import View
from model.cine import CineGrade
from model.findings import find
from model.geometry import Placement
from model.grade import Gsus
from model.preprocess import Look
from model.tracking import continued, follow, steady_maps, steady_sector
from tests.model.maps import SPEC, UNMOVED, maps_of

SIZE = 256
FRAME_S = 1 / 30


def tissue(shift_xy=(0.0, 0.0), seed=0, noise=4):
    """Speckle that has moved by a shift in pixels, under fresh noise."""
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (SIZE + 80, SIZE + 80)), (0, 0), 2)
    move = np.array([[1.0, 0.0, shift_xy[0] - 40], [0.0, 1.0, shift_xy[1] - 40]])
    moved = cv2.warpAffine(field / field.std(), move, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
    fresh = np.random.default_rng([seed, round(1e3 * shift_xy[0]) % 2**31]).normal(0, noise, (SIZE, SIZE))
    return np.clip(110 + 35 * moved + fresh, 1, 255).astype(np.uint8)


def look(picture, placement=UNMOVED):
    return Look((0, 0, SIZE - 1, SIZE - 1), picture, placement)


def artery_at(x, y):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(labels, (round(x), round(y)), 20, 4, -1)
    return labels


def followed(shifts, noise_px, dropped=()):
    """The summit's told places (N, 2), and what was shown, over a cine of pictures shifted so."""
    rng, track, told, shown = np.random.default_rng(1), None, [], []
    for k, (dx, dy) in enumerate(shifts):
        place = np.array([120 + dx, 140 + dy]) + rng.normal(0, noise_px, 2)
        confidence = 0.0 if k in dropped else 0.95
        labels = np.zeros((SIZE, SIZE), np.uint8) if k in dropped else artery_at(120 + dx, 90 + dy)
        maps = maps_of(labels, View.INFEROMEDIAL, {"inferomedial_acetabulum": place}, confidence=confidence)
        here = look(tissue((dx, dy)))
        track = continued(track, here, k * FRAME_S)
        maps = steady_maps(maps, track, k * FRAME_S)
        findings = find(maps, UNMOVED, SPEC, frozenset() if track is None else track.shown)
        findings, track = follow(findings, maps, track, here, k * FRAME_S)
        point = findings.landmark("inferomedial_acetabulum")
        told.append((point.x, point.y))
        shown.append({s.structure.name for s in findings.structures})
    return np.array(told), shown


def test_a_still_probe_gets_still_points():
    told, _ = followed([(0.0, 0.0)] * 60, noise_px=0.5)
    assert told[15:].std(axis=0).max() < 0.3 * 0.5


@pytest.mark.parametrize("speed_px", [0.5, 2.0, 4.0])
def test_a_moving_probe_is_not_lagged_behind(speed_px):
    way = speed_px * 8 * np.sin(np.arange(40) / 8)
    told, _ = followed([(dx, 0.0) for dx in way], noise_px=0.2)
    velocity = np.gradient(way)[8:]
    behind = (120 + way - told[:, 0])[8:]
    assert abs(float(behind @ velocity / (velocity @ velocity))) < 0.5


def test_a_summit_that_wanders_over_still_tissue_is_followed_too():
    rng, track = np.random.default_rng(1), None
    picture = tissue()
    for k in range(40):
        x = 120 + (10 if k >= 20 else 0) + rng.normal(0, 0.3)
        maps = maps_of(np.zeros((SIZE, SIZE)), View.INFEROMEDIAL, {"inferomedial_acetabulum": (x, 140)})
        findings = find(maps, UNMOVED, SPEC)
        findings, track = follow(findings, maps, track, look(picture), k * FRAME_S)
        if k == 24:
            assert abs(findings.landmark("inferomedial_acetabulum").x - 130) < 1.5


def test_a_structure_missing_for_a_moment_stays_and_goes_with_the_tissue():
    _, shown = followed([(0.5 * k, 0.0) for k in range(30)], noise_px=0, dropped=(12, 13))
    assert all("femoral_artery" in names for names in shown)


def test_a_structure_that_is_gone_goes():
    _, shown = followed([(0.0, 0.0)] * 30, noise_px=0, dropped=range(12, 30))
    assert "femoral_artery" not in shown[-1]


def test_what_lies_at_the_threshold_does_not_flicker():
    threshold = SPEC.thresholds.structure
    maps = maps_of(artery_at(100, 100), View.INFEROMEDIAL, confidence=0.9 * threshold)
    assert not find(maps, UNMOVED, SPEC).structures
    assert find(maps, UNMOVED, SPEC, frozenset({"femoral_artery"})).structures


def test_a_cut_a_pause_and_a_clock_set_back_begin_anew():
    here = look(tissue())
    maps = maps_of(artery_at(100, 100), View.INFEROMEDIAL)
    _, track = follow(find(maps, UNMOVED, SPEC), maps, None, here, 10.0)
    assert continued(track, look(tissue((1.0, 0.0))), 10.0 + FRAME_S).points == track.points
    assert continued(track, look(tissue(seed=5)), 10.0 + FRAME_S) is None
    assert continued(track, here, 15.0) is None
    assert continued(track, here, 9.0) is None


def test_a_sector_is_kept_while_it_is_the_same_but_for_pixels():
    here = look(tissue())
    maps = maps_of(artery_at(100, 100), View.INFEROMEDIAL)
    _, track = follow(find(maps, UNMOVED, SPEC), maps, None, here, 0.0)
    assert steady_sector((0, 2, SIZE - 1, SIZE - 3), track) == here.sector
    assert steady_sector((0, 20, SIZE - 1, SIZE - 1), track) == (0, 20, SIZE - 1, SIZE - 1)
    assert steady_sector((1, 1, 9, 9), None) == (1, 1, 9, 9)


def test_points_are_carried_through_a_placement_that_changes():
    half = Placement(0, 0, 0.5, 0.5, 0, 0)
    picture = tissue(noise=0)
    maps = maps_of(np.zeros((SIZE, SIZE)), View.INFEROMEDIAL, {"inferomedial_acetabulum": (120, 140)})
    findings = find(maps, UNMOVED, SPEC)
    _, track = follow(findings, maps, None, look(picture), 0.0)
    small = np.zeros_like(picture)
    small[:128, :128] = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    told, _ = follow(findings, maps, track, look(small, half), FRAME_S)
    point = told.landmark("inferomedial_acetabulum")
    assert np.hypot(point.x - 120, point.y - 140) < 2


def graded(probabilities, review=None):
    return Gsus(int(np.argmax(probabilities)), probabilities, "", review=review)


def test_a_cines_grade_is_that_of_its_confident_frames_and_names_the_deciding_one():
    cine = CineGrade()
    assert cine.grade is None and cine.deciding is None and cine.probabilities is None
    for index, gsus in enumerate(
        [
            graded((0.1, 0.2, 0.6, 0.1)),
            graded((0.0, 0.1, 0.8, 0.1)),
            Gsus(None, (), "", "not seen"),
            graded((0.0, 0.0, 0.1, 0.9), review="review: they disagree"),
            graded((0.5, 0.4, 0.1, 0.0)),
        ]
    ):
        cine = cine.seen(gsus, index)
    assert (cine.grade, cine.deciding, cine.frames) == (2, 1, 3)
    assert cine.probabilities == pytest.approx((0.2, 0.7 / 3, 0.5, 0.2 / 3))
