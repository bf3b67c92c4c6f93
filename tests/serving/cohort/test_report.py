"""From hips and a design to the report's folder: what a person opens and what a program reads."""

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from model.anatomy import Laterality
from serving.cohort.agreement import OutcomeTests
from serving.cohort.analysis import OutcomeAnalysis
from serving.cohort.command import Job, report_cohort
from serving.cohort.matching import Side
from serving.cohort.model import fit
from serving.cohort.outcomes import OUTCOMES
from serving.cohort.plots import courses
from serving.cohort.published import read_published
from serving.cohort.report import told_effect, told_p
from tests.flow.test_command import hipsono
from tests.serving.cohort.conftest import distance_grid, frame_row, hip_row, write_archive

HEAD = "patient,group,visit,date,index_hip,solar,capsule_distance_mm,vas,hhs,jadas,age_years,sex,subtype,excluded"
DATES = {0: "2026-01-05", 2: "2026-01-19", 16: "2026-04-27"}
TREATED = [(2, 1, 0), (2, 1, 0), (1, 1, 0), (1, 0, 0), (3, 2, 1), (2, 0, 0), (1, 1, 1), (2, 1, 0)]
PLACEBO = [(2, 2, 2), (1, 1, 1), (2, 1, 2), (1, 2, 1), (3, 3, 2), (2, 2, 1), (1, 1, 2), (0, 1, 0)]


