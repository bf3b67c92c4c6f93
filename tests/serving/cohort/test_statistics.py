"""Summaries and tests against examples worked out on paper or in the libraries' documentation."""

import math

import numpy as np
import pytest

from serving.cohort.between import DUNN, differences_between
from serving.cohort.effects import change_effect, cliffs_delta, kendall_w, rank_biserial
from serving.cohort.model import fit
from serving.cohort.summaries import summarise
from serving.cohort.within import FRIEDMAN, Within, changes_within, holm
from tests.serving.cohort.conftest import distance_grid, grade_grid

SIGNED = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
"""Differences of plants' heights, from the documentation of scipy.stats.wilcoxon: W = 24, p = 0.0413."""


def test_the_published_grades_have_their_mean_sd_and_sem():
    (told,) = summarise(grade_grid({"g": [[0]] * 34 + [[1]] * 6}, weeks=(16,)))
    assert told.counts == (34, 6, 0, 0) and told.percents == (85, 15, 0, 0)
    assert told.n == 40 and told.missing == 0 and told.mean == pytest.approx(0.15)
    assert told.sd == pytest.approx(0.3616, abs=1e-4) and told.sem == pytest.approx(0.0572, abs=1e-4)
    assert (told.median, told.lower_quartile, told.upper_quartile) == (0, 0, 0)


def test_few_and_missing_values_are_told_not_made_up():
    empty, one, three = summarise(distance_grid({"g": [[None, None, 5], [None, 4, 6], [None, None, 9]]}))
    assert (empty.n, empty.missing, empty.mean, empty.sd, empty.median) == (0, 3, None, None, None)
    assert (one.n, one.mean, one.sd, one.sem, one.median) == (1, 4, None, None, 4)
    assert (three.lower_quartile, three.median, three.upper_quartile, three.counts) == (5.5, 6, 7.5, None)


def test_friedman_where_every_patient_falls_at_every_visit():
    whole, *_ = changes_within(grade_grid({"g": [[3, 2, 1], [2, 1, 0], [3, 1, 0], [1, None, 0]]}))
    assert whole.test == FRIEDMAN and whole.n == 3
    assert whole.statistic == pytest.approx(6) and whole.effect.value == pytest.approx(1)  # 12/36 (81+36+9) - 36
    assert whole.p == pytest.approx(math.exp(-3))  # chi-squared of two degrees


def test_wilcoxon_as_documented_with_its_rank_biserial():
    (told,) = changes_within(distance_grid({"g": [[100, 100 + change] for change in SIGNED]}, weeks=(0, 2)))
    assert told.statistic == 24 and told.p == pytest.approx(0.041259765625)
    assert told.effect.value == pytest.approx((96 - 24) / 120) and told.p_holm == told.p
    assert told.effect.low < 0.6 < told.effect.high <= 1
    assert told.median_change == 24 and told.improved_percent is None


def test_shares_improved_and_at_zero():
    (told,) = changes_within(grade_grid({"g": [[2, 1], [1, 1], [1, 0], [2, 0]]}, weeks=(0, 16)))
    assert (told.improved_percent, told.at_zero_percent, told.median_change) == (75, 50, -1)
    assert told.effect.value == -1


def test_holm_over_those_that_have_a_p():
    tests = [Within("o", "g", "c", "t", 9, p=p) for p in (0.01, None, 0.04, 0.03)]
    assert [test.p_holm for test in holm(tests)] == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]


def test_kruskal_and_dunn_of_two_groups_as_documented():
    grid = distance_grid({"x": [[1], [3], [5], [7], [9]], "y": [[2], [4], [6], [8], [10]]}, weeks=(0,))
    whole, pair = differences_between(grid)
    assert whole.statistic == pytest.approx(0.2727, abs=1e-4) and whole.p == pytest.approx(0.6015, abs=1e-4)
    assert whole.effect.value == pytest.approx(whole.statistic / 9)
    assert pair.test == DUNN and pair.p == pytest.approx(whole.p) and pair.comparison == "x / y"
    assert pair.effect.value == pytest.approx((10 - 15) / 25)


