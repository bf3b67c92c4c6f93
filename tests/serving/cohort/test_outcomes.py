"""Which study is a visit's, which hip is the index hip, and every visit that is lost with its reason."""

import numpy as np
import pytest

from model.anatomy import Laterality
from serving.cohort.design import read_design
from serving.cohort.matching import Side, Stage
from serving.cohort.outcomes import DISTANCE, OUTCOMES, QUALITY, READER_SOLAR, SOLAR, WITH_REVIEW, flows, grid, join
from serving.cohort.readings import read_readings
from serving.cohort.summaries import summarise, who_took_part
from serving.cohort.within import changes_within
from tests.serving.cohort.conftest import frame_row, hip_row, write_archive

HEAD = "patient,group,visit,index_hip,date,study,solar,excluded"
SIDE = OUTCOMES[2]


@pytest.fixture
def joined(design_file, tmp_path):
    def run(lines, rows, side=Side.INDEX):
        archive = write_archive(tmp_path / "graded", rows)
        return join(read_design(design_file(HEAD, *lines)), read_readings(archive), side)

    return run


def losses(cohort):
    return [None if r.loss is None else (r.loss.stage, r.loss.reason) for r in cohort.records]


def test_a_visit_is_matched_by_date_and_by_study(joined):
    rows = [hip_row("A", "20260105", gsus=2), hip_row("A", "20260120", gsus=1), hip_row("Z", "20260105")]
    cohort = joined(["A,g,0,left,2026-01-05,,2,", "A,g,2,left,,A/20260120,1,"], rows)
    assert [record.value(SOLAR) for record in cohort.records] == [2, 1]
    assert [record.value(DISTANCE) for record in cohort.records] == [8, 7]
    assert cohort.strangers == ("Z/20260105",)


def test_a_study_of_a_known_patient_that_is_no_visits_is_named(joined):
    dates = ("20260105", "20260120", "20260301")
    lines = ["A,g,0,left,2026-01-05,,,", "A,g,16,left,2026-03-01,,,withdrew", "B,g,0,left,,B/20260301,,withdrew"]
    cohort = joined(
        lines, [*(hip_row("A", date) for date in dates), hip_row("B", "20260301"), hip_row("Z", "20260105")]
    )
    (one,) = cohort.unmatched  # the others are a visit's, excluded ones too
    assert (one.patient.patient_id, one.study) == ("A", "A/20260120")
    assert cohort.strangers == ("Z/20260105",)


def test_a_hip_under_review_counts_in_the_sensitivity_analysis_alone(design_file, tmp_path):
    told = {"A": (None, 0.6), "B": (2, 1.0), "C": (None, 0.0)}
    rows = [hip_row(who, "20260105", gsus=gsus, quality=quality) for who, (gsus, quality) in told.items()]
    frames = [
        frame_row(rows[0], 0, "review: ...", (0.6, 0.4, 0, 0)),
        frame_row(rows[0], 1, "review: ...", (0.1, 0.9, 0, 0)),
        frame_row(rows[0], None, None, (0.4, 0.3, 0.3, 0)),
        frame_row(rows[0]),
        frame_row(rows[1], 0, "review: ...", (1, 0, 0, 0)),
        frame_row(rows[2]),
    ]
    readings = read_readings(write_archive(tmp_path / "graded", rows, frames=frames))
    cohort = join(read_design(design_file(HEAD, *(f"{who},g,0,left,,,," for who in "ABC"))), readings, Side.INDEX)
    assert [record.value(SOLAR) for record in cohort.records] == [None, 2, None]
    assert [record.value(WITH_REVIEW) for record in cohort.records] == [1, 2, None]
    assert [record.value(QUALITY) for record in cohort.records] == pytest.approx([0.6, 1.0, 0.0])


def test_studies_in_order_of_date_are_the_visits_where_their_numbers_agree(joined):
    rows = [hip_row("A", "20260301", gsus=0), hip_row("A", "20260105", gsus=3), hip_row("B", "20260105")]
    lines = ["A,g,0,left,,,,", "A,g,2,left,,,,lost to follow-up", "A,g,16,left,,,,", "B,g,0,left,,,,", "B,g,2,left,,,,"]
    cohort = joined(lines, rows)
    assert [record.value(SOLAR) for record in cohort.records] == [3, None, 0, None, None]
    few = (Stage.NO_STUDY, "1 studies for 2 visits, and no dates in the design")
    assert losses(cohort) == [None, (Stage.EXCLUDED, "lost to follow-up"), None, few, few]