class Cells(HTMLParser):
    """The text of every table row of a page."""

    def __init__(self):
        super().__init__()
        self.rows, self._cell = [], None

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(" ".join(self._cell.split()))
            self._cell = None


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Sixteen patients in two groups; one visit lost to each cause; the machine is one grade off once."""
    folder = tmp_path_factory.mktemp("trial")
    lines, hips = [HEAD], []
    for group, grades in (("treated", TREATED), ("placebo", PLACEBO)):
        for number, course in enumerate(grades):
            patient = f"{group[0]}{number}"
            for (week, date), grade in zip(DATES.items(), course, strict=True):
                excluded = "moved away" if (patient, week) == ("p7", 16) else ""
                row = (
                    patient,
                    group,
                    week,
                    date,
                    "left",
                    grade,
                    6.1 + grade,
                    5 - week / 8,
                    60 + week,
                    12,
                    9,
                    "F",
                    "RF-",
                )
                lines.append(",".join(map(str, (*row, excluded))))
                if (patient, week) not in (("p7", 16), ("p6", 16)):
                    read = None if (patient, week) == ("t6", 2) else 2 if (patient, week) == ("t3", 0) else grade
                    quality = 0.5 if read is None else 0.75
                    hips.append(hip_row(patient, date.replace("-", ""), Laterality.LEFT, read, quality=quality))
    (folder / "design.csv").write_text("\n".join(lines) + "\n")
    (folder / "published.csv").write_text(
        "group,visit,outcome,n,mean,spread\ntreated,16,solar,40,0.15,0.06\ntreated,0,solar,8,1.75,0.71\n"
    )
    reviewed = next(row for row in hips if row.gsus is None)
    frames = [frame_row(row, row.gsus) for row in hips if row is not reviewed]
    frames += [frame_row(reviewed, 1, "review: grade 1 was learned, the capsule is convex", (0, 1, 0, 0))]
    hips.append(hip_row("t0", "20260301", study="extra"))
    write_archive(folder / "graded", hips, frames=frames)
    return folder


@pytest.fixture(scope="module")
def report(trial):
    said = []
    job = Job(trial / "graded", trial / "design.csv", trial / "report", Side.INDEX, trial / "published.csv")
    code = report_cohort(job, said.append)
    return trial / "report", code, "\n".join(said)


def table(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_has_the_tables_of_a_trial(report):
    folder, code, _ = report
    assert code == 1  # p6 has no study at week 16
    page = (folder / "index.html").read_text()
    cells = Cells()
    cells.feed(page)
    rows = [row for row in cells.rows if row]
    assert next(row[:8] for row in rows if row[:2] == ["treated", "0"] and len(row) > 10) == [
        "treated",
        "0",
        "8",
        "0",
        "0 (0 %)",
        "2 (25 %)",
        "5 (62 %)",
        "1 (12 %)",
    ]
    assert ["placebo", "16", "8", "1", "1", "0", "0", "6", "0"] in rows
    assert ["p6", "placebo", "16", "no study", "no study on 2026-04-27, but 2 on other days"] in rows
    assert ["t6", "treated", "2", "not gradable", "the ends of the recess were not found"] in rows
    assert any(row[2:4] == ["Friedman", "7"] and row[0] == "treated" for row in rows)
    assert any("fits a standard error, e.g. 34/6/0/0" in cell for row in rows for cell in row)
    assert "Research use" in page and "trained on hipsono phantoms" in page and "Nothing here is a clinical" not in page


def test_the_page_is_whole_and_prints_no_gaps_of_a_program(report):
    page = (report[0] / "index.html").read_text()
    text = re.sub(r"<(svg|script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|inf)\b", text)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text) and "url(http" not in page
    assert page.count('role="img"') == len(list((report[0] / "figures").glob("*.svg")))


def test_the_csv_tables_agree_with_each_other(report):
    folder, _, said = report
    records = table(folder, "records")
    assert len(records) == 48 and sum(row["gsus"] != "" for row in records) == 45
    assert {row["lost_at"] for row in table(folder, "exclusions")} == {
        "excluded by the design", "no study", "not gradable", "no visit"
    }  # fmt: skip
    treated = next(
        r for r in table(folder, "summary") if (r["outcome"], r["group"], r["visit"]) == ("solar", "treated", "0")
    )
    mean = next(
        r for r in table(folder, "means") if (r["outcome"], r["group"], r["visit"]) == ("solar", "treated", "0")
    )
    assert float(treated["mean"]) == float(mean["machine_mean"]) == 15 / 8 and float(mean["reader_mean"]) == 14 / 8
    assert float(mean["paired_difference"]) == 1 / 8
    assert [row["verdict"] for row in table(folder, "published")] == ["not as said", "possible"]
    kappa = table(folder, "agreement")[0]
    assert kappa["figure"] == "quadratic weighted kappa" and 0.9 < float(kappa["value"]) < 1 and kappa["n"] == "45"
    bias = next(row for row in table(folder, "agreement") if row["figure"] == "bias")
    assert float(bias["value"]) == pytest.approx((45 * -0.1 + 1) / 45)
    assert "16 patients, 48 visits, 45 with a grade" in said and "bias -0.08" in said


def test_a_study_that_is_no_visits_is_named_everywhere(report):
    folder, _, said = report
    told = "t0: study extra of 20260301"
    (row,) = (row for row in table(folder, "exclusions") if row["lost_at"] == "no visit")
    assert (row["patient"], row["group"], row["visit"]) == ("t0", "treated", "") and told in row["reason"]
    assert told in said and told in (folder / "index.html").read_text()


def test_hips_under_review_are_a_sensitivity_analysis_beside_the_primary_one(report):
    folder, _, said = report
    here = ("treated", "2")
    primary, with_review = (
        next(row for row in table(folder, name) if row["outcome"] == key and (row["group"], row["visit"]) == here)
        for name, key in (("summary", "solar"), ("sensitivity", "solar_with_review"))
    )
    assert (primary["n"], primary["missing"], with_review["n"], with_review["missing"]) == ("7", "1", "8", "0")
    assert float(with_review["mean"]) == pytest.approx((7 * float(primary["mean"]) + 1) / 8)
    assert not [row for row in table(folder, "summary") if row["outcome"] == "solar_with_review"]
    assert all(row["primary_p"] and row["sensitivity_p"] for row in table(folder, "sensitivity_tests"))
    page = (folder / "index.html").read_text()
    assert "Sensitivity to hips under review" in page and "1 hips are missing for review" in said
    reviewed = [row for row in table(folder, "records") if row["gsus_under_review"]]
    assert [(row["patient"], row["gsus"], row["gsus_under_review"]) for row in reviewed] == [("t6", "", "1")]


def test_quality_is_tabled_by_group_and_visit(report):
    rows = {(row["group"], row["visit"]): row for row in table(report[0], "quality")}
    assert len(rows) == 6 and float(rows["treated", "0"]["mean"]) == 0.75
    assert float(rows["treated", "2"]["mean"]) == pytest.approx((7 * 0.75 + 0.5) / 8)
    assert rows["placebo", "16"]["missing"] == "2"


def test_a_score_that_never_varies_is_told_and_tested_by_nobody(report):
    within = [row for row in table(report[0], "within") if row["outcome"] == "jadas"]
    assert within and all(row["reason"] == "not tested: nobody changed" and row["p"] == "" for row in within)
    model = next(row for row in table(report[0], "model") if row["outcome"] == "jadas")
    assert model["reason"] == "no model: all values are alike"


def test_the_same_files_make_the_same_report(report, trial, tmp_path):
    job = Job(trial / "graded", trial / "design.csv", tmp_path, Side.INDEX, trial / "published.csv")
    report_cohort(job, lambda _: None)
    for path in sorted(report[0].rglob("*.*")):
        assert path.read_bytes() == (tmp_path / path.relative_to(report[0])).read_bytes(), path.name


def test_a_design_of_nobody_in_the_archive_is_refused(trial, tmp_path):
    design = tmp_path / "design.csv"
    design.write_text("patient,group,visit,index_hip\nsomebody,g,0,left\n")
    with pytest.raises(ValueError, match="nothing in common: no study of this patient"):
        report_cohort(Job(trial / "graded", design, tmp_path / "report"), lambda _: None)


def test_one_group_one_visit_one_patient_is_a_report_too(tmp_path):
    design = tmp_path / "design.csv"
    design.write_text("patient,group,visit,index_hip\nphantom-1,g,0,left\n")
    graded = write_archive(tmp_path / "graded", [hip_row("phantom-1", "20260105")])
    assert report_cohort(Job(graded, design, tmp_path / "report"), lambda _: None) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "one visit: no change to test" in page and "Not tested: one group" in page
    assert "The patients are phantoms" in page


def test_weeks_are_told_alike_everywhere(tmp_path):
    weeks = {"0": "2026-01-05", "0.5": "2026-01-08", "1.5": "2026-01-15", "2.5": "2026-01-22"}
    patients = [f"{group}{number}" for group in "ab" for number in range(4)]
    visits = [(who, week, date) for who in patients for week, date in weeks.items()]
    lines = [f"{who},{who[0]},{week},left,{date},1" for who, week, date in visits]
    (tmp_path / "design.csv").write_text("\n".join(["patient,group,visit,index_hip,date,solar", *lines]))
    (tmp_path / "printed.csv").write_text("group,visit,outcome,n,mean,spread\nA,0.5,solar,4,1.00,0.82\n")
    rows = [hip_row(who, date.replace("-", ""), quality=0.5) for who, _, date in visits]
    write_archive(tmp_path / "graded", rows)
    folder = tmp_path / "report"
    job = Job(tmp_path / "graded", tmp_path / "design.csv", folder, published=tmp_path / "printed.csv")
    assert report_cohort(job, lambda _: None) == 0
    for name in ("records", "flow", "quality", "summary", "between", "means"):
        assert {row["visit"] for row in table(folder, name)} == set(weeks), name
    cells = Cells()
    cells.feed((folder / "index.html").read_text())
    firsts = [row for row in cells.rows if row and row[0] in ("a", "b") and len(row) > 6]
    assert {row[1] for row in firsts if not row[1].startswith("week")} == set(weeks)
    page = (folder / "index.html").read_text()
    assert "visits at weeks 0, 0.5, 1.5, 2.5" in page
    (printed,) = table(folder, "published")
    assert (printed["visit"], printed["our_n"], printed["our_mean"]) == ("0.5", "4", "1.0")  # A is a


def test_printed_summaries_of_another_encoding_say_how_to_save_them(tmp_path):
    path = tmp_path / "printed.csv"
    path.write_text("group,visit,outcome,n,mean,spread\nplac\u00e9bo,16,solar,40,0.15,0.06\n", encoding="cp1252")
    with pytest.raises(ValueError, match=r"printed\.csv is not in UTF-8: save it .* as CSV UTF-8"):
        read_published(path, ())


def test_the_page_says_what_is_missing_and_how_the_model_is_tested(report):
    page = (report[0] / "index.html").read_text()
    assert "n and missing make what the flow has as planned" in page and "Mancl &amp; DeRouen 2001" in page
    planned = {(row["group"], row["visit"]): int(row["planned"]) for row in table(report[0], "flow")}
    for row in (*table(report[0], "summary"), *table(report[0], "quality")):
        assert int(row["n"]) + int(row["missing"]) == planned[row["group"], row["visit"]]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.key)
def test_no_line_beside_an_axis_is_longer_than_the_axis(outcome):
    grid = replace(distance_grid({"treated": [(6.0, 5.0, 4.0)]}), outcome=outcome)
    svg = courses(OutcomeAnalysis(outcome, grid, (), OutcomeTests((), (), fit(grid))))
    lines = re.findall(r">([^<>]+)</(?:text|tspan)>", svg)
    assert f"({outcome.unit})" in lines and max(map(len, lines)) <= 30


def test_numbers_are_told_as_a_person_reads_them():
    assert told_p(0.0004) == "< 0.001" and told_p(0.0312) == "0.031" and told_p(None) == told_effect(None) == ""


def test_from_the_command_line(trial, tmp_path):
    found = hipsono("plausible", "40", "0.15", "0.06")
    assert found.returncode == 1 and "fits a standard error" in found.stdout
    (tmp_path / "design.csv").write_text("patient,visit\nA,0\n")
    found = hipsono("cohort", str(trial / "graded"), "--design", str(tmp_path / "design.csv"), "-o", str(tmp_path))
    assert found.returncode == 2 and "column group, index_hip is missing" in found.stderr
    assert found.stderr.count("\n") == 1
