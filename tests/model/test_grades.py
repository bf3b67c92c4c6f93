"""Grades and their evidence, from answers made by hand."""

import numpy as np
import pytest

from model.doppler import Flow
from model.findings import find
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
from model.measure import Measurement, capsule_curves, measure
from tests.model.maps import SCALED, SPEC, UNMOVED, maps_of, straight_joint, transverse


def test_the_grade_comes_with_its_evidence():
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    learned = Learned(np.array([0.02, 0.08, 0.85, 0.05]), 0.4)
    gsus = grade_gsus(findings, measure(findings, SCALED, capsule_curves(findings)), learned, 10, GradeRules())
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
