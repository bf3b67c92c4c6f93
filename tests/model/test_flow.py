"""Findings, measures, targets and grades from answers made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model.anatomy import Tissue, View
from model.doppler import Flow
from model.findings import find, outlines, polygon_area, polygon_centroid
from model.frame import Frame, whole_frame
from model.grade import (
    Combined,
    GradeRules,
    Gsus,
    Learned,
    Pdus,
    capsule_percentile,
    combine,
    grade_gsus,
    grade_pdus,
    normal_capsule_distance_mm,
)
from model.measure import NO_SCALE, Measurement, measure, targets
from model.spec import CapsuleSpread, Thresholds
from tests.model.maps import SPEC, UNMOVED, disc, maps_of, straight_joint

GREY = np.zeros((256, 256), np.uint8)
SCALED = Frame(GREY, regions=whole_frame(256, 256, (0.2, 0.2)), age_years=10)


def transverse():
    """A vein left of an artery, tendon below, bone at row 200 with summits at x 60 and 180."""
    labels = np.zeros((256, 256), np.uint8)
    labels[200:208, 30:90] = 3
    labels[200:208, 150:210] = 1
    disc(labels, (90, 180), 14, 2)
    disc(labels, (80, 100), 20, 4)
    disc(labels, (30, 100), 20, 5)
    return labels, {"aiis": (180, 200), "iliopectineal_eminence": (60, 200)}, View.ILIOPECTINEAL


def test_outlines_reach_the_true_border():
    labels = np.zeros((128, 128), np.uint8)
    disc(labels, (60, 64), 25, 1)
    outline = outlines(labels, Tissue.VESSEL)[0]
    assert polygon_area(outline) == pytest.approx(int((labels == 1).sum()), rel=0.015)
    assert polygon_centroid(outline) == pytest.approx((60, 64), abs=0.1)


def test_a_vessel_is_one_piece():
    labels = np.zeros((128, 128), np.uint8)
    disc(labels, (30, 30), 15, 1)
    disc(labels, (90, 90), 12, 1)
    assert len(outlines(labels, Tissue.VESSEL)) == 1
    pieces = outlines(labels, Tissue.RECESS)
    assert len(pieces) == 2
    assert polygon_area(pieces[0]) > polygon_area(pieces[1])


def test_a_centroid_is_as_unsure_as_its_structure_is_wide():
    labels, points, view = transverse()
    findings = find(maps_of(labels, view, points), UNMOVED, replace(SPEC, centroid_spread=0.25))
    artery = findings.landmark("femoral_artery")
    assert artery is not None and artery.spread_px == pytest.approx(0.25 * 20, rel=0.02)
    assert findings.landmark("aiis").spread_px == 1


def test_of_artery_and_vein_that_lie_apart_only_the_surer_is_told():
    labels, points, view = transverse()
    labels[labels == 5] = 0
    disc(labels, (215, 100), 20, 5)
    maps = maps_of(labels, view, points)
    maps.structures[4] = 0.6
    findings = find(maps, UNMOVED, SPEC)
    assert findings.structure("femoral_artery") is not None
    assert findings.structure("femoral_vein") is None
    assert findings.landmark("femoral_vein") is None
    safety = {target.safety for target in targets(findings, SCALED)}
    assert "clear" not in safety


def test_structures_of_another_view_are_not_found():
    labels, points, _ = transverse()
    findings = find(maps_of(labels, View.INFEROMEDIAL, points), UNMOVED, SPEC)
    assert {s.structure.name for s in findings.structures} == {"femoral_artery", "femoral_vein"}


def test_other_and_uncertain_views_are_withheld_with_the_reason():
    labels, points, view = transverse()
    assert find(maps_of(labels, View.OTHER, points), UNMOVED, SPEC).withheld
    uncertain = find(maps_of(labels, view, points), UNMOVED, replace(SPEC, thresholds=Thresholds(view=0.99)))
    assert uncertain.structures == ()
    assert "uncertain" in (uncertain.withheld or "")


def test_a_weak_structure_is_withheld():
    labels, points, view = transverse()
    findings = find(maps_of(labels, view, points, confidence=0.3), UNMOVED, SPEC)
    assert findings.structures == ()


def test_the_capsule_distance_of_a_level_neck():
    findings = find(maps_of(*straight_joint()[::2], straight_joint()[1]), UNMOVED, SPEC)
    values = {m.name: m for m in measure(findings, SCALED)}
    assert values["capsule_distance"].value == pytest.approx(40 * 0.2, abs=0.25)
    assert values["capsule_sagitta"].value > 0


def test_a_ragged_outline_is_not_the_capsules_shape():
    """A capsule that falls evenly from 110 to 150, and the same with waves of 0.8 mm on it."""
    even, ragged = np.zeros((2, 256, 256), np.uint8)
    for x in range(20, 221):
        top = 90 + 0.27 * x
        even[round(top) : 150, x] = 9
        ragged[round(top + 4 * np.sin(x / 4)) : 150, x] = 9
    points = {"head_neck_junction": (100, 150), "capsule_insertion": (220, 150)}
    for labels in (even, ragged):
        labels[150:158, 100:221] = 8
        findings = find(maps_of(labels, View.LONGITUDINAL, points), UNMOVED, SPEC)
        told = {m.name: m.value for m in measure(findings, SCALED)}
        assert abs(told["capsule_sagitta_ratio"]) < GradeRules().straight_ratio
        assert told["capsule_distance"] == pytest.approx(33 * 0.2, abs=0.4)


def test_a_capsule_distance_tells_its_spread_by_the_recess_confidence():
    findings = find(maps_of(*straight_joint()[::2], straight_joint()[1]), UNMOVED, SPEC)
    doubt = CapsuleSpread(0.4, 2.0, 3.0)
    told = next(m for m in measure(findings, SCALED, doubt) if m.name == "capsule_distance")
    recess = findings.structure("anterior_recess")
    assert recess is not None
    assert told.spread == pytest.approx(0.4 * np.exp(2.0 * (1 - recess.confidence)))
    assert all(m.spread is None for m in measure(findings, SCALED))


def test_without_a_scale_there_are_no_millimetres_but_a_ratio():
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    values = {m.name: m for m in measure(findings, Frame(GREY))}
    assert values["capsule_distance"].value is None
    assert values["capsule_distance"].reason == NO_SCALE
    assert values["capsule_sagitta_ratio"].value is not None


def test_a_missing_neck_is_the_reason():
    labels, points, view = straight_joint()
    labels[labels == 8] = 0
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    assert {m.reason for m in measure(findings, SCALED)} == {"no femoral_neck in this frame"}


@pytest.mark.parametrize(("seen_from", "measured"), [(110, True), (120, True), (145, False), (180, False)])
def test_a_fragment_of_the_neck_measures_nothing(seen_from, measured):
    """The neck lies from 100 to 220; outlined from further on than a quarter of it, nothing is measured on it."""
    labels, points, view = straight_joint()
    labels[150:158, 100:seen_from] = 0
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    told = {m.name: m for m in measure(findings, SCALED)}["capsule_distance"]
    assert (told.value is not None) is measured
    assert measured or "does not reach" in (told.reason or "")


def test_the_target_lies_on_the_seen_bone_lateral_of_the_eminence():
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    (target,) = targets(findings, SCALED)
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
    assert targets(findings, frame)[0].safety == safety


@pytest.mark.parametrize(("spacing", "safety"), [(0.04, "danger"), (0.1, "caution"), (0.4, None)])
def test_with_one_vessel_unseen_nothing_is_clear(spacing, safety):
    labels, points, view = transverse()
    labels[labels == 5] = 0
    frame = Frame(GREY, regions=whole_frame(256, 256, (spacing, spacing)), age_years=10)
    (target,) = targets(find(maps_of(labels, view, points), UNMOVED, SPEC), frame)
    assert target.safety == safety
    assert target.reason == "clearance to the femoral_vein unknown"


def test_without_vessels_there_is_no_target():
    labels, points, view = transverse()
    labels[(labels == 4) | (labels == 5)] = 0
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    assert targets(findings, SCALED) == ()


def test_without_a_scale_a_target_has_no_safety():
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    (target,) = targets(findings, Frame(GREY))
    assert target.safety is None
    assert target.reason == NO_SCALE


def test_the_grade_comes_with_its_evidence():
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    learned = Learned(np.array([0.02, 0.08, 0.85, 0.05]), 0.4)
    gsus = grade_gsus(findings, measure(findings, SCALED), learned, 10, GradeRules())
    assert (gsus.grade, gsus.shape, gsus.review) == (2, "convex", None)
    assert "straight" in gsus.evidence
    assert "mm" in gsus.evidence


@pytest.mark.parametrize(
    ("grade", "ratio", "shape", "review"),
    [
        (0, -0.06, "concave", False),
        (1, -0.06, "concave", False),
        (2, -0.06, "concave", False),
        (3, -0.06, "concave", True),
        (0, 0.0, "straight", True),
        (1, 0.02, "straight", False),
        (3, -0.02, "straight", False),
        (1, 0.08, "convex", True),
        (2, 0.08, "convex", False),
        (2, None, None, True),
    ],
)
def test_grade_and_measured_shape_agree_within_one_or_ask_for_review(grade, ratio, shape, review):
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    measured = (Measurement("capsule_sagitta_ratio", ratio, "1", np.empty((0, 2))),)
    gsus = grade_gsus(findings, measured, Learned(np.eye(4)[grade], 0.4), None, GradeRules())
    assert (gsus.grade, gsus.shape) == (grade, shape)
    assert (gsus.review is not None) == review
    assert combine(gsus, Pdus(None, None)) == Combined(None if review else grade, gsus.review)


def test_an_uncertain_grade_is_withheld():
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    gsus = grade_gsus(findings, (), Learned(np.array([0.3, 0.3, 0.2, 0.2]), 0.4), None, GradeRules())
    assert gsus.grade is None
    assert "uncertain" in (gsus.reason or "")


def test_another_view_is_not_gradable():
    findings = find(maps_of(*transverse()[::2], transverse()[1]), UNMOVED, SPEC)
    assert grade_gsus(findings, (), Learned(np.ones(4) / 4, 0.1), None, GradeRules()).grade is None


def test_landmarks_out_of_order_are_not_gradable():
    labels, points, view = straight_joint()
    points["acetabular_rim"] = (240, 150)
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    gsus = grade_gsus(findings, (), Learned(np.array([0, 0, 1, 0]), 0.4), None, GradeRules())
    assert "follow" in (gsus.reason or "")


@pytest.mark.parametrize(
    ("flow", "literal", "calibrated"),
    [
        (Flow(0, 0, 0), 0, 0),
        (Flow(0.03, 3, 0), 1, 1),
        (Flow(0.05, 0, 2), 1, 1),
        (Flow(0.05, 2, 1), 1, 1),
        (Flow(0.05, 4, 0), 2, 1),
        (Flow(0.10, 3, 1), 2, 2),
        (Flow(0.30, 0, 4), 2, 3),
        (Flow(0.60, 0, 4), 3, 3),
    ],
)
def test_power_doppler_by_both_readings(flow, literal, calibrated):
    assert grade_pdus(flow, None, GradeRules()) == Pdus(literal, calibrated)


def test_absent_doppler_never_lowers_the_grade():
    gsus = Gsus(2, (0, 0, 1, 0), "")
    assert combine(gsus, Pdus(None, None, "no Doppler picture")) == Combined(2)
    assert combine(gsus, Pdus(3, 3)) == Combined(3)
    assert combine(gsus, Pdus(0, 0)) == Combined(2)


def test_flow_in_a_normal_recess_wants_review():
    told = combine(Gsus(0, (1, 0, 0, 0), ""), Pdus(1, 1))
    assert told.grade is None
    assert "review" in (told.reason or "")


def test_percentiles_by_age_pass_through_the_published_tenths():
    rules = GradeRules()
    for age, tenths in ((0.5, (3.3, 3.7, 4.2)), (16.0, (5.8, 6.7, 7.3)), (40.0, (5.8, 6.7, 7.3))):
        for distance, percent in zip(tenths, (10, 50, 90), strict=True):
            assert capsule_percentile(distance, age, rules) == pytest.approx(percent, abs=1e-6)
    assert capsule_percentile(7.0, 5, rules) > capsule_percentile(7.0, 12, rules) > 50


def test_normal_distance_by_age_has_the_published_ends():
    assert normal_capsule_distance_mm(0.5, GradeRules()) == pytest.approx(3.7)
    assert normal_capsule_distance_mm(40, GradeRules()) == pytest.approx(6.7)


def straight_distance(change):
    labels, points, view = straight_joint()
    change(labels)
    return measure(find(maps_of(labels, view, points), UNMOVED, SPEC), SCALED)[0].value


def test_an_echo_of_the_neck_below_it_is_no_cortex():
    def neck_twice(labels):
        labels[150:158, 100:125] = 0
        labels[195:203, 100:221] = 8

    whole = straight_distance(lambda labels: None)
    assert whole == pytest.approx(40 * 0.2, abs=0.4)
    assert straight_distance(neck_twice) == pytest.approx(whole, abs=0.4)


def test_a_shadow_that_floats_over_the_recess_is_no_capsule():
    def shadow(labels):
        labels[50:95, 125:175] = 9

    assert straight_distance(shadow) == pytest.approx(straight_distance(lambda labels: None), abs=0.1)
