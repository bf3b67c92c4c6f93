"""Thresholds: the lowest at which answers are wrong no more often than is borne."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.spec import Thresholds
from tests.training.scores import NOWHERE, score
from training.abstain import fit_thresholds, lowest
from training.evaluation.score import GradeScore


def test_worked_out_on_paper():
    confidence = np.linspace(1.0, 0.0, 21)
    right = np.ones(21)
    right[15:] = 0
    assert lowest(confidence, right, 0.0) == pytest.approx(confidence[14])
    assert lowest(confidence, right, 2 / 17) == pytest.approx(confidence[16])
    assert lowest(confidence, right, 0.5) == 0.0


def test_always_wrong_answers_nothing_and_few_frames_say_nothing():
    assert lowest(np.linspace(0, 0.9, 30), np.zeros(30), 0.1) == 1.0
    assert lowest(np.array([0.5]), np.array([0.0]), 0.1) == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=20, max_size=80), st.floats(0.05, 0.9))
def test_what_is_answered_is_wrong_no_more_often_than_borne(pairs, risk):
    confidence, right = np.array(pairs, dtype=float).T
    threshold = lowest(confidence, right, risk)
    answered = right[confidence >= threshold]
    if threshold < 1 and answered.size:
        assert (1 - answered).mean() <= risk + 1e-9


def test_floors_hold_and_a_shaky_grade_raises_its_threshold():
    sure = [score(g % 4, g % 4, patient=str(g), gsus=GradeScore(g % 4, g % 4, g % 4, 0.9)) for g in range(40)]
    assert fit_thresholds(tuple(sure)) == Thresholds()
    unscaled = [score(0, 0, landmark_confidence=(0.9,) * len(NOWHERE), landmark_error_mm=NOWHERE) for _ in range(40)]
    assert fit_thresholds((*sure, *unscaled)) == Thresholds(), "without a scale no point is known to be wrong"
    shaky = [score(0, 1, gsus=GradeScore(0, 1, 1, 0.6)) for _ in range(20)]
    assert 0.6 < fit_thresholds((*sure, *shaky)).grade <= 0.9
