"""The simulated trial: dealt grades, one anatomy a patient, calibrated files and a design with the truth."""

import csv
from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest

from datasets.dicom import read_dicom
from datasets.phantom.body import draw_body
from datasets.phantom.longitudinal import distended, draw_bones, draw_hip, hip_scene, longitudinal
from datasets.phantom.trial import FIRST_SEED, GROUPS, WEEKS, dealt, draw_trial
from datasets.phantom.trial_write import TrialOrder, film_visit, write_trial
from model.anatomy import Laterality
from model.grade import GradeRules


def test_groups_have_the_published_means():
    grades = defaultdict(list)
    for visit in draw_trial(120, FIRST_SEED):
        grades[visit.patient.group, visit.week].append(visit.gsus)
    assert all(len(told) == 40 for told in grades.values()) and len(grades) == 9
    assert fmean(grades["denervation", 0]) == 1.375 and fmean(grades["denervation", 16]) == 0.15
    assert {group: fmean(grades[group, 0]) for group in GROUPS} == dict.fromkeys(GROUPS, 1.375)


def test_grades_are_dealt_in_their_shares():
    assert dealt((34, 6, 0, 0), 40) == (0,) * 34 + (1,) * 6
    assert dealt((34, 6, 0, 0), 2) == (0, 0) and dealt((1, 24, 14, 1), 4) == (1, 1, 1, 2)[:2] + (1, 2)[:2]
    with pytest.raises(ValueError, match="takes a multiple of 3, got 4"):
        draw_trial(4, 0)


def test_a_patient_keeps_side_and_sickness_tends_to_last():
    visits = draw_trial(120, 1)
    assert visits == draw_trial(120, 1) and visits != draw_trial(120, 2)
    course = defaultdict(dict)
    for visit in visits:
        course[visit.patient][visit.week] = visit.gsus
    assert len(course) == 120 and all(set(told) == set(WEEKS) for told in course.values())
    saline = [told for patient, told in course.items() if patient.group == "saline"]
    assert np.corrcoef([told[0] for told in saline], [told[2] for told in saline])[0, 1] > 0.3


@pytest.mark.parametrize("gsus", range(4))
def test_a_hip_of_an_asked_grade_keeps_its_bones(gsus):
    rng = np.random.default_rng(5)
    body = draw_body(rng)
    hip = draw_hip(body, rng)
    bones = draw_bones(hip, rng)
    other = distended(hip, gsus, body, rng)
    assert other.gsus == gsus and other.radius_mm == hip.radius_mm and other.normal_mm == hip.normal_mm
    scene = hip_scene(body, other, bones, rng)
    assert scene.gsus == gsus and scene.capsule_distance_mm == pytest.approx(other.distance_mm, abs=0.3)
    assert scene.sagitta_ratio == pytest.approx(other.sagitta_ratio, abs=1e-6)
    assert int(np.sign(np.fix(scene.sagitta_ratio / GradeRules().straight_ratio))) == {0: -1, 1: -1, 2: 0, 3: 1}[gsus]


def test_a_scene_in_two_steps_is_the_scene_in_one():
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    whole = longitudinal(draw_body(one), one)
    body = draw_body(two)
    hip = draw_hip(body, two)
    steps = hip_scene(body, hip, draw_bones(hip, two), two)
    assert whole.capsule_distance_mm == steps.capsule_distance_mm and one.random() == two.random()


def test_a_trial_on_the_disk_is_calibrated_dated_and_sided(tmp_path):
    assert write_trial(TrialOrder(3, FIRST_SEED, 2), tmp_path, workers=1) == 9
    with (tmp_path / "design.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows[::3]] == list(GROUPS)
    studies = set()
    for row in rows:
        cine = read_dicom(tmp_path / "studies" / f"{row['patient']}-week{row['visit']}.dcm")
        frame = next(iter(cine.frames()))
        assert cine.frame_count == 2 and frame.regions[0].spacing_mm is not None
        assert cine.identity.patient_id == row["patient"] and cine.identity.study_date == row["date"].replace("-", "")
        assert frame.laterality is Laterality(row["index_hip"])
        assert frame.age_years == pytest.approx(float(row["age_years"]), abs=0.1)
        studies.add(cine.identity.study_uid)
    assert len(studies) == 9


def test_a_filmed_visit_shows_the_grade_asked_for_in_every_frame():
    for visit in draw_trial(3, FIRST_SEED)[:2]:
        samples = film_visit(visit, 2)
        assert [sample.truth.gsus for sample in samples] == [visit.gsus] * 2
        assert len({sample.frame.age_years for sample in samples}) == 1
