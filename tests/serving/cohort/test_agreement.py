"""Machine and reader: kappa and Bland-Altman worked out on paper."""

import pytest

from serving.cohort.agreement import OutcomeTests, conclusions_agree, distances_agree, grades_agree, means_agree
from serving.cohort.between import Between
from serving.cohort.model import Interaction, Model
from serving.cohort.within import Within
from tests.serving.cohort.conftest import distance_grid, grade_grid


def test_kappa_of_a_table_on_paper():
    machine = grade_grid({"g": [[0]] * 8 + [[1]] * 8 + [[0]] * 2 + [[1]] * 2 + [[None]]}, weeks=(0,))
    reader = grade_grid({"g": [[0]] * 8 + [[1]] * 8 + [[1]] * 2 + [[0]] * 2 + [[3]]}, weeks=(0,))
    whole, week = grades_agree(machine, reader)
    assert whole.n == whole.patients == 20 and whole.exact_percent == 80 and whole.within_one_percent == 100
    assert whole.kappa.value == pytest.approx((0.8 - 0.5) / 0.5)
    assert 0 < whole.kappa.low < 0.6 < whole.kappa.high <= 1
    assert whole.table == ((8, 2, 0, 0), (2, 8, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0))
    assert week.place == "week 0" and week.kappa == whole.kappa


def test_kappa_is_not_made_up_where_one_grade_occurs():
    grid = grade_grid({"g": [[1]] * 5}, weeks=(0,))
    for told in grades_agree(grid, grid):
        assert told.kappa is None and "only one grade" in told.reason and told.exact_percent == 100


def test_bland_altman_of_differences_0_1_2():
    machine = distance_grid({"g": [[5, None], [7, 4], [9, None]]}, weeks=(0, 2))
    reader = distance_grid({"g": [[5, 4], [6, None], [7, None]]}, weeks=(0, 2))
    whole, week = distances_agree(machine, reader)
    assert (whole.n, whole.patients, whole.bias.value, whole.sd_mm) == (3, 3, 1, 1)
    assert whole.lower.value == pytest.approx(-0.96) and whole.upper.value == pytest.approx(2.96)
    assert week.place == "week 0"


def test_means_are_told_over_all_and_over_the_same_patients():
    machine = grade_grid({"g": [[2], [1], [None]]}, weeks=(0,))
    reader = grade_grid({"g": [[1], [1], [0]]}, weeks=(0,))
    (told,) = means_agree(machine, reader)
    assert (told.machine, told.machine_n, told.reader_n) == (1.5, 2, 3) and told.reader == pytest.approx(2 / 3)
    assert told.difference == pytest.approx(1.5 - 2 / 3) and told.paired == 0.5


def test_conclusions_use_the_adjusted_p_and_only_what_both_tested():
    def tests(p, holm, interaction):
        within = (Within("solar", "g", "week 2 less 0", "Wilcoxon", 9, p=p, p_holm=holm),)
        between = (Between("solar", 0, "g / h", "Kruskal", 9, reason="not tested"),)
        return OutcomeTests(within, between, Model("solar", "GEE", 9, interaction=Interaction(1, 2, 9, interaction)))

    told = conclusions_agree("solar", tests(0.02, 0.06, 0.01), tests(0.01, 0.03, 0.04))
    assert [(one.machine_p, one.reader_p, one.alike) for one in told] == [(0.06, 0.03, False), (0.01, 0.04, True)]


def test_no_interval_is_told_where_every_resample_agrees():
    grid = grade_grid({"g": [[0], [1], [2], [3]] * 3}, weeks=(0,))
    whole, _ = grades_agree(grid, grid)
    assert whole.kappa.value == 1 and (whole.kappa.low, whole.kappa.high) == (None, None)
