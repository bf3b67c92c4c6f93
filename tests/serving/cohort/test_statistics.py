"""Summaries and tests against examples worked out on paper or in the libraries' documentation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.genmod.generalized_estimating_equations import GEE

from serving.cohort.between import DUNN, KRUSKAL, differences_between
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


def test_effects_that_cannot_be_below_0_have_no_interval_that_would_exclude_it():
    rng = np.random.default_rng(5)
    grid = distance_grid({"g": rng.normal(5, 1, (9, 3)).tolist(), "h": rng.normal(5, 1, (9, 3)).tolist()})
    tests = [test for test in (*changes_within(grid), *differences_between(grid)) if test.test in (FRIEDMAN, KRUSKAL)]
    assert {test.effect.name for test in tests} == {"Kendall's W", "epsilon squared"}
    assert all(test.effect.value > 0 and (test.effect.low, test.effect.high) == (None, None) for test in tests)


def test_an_effect_at_its_end_is_not_told_to_be_certain():
    (told,) = changes_within(distance_grid({"g": [[6, 5], [7, 5], [8, 4], [6, 3]]}, weeks=(0, 2)))
    assert told.effect.value == -1 and (told.effect.low, told.effect.high) == (None, None)


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
    assert (told.interaction.df, told.interaction.df_patients) == (1, 18)
    assert told.interaction.p == pytest.approx(interaction.p)


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
    assert told.reason is not None and reason in told.reason and told.terms == () and told.interaction is None


def test_two_groups_of_few_patients_are_compared_by_hotellings_t_squared():
    rng = np.random.default_rng(11)
    a, b = rng.normal(5, 1, (5, 3)), rng.normal(5, 2, (6, 3))
    told = fit(distance_grid({"a": a.tolist(), "b": b.tolist()}))
    steps = [group[:, 1:] - group[:, :1] for group in (a, b)]
    apart = steps[1].mean(axis=0) - steps[0].mean(axis=0)
    covariance = sum(np.cov(step.T) / (len(step) - 1) for step in steps)  # S / n, times n / (n - 1): Mancl & DeRouen
    df = 5 + 6 - 2
    f = apart @ np.linalg.solve(covariance, apart) * (df - 1) / (df * 2)
    assert (told.interaction.df, told.interaction.df_patients) == (2, df - 1)
    assert told.interaction.f == pytest.approx(f) and told.interaction.p == pytest.approx(stats.f.sf(f, 2, df - 1))
    first = told.terms[-2]
    half = stats.t.ppf(0.975, df) * math.sqrt(covariance[0, 0])
    assert (first.low, first.estimate, first.high) == pytest.approx((apart[0] - half, apart[0], apart[0] + half))
    assert first.p == pytest.approx(2 * stats.t.sf(abs(apart[0]) / math.sqrt(covariance[0, 0]), df))


def test_few_patients_who_do_not_differ_are_seldom_told_to():
    rng = np.random.default_rng(3)
    trials = (rng.normal(0, 1, (15, 1)) + rng.normal(0, 1, (15, 3)) for _ in range(60))
    told = [fit(distance_grid(dict(zip("abc", t.reshape(3, 5, 3).tolist(), strict=True)))) for t in trials]
    assert sum(one.interaction.p < 0.05 for one in told) <= 0.15 * len(told)  # plain robust errors: 30 %


@pytest.mark.parametrize(
    ("rows", "weeks", "reason"),
    [
        ([[5, 4, 3], [6, 6, 5], [7, 4, 6], [5, 5, 8]], range(3), None),
        ([[5, 4, 4], [6, 6, 6], [7, 4, 4], [5, 5, 5]], range(3), "too little varies within groups for 2 comparisons"),
        ([[5, 4, 3], [5, 6, 5], [5, 4, 6], [5, 5, 8]], range(3), "no variation to estimate (at the first of both), b"),
        ([[5, 4, 3, 6, 7, 5]] * 3, range(6), "5 comparisons at once take 7 patients, there are 6"),
    ],
)
def test_a_model_that_too_few_patients_carry_says_so(rows, weeks, reason):
    told = fit(distance_grid({"a": rows, "b": rows[::-1]}, weeks))
    assert (told.reason is None) if reason is None else reason in told.reason


@pytest.mark.parametrize("make", [grade_grid, distance_grid])
@pytest.mark.parametrize("part", ["_bc_covmat", "_covmat"])
@pytest.mark.parametrize("found", [None, np.linalg.LinAlgError("Singular matrix")])
def test_errors_that_cannot_be_computed_are_a_reason(monkeypatch, make, part, found):
    def singular(*_):
        if found is not None:
            raise found
        return (None, None, None) if part == "_covmat" else None

    monkeypatch.setattr(GEE, part, singular)
    rows = [[2, 1, 0], [1, 1, 1], [0, 2, 1], [1, 0, 2]]
    told = fit(make({"a": rows, "b": rows[::-1]}))
    assert told.reason.startswith("the model could not be fitted: ") and told.terms == ()
    assert "ingular" in told.reason
