"""PDUS of the served model on phantoms with a known flow: how often it is right, and how often told where none is.

HIPSONO_DOPPLER_PHANTOMS=64 pytest -s tests/flow/test_doppler_grades.py     prints the figures of docs/accuracy.md
"""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom.generate import phantoms
from model.anatomy import View
from model.doppler import find_flow, measure_flow
from model.frame import Frame
from model.grade import GradeRules
from model.reading import Reader
from model.runtime import STARTER, Session
from tests.model import flow_pictures as pictures

COUNT = int(os.environ.get("HIPSONO_DOPPLER_PHANTOMS", "8"))
FLOWS = ((0.01, 0.05), (0.07, 0.11), (0.14, 0.4))
"""Fractions of grades 1, 2 and 3."""


@pytest.fixture(scope="module")
def hips():
    """Hips with their frames, without what the phantom says of Doppler: signs have to be seen."""
    found = []
    for sample in phantoms(range(9_400_000, 9_400_000 + 3 * COUNT), View.LONGITUDINAL, workers=1):
        hip = pictures.hip_of(sample)
        if hip is not None and len(found) < COUNT:
            regions = tuple(replace(region, shows_flow=False) for region in sample.frame.regions)
            found.append((hip, replace(sample.frame, regions=regions)))
    return found


@pytest.fixture(scope="module")
def read():
    reader = Reader(Session(STARTER))

    def read_pdus(frame: Frame, rgb):
        return reader.read(replace(frame, pixels=rgb)).solar.pdus

    return read_pdus


def true_grade(fraction):
    return 1 + int(np.searchsorted(GradeRules().calibrated_fractions, fraction, side="left"))


def variants(hip, rgb, rng):
    yield "as drawn", rgb
    yield "JPEG 90", pictures.through_jpeg(rgb, 90)
    drawn_over = pictures.with_label(pictures.with_calipers(rgb, hip, rng), hip)
    yield "calipers and label", drawn_over
    yield "calipers and label, JPEG 90", pictures.through_jpeg(drawn_over, 90)


def told(name, right, total):
    sys.stdout.write(f"{name}: {right} of {total}\n")
    return right / total


def with_flow(hips):
    """Each hip and its frame, the fraction drawn over it, and each variant's name and picture."""
    for seed, (hip, frame) in enumerate(hips):
        for span in FLOWS:
            rng = np.random.default_rng([seed, 7])
            rgb, drawn = pictures.with_doppler(hip, rng.uniform(*span), rng)
            for name, picture in variants(hip, rgb, rng):
                yield hip, frame, drawn, name, picture


def test_fractions_within_the_true_recess(hips):
    errors = {}
    for hip, frame, drawn, name, picture in with_flow(hips):
        flow = find_flow(replace(frame, pixels=picture), hip.sector)
        assert flow is not None
        errors.setdefault(name, []).append(abs(measure_flow(flow, hip.found).fraction - drawn))
    for name, off in errors.items():
        mean, worst = np.mean(off), np.max(off)
        sys.stdout.write(f"fraction, {name}: mean error {mean:.4f}, largest {worst:.4f} of {len(off)}\n")
        assert mean < 0.01
        assert worst < 0.04


def test_grades_with_flow(hips, read):
    pairs = {}
    for _, frame, drawn, name, picture in with_flow(hips):
        pdus = read(frame, picture)
        if pdus.calibrated is not None or (pdus.reason or "").startswith("no Doppler"):
            pairs.setdefault(name, []).append((true_grade(drawn), pdus.calibrated))
    for name, grades in pairs.items():
        right = told(f"with flow, {name}: calibrated grade right", sum(a == b for a, b in grades), len(grades))
        near = sum(b is not None and abs(a - b) <= 1 for a, b in grades)
        assert told(f"with flow, {name}: within one", near, len(grades)) > 0.97
        assert right > 0.8


def test_grades_without_flow(hips, read):
    counts = {}
    for seed, (hip, frame) in enumerate(hips):
        rng = np.random.default_rng([seed, 8])
        framed, _ = pictures.with_doppler(hip, 0, rng)
        for what, rgb, right in (
            ("plain", hip.plain, None),
            ("sepia", pictures.sepia(hip.plain), None),
            ("Doppler on", framed, 0),
        ):
            for name, picture in variants(hip, rgb, rng):
                pdus = read(frame, picture)
                if pdus.reason is None or pdus.reason.startswith("no Doppler"):
                    counts.setdefault(f"{what}, {name}", []).append((pdus.calibrated, right))
    for name, grades in counts.items():
        assert told(f"without flow, {name}: above 0", sum(bool(got) for got, _ in grades), len(grades)) <= 0.13
        assert told(f"without flow, {name}: as it should be", sum(a == b for a, b in grades), len(grades)) > 0.8
