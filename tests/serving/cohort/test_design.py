"""The design file: what it says is kept, what is wrong with it is named by row and column."""

from datetime import date

import pytest

from model.anatomy import Laterality
from serving.cohort.design import DesignError, read_design

HEAD = "patient,group,visit,index_hip"


def test_a_design_is_read_by_patient_and_week(design_file):
    path = design_file(
        "patient, group,visit,date,index_hip,solar,vas,age,sex,excluded,colour",
        "B,saline,16,2026-04-27,Left,0,,,,,red",
        "B,saline,0,2026-01-05,left,2,5.5,9.5,F,,",
        "",
        "A,steroid,0,2026-01-06,right,1,,,,moved away,",
    )
    design = read_design(path)
    assert [(visit.patient.patient_id, visit.week) for visit in design.visits] == [("A", 0), ("B", 0), ("B", 16)]
    assert design.groups == ("saline", "steroid") and design.weeks == (0, 16)
    assert design.unused == ("colour",)
    steroid, before, after = design.visits
    assert steroid.excluded == "moved away" and steroid.patient.index_hip is Laterality.RIGHT
    assert before.patient is after.patient and before.patient.age_years == 9.5 and before.patient.sex == "F"
    assert before.day == date(2026, 1, 5) and (before.noted.solar, before.noted.vas) == (2, 5.5)
    assert after.noted.solar == 0 and after.noted.vas is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ((), "is empty"),
        (("patient,visit,index_hip", "A,0,left"), "column group is missing"),
        ((HEAD + ",solar,solar", "A,g,0,left,1,1"), "column solar is there twice"),
        ((HEAD,), "no rows under the header"),
        ((HEAD, "A,g,0,left", "A,g,0,left"), "row 3: patient A, visit 0 is in row 2 already"),
        ((HEAD, ",g,0,left"), "row 2, column patient: empty"),
        ((HEAD, "A,g,,left"), "row 2, column visit: empty"),
        ((HEAD, "A,g,soon,left"), "row 2, column visit: 'soon' is not a number"),
        ((HEAD, "A,g,nan,left"), "row 2, column visit: nan; expected 0 to 10000"),
        ((HEAD, "A,g,0,up"), "row 2, column index_hip: 'up'; expected left or right"),
        ((HEAD, "A,g,0,left", "A,h,2,left"), "row 3, column group: 'h', but row 2 has 'g'"),
        ((HEAD, "A,g,0,left", "A,g,2,right"), "row 3, column index_hip: 'right', but row 2 has 'left'"),
        ((HEAD + ",solar", "A,g,0,left,4"), "row 2, column solar: 4; expected 0 to 3"),
        ((HEAD + ",solar", "A,g,0,left,1.5"), "row 2, column solar: 1.5; expected one of 0, 1, 2, 3"),
        ((HEAD + ",vas", "A,g,0,left,-1"), "row 2, column vas: -1; expected 0 to 10"),
        ((HEAD + ",date", "A,g,0,left,5.1.2026"), "row 2, column date: '5.1.2026'; expected YYYY-MM-DD"),
        ((HEAD + ",date", "A,g,0,left,0001-01-01"), "row 2, column date: '0001-01-01'; expected YYYY-MM-DD"),
        ((HEAD + ",date", "A,g,0,left,2026-01-05", "A,g,2,left,2026-01-05"), "date 2026-01-05 is in row 2 already"),
        ((HEAD + ",study", "A,g,0,left,1.2", "A,g,2,left,1.2"), "study 1.2 is in row 2 already"),
        ((HEAD + ",study", "A,g,0,left,1.2", "B,g,0,left,1.2"), "study 1.2 is in row 2 already, for patient A"),
        (
            (HEAD + ",date", "A,g,16,left,2026-01-05", "A,g,0,left,2026-04-27"),
            "row 2, column date: 2026-01-05 of visit 16 is before 2026-04-27 of visit 0 in row 3",
        ),
        ((HEAD + ",vas", "A,g,0,left,5,5"), "row 2: more cells than the header has columns, '5' is beyond the last"),
        ((HEAD + ",excluded", "A,g,0,left,No"), "row 2, column excluded: 'No'; expected a reason, or nothing"),
    ],
)
def test_what_is_wrong_is_named(design_file, lines, told):
    path = design_file(*lines) if lines else design_file()
    if not lines:
        path.write_text("")
    with pytest.raises(DesignError) as error:
        read_design(path)
    assert told in str(error.value)


def test_names_that_differ_in_case_or_spaces_alone_are_one(design_file):
    lines = ("A,Saline 0.9,0,left,f,RF-", "B,saline  0.9,0,left,F,rf-", "C,SALINE 0.9,0,left,f,RF+")
    design = read_design(design_file(HEAD + ",sex,subtype", *lines))
    assert design.groups == ("Saline 0.9",)
    assert [(one.sex, one.subtype) for one in design.patients] == [("f", "RF-"), ("f", "RF-"), ("f", "RF+")]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_file_of_another_encoding_says_how_to_save_it(tmp_path, encoding):
    path = tmp_path / "design.csv"
    path.write_text(f"{HEAD}\nM\u00fcller,g,0,left\n", encoding=encoding)
    with pytest.raises(DesignError, match=r"design\.csv is not in UTF-8: save it .* as CSV UTF-8"):
        read_design(path)


def test_cells_left_empty_after_the_last_column_are_no_matter(design_file):
    assert read_design(design_file(HEAD, "A,g,0,left,,", "A,g,2,left")).weeks == (0, 2)
