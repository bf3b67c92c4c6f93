"""The figures of an examination, each against a value worked out on paper."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom.generate import phantom
from datasets.sample import Acquisition
from model.anatomy import LANDMARK_NAMES, POINT_LANDMARK_NAMES, View
from model.reading import Reader
from model.runtime import Session
from tests import known_hips
from tests.training.scores import INF, LOOKED_FOR, NAN, NOWHERE, score
from training.evaluation.figures import Evaluation, summarise
from training.evaluation.reliability import reliability, risk_coverage
from training.evaluation.report import write_report
from training.evaluation.score import FrameScore, GradeScore, StructureScore, compare_masks, score_frame
from training.evaluation.table import table


def with_structure(row: int, one: StructureScore) -> tuple[StructureScore, ...]:
    return (*LOOKED_FOR[:row], one, *LOOKED_FOR[row + 1 :])


def figures(*scores: FrameScore) -> Evaluation:
    return summarise(scores, "m", "s", "paper")


def test_view_grade_and_capsule():
    e = figures(
        score(0, 0),
        score(1, 2),
        score(3, None),
        score(2, 2, told_distance_mm=5.5),
        score(None, 1, view=View.OTHER, structures=with_structure(0, StructureScore(True, found=True))),
    )
    assert e.view_accuracy == pytest.approx(4 / 5)
    assert (e.gsus.frames, e.gsus.answered) == (4, 3 / 4)
    assert (e.gsus.exact, e.gsus.within_one, e.gsus.exact_of_all) == pytest.approx((2 / 3, 1.0, 2 / 4))
    assert e.capsule.bias_mm == pytest.approx(np.mean([0.5, 0.5, 0.5, -0.5, 0.5]))
    assert (e.other_with_structures, e.other_with_grade) == (1.0, 1.0)
    assert e.structure("aiis").false == pytest.approx(1 / 5)
    assert e.structure_false == pytest.approx(1 / 45)


def test_the_capsule_told_with_its_spread_is_judged_by_it():
    spreads = (0.3, 0.3, 0.3, 2.0)
    told = (6.5, 6.1, 7.0, 9.0)
    pairs = zip(told, spreads, strict=True)
    e = figures(*(score(0, 0, told_distance_mm=mm, told_distance_spread_mm=sd) for mm, sd in pairs))
    assert e.capsule.within_spread == pytest.approx(3 / 4)
    surer = np.array([0.5, 0.1, 1.0])
    wide = 1.96 * surer.std(ddof=1)
    assert e.capsule.surer_limits_mm == pytest.approx((surer.mean() - wide, surer.mean() + wide))


def test_landmarks_count_the_lost_ones():
    errors = (1.0, 3.0, INF, *NOWHERE[3:])
    e = figures(score(0, 0, landmark_error_mm=errors, landmark_spread_mm=(0.6, 0.6, NAN, *NOWHERE[3:])))
    told = e.landmarks
    assert (told.median_mm, told.found, told.share_under_2_mm) == pytest.approx((2.0, 2 / 3, 1 / 3))
    assert told.within_spread == pytest.approx(0.5)


def test_a_landmark_that_is_not_there_is_false_and_its_confidence_wrong():
    told = score(
        0,
        0,
        landmark_error_mm=(1.0, 5.0, NAN, *NOWHERE[3:]),
        landmark_confidence=(0.9, 0.8, 0.7, 0.6, *NOWHERE[4:]),
        landmark_false=(None, None, True, None, False, False, False, False, False),
    )
    e = figures(told)
    assert e.landmarks.false == pytest.approx(1 / 6)
    # Near, far and not there; the fourth was not looked for.
    assert e.calibration["landmark"].error == pytest.approx((abs(0.9 - 1) + abs(0.8 - 0) + abs(0.7 - 0)) / 3)


def test_a_landmark_nobody_looked_for_is_never_false():
    sample, reader = phantom(known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL), Reader(Session(), looks=1)
    gone = replace(sample.truth, landmarks_xy=np.full_like(sample.truth.landmarks_xy, np.nan))
    sought = score_frame(0, replace(sample, truth=gone), reader).landmark_false
    assert sought[LANDMARK_NAMES.index("aiis")] is True and None not in sought
    unsought = score_frame(0, replace(sample, truth=replace(gone, pointed=("aiis",))), reader).landmark_false
    points = [unsought[LANDMARK_NAMES.index(name)] for name in POINT_LANDMARK_NAMES]
    assert points == [True] + [None] * (len(points) - 1)


def test_what_asks_for_review_is_counted_with_what_it_catches():
    def graded(truth, told, review):
        return score(truth, told, gsus=GradeScore(truth, told, told, 0.8, review))

    e = figures(
        graded(0, 0, False), graded(1, 1, True), graded(2, 1, True), graded(3, 2, False), graded(3, None, False)
    )
    assert (e.gsus.review.share, e.gsus.review.wrong, e.gsus.review.caught) == pytest.approx((2 / 4, 1 / 2, 1 / 2))


def test_kappa_is_weighted_by_the_square_and_its_interval_holds_it():
    pairs = [(g, g) for g in (0, 1, 2, 3) for _ in range(5)] + [(0, 1), (3, 2)]
    e = figures(*(score(a, b, patient=str(k)) for k, (a, b) in enumerate(pairs)))
    truth, told = np.array(pairs).T
    wrong = np.mean((truth - told) ** 2)
    chance = np.mean((truth[:, None] - told[None]) ** 2)
    assert e.gsus.kappa == pytest.approx(1 - wrong / chance)
    assert e.gsus.kappa_interval[0] < e.gsus.kappa < e.gsus.kappa_interval[1] <= 1


def test_groups_split_the_frames():
    e = figures(
        score(0, 0, age_years=2.0, acquisition=Acquisition("linear", bmi=17.0)),
        score(1, 1, age_years=40.0, acquisition=Acquisition("curvilinear", bmi=31.0), told_view=View.OTHER),
        score(None, None, view=View.OTHER, structures=with_structure(0, StructureScore(True, found=True))),
    )
    told = {(g.factor, g.group): g for g in e.groups}
    assert told["age", "1: under 3 years"].frames == 1
    assert told["BMI", "4: from 30 kg/m2"].view == 0
    assert told["probe", "linear"].view == 1
    assert ("gain", "1: under -4 dB") not in told
    child = told["age", "1: under 3 years"]
    assert (child.gsus.exact, child.capsule.bias_mm) == (1.0, 0.5)
    assert child.calibration_error["grade"] == pytest.approx(0.2)
    assert told["view", "other"].false == pytest.approx(1 / 9)


def square(left: int, top: int, side: int = 20) -> np.ndarray:
    mask = np.zeros((60, 60), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_mask_moved_by_two_pixels():
    one = compare_masks(square(10, 10), square(12, 10), (0.4, 0.4), 0.9)
    assert one.dice == pytest.approx(18 / 20)
    assert one.precision == pytest.approx(18 / 20)
    assert one.nsd == pytest.approx(1.0)
    assert one.hd95_mm == pytest.approx(0.8)


def test_surface_dice_counts_the_border_beyond_a_millimetre():
    # The two upright sides lie 2 mm away: about half of each border is out of reach.
    one = compare_masks(square(10, 10), square(12, 10), (1.0, 1.0), 0.9)
    assert 0.5 < one.nsd < 0.75


def test_unequal_spacing_is_heeded():
    across = compare_masks(square(10, 10), square(12, 10), (0.1, 1.0))
    down = compare_masks(square(10, 10), square(10, 12), (0.1, 1.0))
    assert across.hd95_mm == pytest.approx(2.0)
    assert down.hd95_mm == pytest.approx(0.2)


def test_a_missed_structure_and_a_missing_scale():
    missed = compare_masks(square(10, 10), np.zeros((60, 60), bool), (0.4, 0.4))
    assert (missed.found, missed.dice, missed.nsd, missed.hd95_mm) == (False, 0.0, 0.0, INF)
    unscaled = compare_masks(square(10, 10), square(10, 10), None)
    assert unscaled.dice == 1
    assert np.isnan([unscaled.nsd, unscaled.hd95_mm]).all()
    invented = compare_masks(np.zeros((60, 60), bool), square(10, 10), (0.4, 0.4), 0.7)
    assert (invented.wanted, invented.found, invented.precision) == (False, True, 0.0)


def test_the_calibration_error_is_the_weighted_gap():
    told = reliability(np.array([0.95, 0.95, 0.95, 0.95, 0.25]), np.array([1.0, 1, 1, 0, 1]))
    assert told.error == pytest.approx((4 * abs(0.95 - 0.75) + abs(0.25 - 1)) / 5)
    assert [count for *_, count in told.bins] == [1, 4]
    assert np.isnan(reliability(np.array([]), np.array([])).error)


def test_risk_falls_as_the_doubtful_are_left_out():
    curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 1, 0, 0]), steps=4)
    assert curve == ((0.25, 0.0), (0.5, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5))


def test_the_worst_come_first():
    right = score(0, 0)
    another_view = score(0, None, told_view=View.OTHER)
    far = score(0, 0, told_distance_mm=18.0)
    invented = score(
        None,
        None,
        view=View.OTHER,
        told_view=View.OTHER,
        structures=with_structure(0, StructureScore(True, found=True)),
    )
    ordered = sorted((right, far, invented, another_view), key=lambda s: -s.badness)
    assert ordered == [another_view, far, invented, right]


def test_the_report_names_what_the_frames_are(tmp_path):
    bmi = Acquisition("linear", bmi=31.0)
    e = figures(score(0, 0), score(1, 1, vessel_dice=0.5, acquisition=bmi))
    sample = phantom(3, View.LONGITUDINAL)
    reading = Reader(Session(threads=1)).read(sample.frame)
    write_report(e, [(e.scores[0], sample, reading), (e.scores[1], sample, reading)], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "paper" in page
    assert "4: from 30 kg/m2" in page
    assert page.count("<figure><img") == 2
    assert "paper" in table(e)
    assert "0.500 Dice on 1 frames" in table(e)


@pytest.mark.parametrize("truth", [None, 2])
def test_the_table_has_no_figure_of_nothing(truth):
    """Frames without landmarks, structures or grades: no nan."""
    frames = [score(truth, 1, landmark_error_mm=NOWHERE, landmark_confidence=NOWHERE, structures=LOOKED_FOR)] * 2
    told = table(figures(*frames))
    assert "nan" not in told
    assert "no landmarks; " in told and "none to be found; " in told
    assert ("no grades" in told) is (truth is None)