def test_effects_at_their_ends():
    assert rank_biserial(np.array([0.0, 0.0])) == 0 and rank_biserial(np.array([1.0, 2.0, 0.0])) == 1
    assert cliffs_delta(np.array([5.0, 6.0]), np.array([1.0, 2.0])) == 1
    flat = np.ones(4)
    assert kendall_w((flat, flat, flat)) == 0
    many = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, -1.0]])
    assert rank_biserial(many).tolist() == [pytest.approx(2 / 6), -1]
    again = change_effect(np.array(SIGNED, float))
    assert again == change_effect(np.array(SIGNED, float))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 1, 1]] * 5, "not tested: nobody changed"),
        ([[1, 2, 1]] * 2, "not tested: 2 patients have"),
        ([[1, None, 1], [None, 2, None], [0, None, None]], "not tested: 0 patients have"),
    ],
)
def test_what_cannot_be_tested_within_says_why(rows, reason):
    for told in changes_within(grade_grid({"g": rows})):
        if told.p is None:
            assert told.reason is not None and told.reason.startswith("not tested") and told.effect is None
    assert changes_within(grade_grid({"g": rows}))[0].reason.startswith(reason)


def test_what_cannot_be_tested_between_says_why():
    assert differences_between(grade_grid({"g": [[1, 0, 0]] * 5})) == ()
    for told in differences_between(grade_grid({"g": [[1, 0, None]] * 5, "h": [[1, None, None]] * 5})):
        assert told.p is None and told.reason.startswith("not tested")
    grid = grade_grid({"g": [[0]] * 4 + [[1]], "h": [[2]] * 5, "few": [[1]]}, weeks=(0,))
    whole, pair = differences_between(grid)
    assert whole.comparison == pair.comparison == "g / h"
    assert whole.p < 0.05 and whole.reason == "left out, fewer than 3 patients: few (1)"


def binary(ones, of=10):
    return [1] * ones + [0] * (of - ones)


def test_the_ordinal_model_of_two_grades_has_the_tables_log_odds():
    rows = {name: [list(pair) for pair in zip(*columns, strict=True)] for name, columns in {
        "a": (binary(5), binary(2)), "b": (binary(8), binary(8))}.items()}  # fmt: skip
    told = fit(grade_grid(rows, weeks=(0, 2)))
    assert told.reason is None and told.n == 40
    estimates = {term.name: term.estimate for term in told.terms}
    assert estimates == {
        "b": pytest.approx(math.log(4), abs=1e-4),
        "week 2": pytest.approx(-math.log(4), abs=1e-4),
        "b x week 2": pytest.approx(math.log(4), abs=1e-4),
    }
    for term in told.terms:
        assert term.low < term.estimate < term.high
    interaction = next(term for term in told.terms if " x " in term.name)
    assert told.interaction_p == pytest.approx(interaction.p)


def test_the_model_of_a_measure_has_the_differences_of_means():
    rng = np.random.default_rng(4)
    groups = {name: rng.normal(mean, 1, (30, 2)) for name, mean in (("a", 5), ("b", 7))}
    means = {name: values.mean(axis=0) for name, values in groups.items()}
    told = fit(distance_grid({name: values.tolist() for name, values in groups.items()}, weeks=(0, 2)))
    estimates = [term.estimate for term in told.terms]
    steps = means["a"][1] - means["a"][0], means["b"][1] - means["b"][0]
    assert estimates == pytest.approx([means["a"][0], means["b"][0] - means["a"][0], steps[0], steps[1] - steps[0]])


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"g": [[0, 1, 1]] * 4}, "takes two of each"),
        ({"g": [[0, 1, 1]] * 4, "h": [[0, 1, None]] * 4}, "h has 0 patients at week 16"),
        ({"g": [[1, 1, 1]] * 4, "h": [[1, 1, 1]] * 4}, "all values are alike"),
        ({"g": [[1, 0, 0]] * 8, "h": [[1, 0, 1], [2, 1, 0]] * 4}, "the model"),
    ],
)
def test_a_model_that_cannot_be_fitted_says_why(groups, reason):
    told = fit(grade_grid(groups))
    assert told.reason is not None and reason in told.reason and told.terms == () and told.interaction_p is None