@pytest.mark.parametrize(
    ("line", "rows", "stage", "reason"),
    [
        ("A,g,0,left,2026-01-05,,,", [hip_row("B", "20260105")], Stage.NO_STUDY, "no study of this patient"),
        ("A,g,0,left,2026-01-05,,,", [hip_row("A", "20260106")], Stage.NO_STUDY, "no study on 2026-01-05, but 1 on"),
        ("A,g,0,left,,B/20260105,,", [hip_row("B", "20260105")], Stage.NO_STUDY, "is of another patient"),
        ("A,g,0,left,,1.2.3,,", [hip_row("A", "20260105")], Stage.NO_STUDY, "no study 1.2.3"),
        ("A,g,0,left,,,,", [hip_row("A", "")], Stage.NO_STUDY, "cannot be put in order"),
        ("A,g,0,right,,,,", [hip_row("A", "20260105")], Stage.NO_HIP, "no right hip; the study has left"),
        ("A,g,0,left,,,,", [hip_row("A", "20260105", gsus=None)], Stage.NOT_GRADED, "recess were not found"),
    ],
)
def test_a_lost_visit_says_why(joined, line, rows, stage, reason):
    (loss,) = losses(joined([line], rows))
    assert loss is not None and loss[0] is stage and reason in loss[1]


def test_two_studies_of_a_day_are_not_chosen_from(joined):
    rows = [hip_row("A", "20260105", study="1"), hip_row("A", "20260105", study="2")]
    (loss,) = losses(joined(["A,g,0,left,2026-01-05,,,"], rows))
    assert loss == (Stage.NO_STUDY, "2 studies on 2026-01-05: name one in the column study")


@pytest.mark.parametrize("excluded", ["", "withdrew"])
def test_a_study_counts_for_one_visit(joined, excluded):
    """Row 2 names the study, row 3 has its date."""
    lines = [f"A,g,0,left,,A/20260105,,{excluded}", "A,g,16,left,2026-01-05,,,", "A,g,24,left,2026-06-01,,,"]
    cohort = joined(lines, [hip_row("A", "20260105"), hip_row("A", "20260601")])
    told = "study A/20260105 is that of visit 0 (row 2) and visit 16 (row 3): name each visit's own"
    first = (Stage.EXCLUDED, excluded) if excluded else (Stage.NO_STUDY, told)
    assert losses(cohort) == [first, (Stage.NO_STUDY, told), None]
    assert [record.value(SOLAR) for record in cohort.records] == [None, None, 1] and cohort.unmatched == ()


def test_a_study_of_another_day_than_its_row_says_is_told(joined):
    cohort = joined(["A,g,0,left,2026-01-06,A/20260105,,"], [hip_row("A", "20260105")])
    assert losses(cohort) == [(Stage.NO_STUDY, "study A/20260105 is of 2026-01-05, the row says 2026-01-06")]


def test_dates_of_the_older_form_are_dates(joined):
    rows = [hip_row("A", "2026.01.05", gsus=3), hip_row("A", "20250105", gsus=2), hip_row("A", "2026.03.01", gsus=1)]
    dated = joined(["A,g,0,left,2026-01-05,,,", "A,g,16,left,2026-03-01,,,withdrew"], rows)
    assert [record.value(SOLAR) for record in dated.records] == [3, None]
    assert [one.study_date for one in dated.unmatched] == ["20250105"]
    in_order = joined([f"A,g,{week},left,,,," for week in (0, 2, 16)], rows)
    assert [record.value(SOLAR) for record in in_order.records] == [2, 3, 1]


def test_missing_are_visits_planned_without_a_value(joined):
    lines = [f"{who},g,0,left,,,{'' if who == 'C' else 1}," for who in "ABCD"]
    lines += ["A,g,5,left,,,1,", "B,g,5,left,,,1,withdrew", "C,g,5,left,,,,"]
    cohort = joined(lines, [])
    told = summarise(grid(cohort, READER_SOLAR))
    assert [(one.week, one.n, one.missing) for one in told] == [(0, 3, 1), (5, 1, 2)]
    assert [one.n + one.missing for one in told] == [flow.planned for flow in flows(cohort)]


