"""Denervation targets: where, how far from the vessels, how safe, or why there is none."""

import numpy as np
import pytest

from model.findings import find
from model.frame import Frame, Region, whole_frame
from model.measure import NO_SCALE
from model.targets import targets
from tests.model.maps import GREY, SCALED, SPEC, UNMOVED, maps_of, straight_joint, transverse


def test_the_target_lies_on_the_seen_bone_lateral_of_the_eminence():
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    (target,), _ = targets(findings, SCALED)
    assert target.y == pytest.approx(200, abs=1)
    assert 60 < target.x < 180
    clearance = {c.structure: c.distance_mm for c in target.clearances}
    assert clearance["femoral_artery"] < clearance["femoral_vein"]


@pytest.mark.parametrize(
    ("age", "spacing", "safety"),
    [
        (10, 0.04, "danger"),
        (10, 0.1, "caution"),
        (1, 0.1, "clear"),
        (0, 0.1, "clear"),
        (None, 0.1, "caution"),
        (10, 0.4, "clear"),
    ],
)
def test_safety_by_clearance_and_age(age, spacing, safety):
    frame = Frame(GREY, regions=whole_frame(256, 256, (spacing, spacing)), age_years=age)
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    (target,), _ = targets(findings, frame)
    assert target.safety == safety


@pytest.mark.parametrize(("spacing", "safety"), [(0.04, "danger"), (0.1, "caution"), (0.4, None)])
def test_with_one_vessel_unseen_nothing_is_clear(spacing, safety):
    labels, points, view = transverse()
    labels[labels == 5] = 0
    frame = Frame(GREY, regions=whole_frame(256, 256, (spacing, spacing)), age_years=10)
    (target,), _ = targets(find(maps_of(labels, view, points), UNMOVED, SPEC), frame)
    assert target.safety == safety
    assert target.reason == "clearance to the femoral_vein unknown"


@pytest.mark.parametrize(("beyond_px", "known"), [(1.5, True), (3, True), (40, False)])
def test_a_vessel_cut_by_the_pictures_edge_keeps_its_clearance(beyond_px, known):
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    whole = targets(findings, SCALED)[0][0].clearances
    edge = min(part.min(axis=0)[1] for part in findings.structure("femoral_artery").contours) + beyond_px
    cut = Frame(GREY, regions=(Region(0, int(np.ceil(edge)), 255, 255, (0.2, 0.2)),), age_years=10)
    told = {one.structure: one.distance_mm for one in targets(findings, cut)[0][0].clearances}["femoral_artery"]
    assert (told is not None) is known
    if known:
        assert told == pytest.approx({one.structure: one.distance_mm for one in whole}["femoral_artery"], abs=0.2)


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ((4, 5), "no iliopectineal_target: neither femoral_artery nor femoral_vein found"),
        ((2,), "no iliopectineal_target: psoas_tendon not found"),
        ((1, 3), "no iliopectineal_target: no bone surface found between aiis and iliopectineal_eminence"),
        (("aiis",), "no iliopectineal_target: aiis not found"),
    ],
)
def test_where_there_is_no_target_the_reason_is_told(lost, reason):
    labels, points, view = transverse()
    labels[np.isin(labels, [one for one in lost if isinstance(one, int)])] = 0
    points = {name: at for name, at in points.items() if name not in lost}
    assert targets(find(maps_of(labels, view, points), UNMOVED, SPEC), SCALED) == ((), reason)


def test_a_view_without_targets_misses_none():
    findings = find(maps_of(*straight_joint()[::2], straight_joint()[1]), UNMOVED, SPEC)
    assert targets(findings, SCALED) == ((), None)


@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.05, 0.2), (0.2, 0.05)])
def test_the_target_is_nearest_in_millimetres(spacing):
    """Bone that rises away from the tendon: which point is nearest depends on the scales of rows and columns."""
    labels, points, view = transverse()
    labels[(labels == 1) | (labels == 3)] = 0
    slope = [(x, 225 - x // 2) for x in range(50, 190)]
    for x, y in slope:
        labels[y : y + 6, x] = 3
    points |= {"aiis": (185, 133), "iliopectineal_eminence": (55, 198)}
    frame = Frame(GREY, regions=whole_frame(256, 256, spacing))
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    (target,), _ = targets(findings, frame)
    scale = np.array([spacing[1], spacing[0]])
    tendon = findings.structure("psoas_tendon").contours[0] * scale
    lateral = np.sign(points["aiis"][0] - points["iliopectineal_eminence"][0])
    border = tendon[np.argmax(tendon @ [lateral, 1.0])]
    away = np.hypot(*(np.array(slope) * scale - border).T)
    nearest = slope[int(away.argmin())]
    assert (target.x, target.y) == pytest.approx(nearest, abs=3)


def test_without_a_scale_a_target_has_no_safety():
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    (target,), _ = targets(findings, Frame(GREY))
    assert target.safety is None
    assert target.reason == NO_SCALE
