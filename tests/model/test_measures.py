"""Distances, targets and their safety, from answers made by hand."""

import numpy as np
import pytest

from model.anatomy import View
from model.findings import find
from model.frame import Frame
from model.grade import GradeRules
from model.measure import NO_SCALE, capsule_curves, measure
from model.spec import CapsuleSpread
from tests.model.maps import GREY, SCALED, SPEC, UNMOVED, maps_of, straight_joint


def measures(findings, frame=SCALED, doubt=None):
    return measure(findings, frame, capsule_curves(findings, doubt))


def test_the_capsule_distance_of_a_level_neck():
    findings = find(maps_of(*straight_joint()[::2], straight_joint()[1]), UNMOVED, SPEC)
    values = {m.name: m for m in measures(findings)}
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
        told = {m.name: m.value for m in measures(findings)}
        assert abs(told["capsule_sagitta_ratio"]) < GradeRules().straight_ratio
        assert told["capsule_distance"] == pytest.approx(33 * 0.2, abs=0.4)


def test_a_capsule_distance_tells_its_spread_by_the_recess_confidence():
    findings = find(maps_of(*straight_joint()[::2], straight_joint()[1]), UNMOVED, SPEC)
    doubt = CapsuleSpread(0.4, 2.0, 3.0)
    told = next(m for m in measures(findings, SCALED, doubt) if m.name == "capsule_distance")
    recess = findings.structure("anterior_recess")
    assert recess is not None
    assert told.spread == pytest.approx(0.4 * np.exp(2.0 * (1 - recess.confidence)))
    assert all(m.spread is None for m in measures(findings))


def test_without_a_scale_there_are_no_millimetres_but_a_ratio():
    labels, points, view = straight_joint()
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    values = {m.name: m for m in measures(findings, Frame(GREY))}
    assert values["capsule_distance"].value is None
    assert values["capsule_distance"].reason == NO_SCALE
    assert values["capsule_sagitta_ratio"].value is not None


def test_a_missing_neck_is_the_reason():
    labels, points, view = straight_joint()
    labels[labels == 8] = 0
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    assert {m.reason for m in measures(findings)} == {"no femoral_neck in this frame"}


@pytest.mark.parametrize(("seen_from", "measured"), [(110, True), (120, True), (145, False), (180, False)])
def test_a_fragment_of_the_neck_measures_nothing(seen_from, measured):
    """The neck lies from 100 to 220; outlined from further on than a quarter of it, nothing is measured on it."""
    labels, points, view = straight_joint()
    labels[150:158, 100:seen_from] = 0
    findings = find(maps_of(labels, view, points), UNMOVED, SPEC)
    told = {m.name: m for m in measures(findings)}["capsule_distance"]
    assert (told.value is not None) is measured
    assert measured or "does not reach" in (told.reason or "")


def straight_distance(change):
    labels, points, view = straight_joint()
    change(labels)
    return measures(find(maps_of(labels, view, points), UNMOVED, SPEC))[0].value


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