def test_missing_of_who_took_part_are_patients(joined):
    cohort = joined(["A,g,0,left,,,1,", "B,g,0,left,,,,", "C,g,2,left,,,1,"], [])
    first = [one for one in summarise(grid(cohort, READER_SOLAR)) if one.week == 0]
    assert [(trait.by_group, trait.missing) for trait in who_took_part(cohort, tuple(first))][-1] == (("1.00",), 2)


def test_a_hip_of_unknown_side_is_the_index_hip_only_where_it_is_alone(joined):
    unknown = hip_row("A", "20260105", Laterality.UNKNOWN, gsus=2)
    (record,) = joined(["A,g,0,right,,,,"], [unknown]).records
    assert record.value(SOLAR) == 2 and "its side is not told" in record.note
    (loss,) = losses(joined(["A,g,0,right,,,,"], [unknown, hip_row("A", "20260105", Laterality.LEFT)]))
    assert loss == (Stage.NO_HIP, "no right hip; the study has unknown, left")
    (loss,) = losses(joined(["A,g,0,right,,,,"], [unknown], Side.OTHER))
    assert loss[0] is Stage.NO_HIP


def test_the_other_hip_is_tabled_alone_and_without_what_was_noted_of_the_index_hip(joined):
    rows = [hip_row("A", "20260105", side, gsus) for side, gsus in ((Laterality.LEFT, 2), (Laterality.RIGHT, 0))]
    index, other = (joined(["A,g,0,left,,,3,"], rows, side) for side in Side)
    assert grid(index, SOLAR).values.tolist() == [[2.0]] and grid(other, SOLAR).values.tolist() == [[0.0]]
    assert grid(index, READER_SOLAR).values.tolist() == [[3.0]] and grid(other, READER_SOLAR) is None


def test_review_of_the_combined_grade_leaves_the_grey_scale_grade_and_is_counted(joined):
    rows = [hip_row("A", "20260105", gsus=0, pdus_calibrated=1, review="review: flow in a recess of grade 0")]
    cohort = joined(["A,g,0,left,,,,"], rows)
    assert cohort.records[0].value(SOLAR) == 0
    (flow,) = flows(cohort)
    assert (flow.planned, flow.graded, flow.noted) == (1, 1, 1)


def test_every_planned_visit_is_graded_or_lost_at_one_stage(joined):
    rows = [hip_row("A", "20260105"), hip_row("B", "20260105", gsus=None), hip_row("C", "20260105", Laterality.RIGHT)]
    lines = [f"{who},g,0,left,2026-01-05,,1,{'withdrew' if who == 'E' else ''}" for who in "ABCDE"]
    cohort = joined(lines, rows)
    (flow,) = flows(cohort)
    assert flow.planned == 5 and flow.graded == 1 and [count for _, count in flow.lost] == [1, 1, 1, 1]
    noted = grid(cohort, READER_SOLAR).values[:, 0]
    assert np.isfinite(noted).tolist() == [True, True, True, True, False]
    assert grid(cohort, SIDE) is None


def test_an_unscheduled_visit_is_tabled_and_leaves_every_course_whole(joined):
    dates = {0: "20260105", 2: "20260119", 5: "20260209", 16: "20260427"}
    visits = [(who, week) for who in "ABC" for week in dates if week != 5 or who == "B"]
    rows = [hip_row(who, dates[week], gsus=3 if week == 0 else 1) for who, week in visits]
    told = grid(joined([f"{who},g,{week},left,,{who}/{dates[week]},," for who, week in visits], rows), SOLAR)
    assert told.weeks == (0, 2, 5, 16) and told.unscheduled == (5,)
    assert told.course.weeks == (0, 2, 16) and told.course.values.tolist() == [[3, 1, 1]] * 3
    friedman, *pairs = changes_within(told)
    assert (friedman.comparison, friedman.n) == ("weeks 0, 2, 16", 3) and friedman.p is not None
    assert "week 5 less 0" in [pair.comparison for pair in pairs]


def test_a_folder_that_grade_did_not_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no hips\.parquet"):
        read_readings(tmp_path)
    (tmp_path / "hips.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        read_readings(tmp_path)
