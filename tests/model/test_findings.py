"""What is found in answers made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model.anatomy import Tissue, View
from model.findings import find, outlines, polygon_area, polygon_centroid
from model.spec import Thresholds
from model.targets import targets
from tests.model.maps import SCALED, SPEC, UNMOVED, disc, maps_of, transverse


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
    safety = {target.safety for target in targets(findings, SCALED)[0]}
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
