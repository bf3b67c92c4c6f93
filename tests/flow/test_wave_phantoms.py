"""Transfer: ten hip phantoms of another simulator and another anatomy, on which nothing was ever trained."""

import json

import cv2
import numpy as np
import pytest

from datasets.palette import decode_mask
from datasets.sample import Sample, Truth
from model.anatomy import LANDMARKS, View
from model.frame import Frame, whole_frame
from model.reading import Reader
from model.runtime import Session
from training.evaluation.figures import summarise
from training.evaluation.score import score_frame


def sample(path):
    told = json.loads(path.read_text())
    picture = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
    mask = decode_mask(path.with_name(f"{path.stem}_mask.png").read_bytes())
    points = np.full((len(LANDMARKS), 2), np.nan)
    for row, landmark in enumerate(LANDMARKS):
        if told["landmarks"].get(landmark.name) is not None:
            points[row] = told["landmarks"][landmark.name]
    regions = whole_frame(*picture.shape[::-1], (told["spacing_mm"],) * 2)
    truth = Truth(View(told["view"]), mask, points, gsus=told.get("gsus"), labelled=tuple(told["labelled"]))
    return Sample(Frame(picture, regions=regions), truth, path.stem, path.stem)


@pytest.fixture(scope="module")
def foreign(shared_data):
    paths = sorted((shared_data / "wave-phantoms").glob("*.json"))
    assert len(paths) == 10
    reader = Reader(Session())
    return summarise(tuple(score_frame(k, sample(p), reader) for k, p in enumerate(paths)), "", "", "wave phantoms")


def test_most_foreign_views_are_right(foreign):
    assert foreign.view_accuracy >= 0.9


def test_what_is_found_in_foreign_frames_is_in_the_right_place(foreign):
    assert foreign.landmarks.median_mm < 1
    assert foreign.landmarks.found > 0.78


@pytest.mark.parametrize(("name", "least"), [("femoral_artery", 0.64), ("femoral_vein", 0.53), ("psoas_tendon", 0.43)])
def test_structures_in_foreign_frames_are_outlined(foreign, name, least):
    assert foreign.structure(name).dice > least


def test_foreign_grades_are_within_one(foreign):
    assert foreign.gsus.within_one == 1
