"""An archive's tables: every input accounted for, hips judged over their frames, the same however a run was cut."""

import os
import shutil
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import cv2
import pyarrow.parquet as pq
import pytest

from datasets.files import FileKind, FrameOptions
from datasets.inputs import Failure, File, Why
from datasets.phantom.cine import cine
from model.anatomy import Laterality, View
from model.grade import GradeRules
from model.reading import Reader
from model.runtime import STARTER, Execution, Session
from serving.archive import pool
from serving.archive.note import programs
from serving.archive.parts import Changes, Parts
from serving.archive.plan import Item, Study, make_plan
from serving.archive.pool import Died, Done, Setup, read_all
from serving.archive.results import Result
from serving.archive.run import Job, grade
from serving.archive.study import Asked, read_study
from serving.archive.tables import FAILURES, HIPS, READINGS, failures_table, write_table
from tests import known_hips
from tests.serving.archive.conftest import TABLES, silent
from tests.serving.archive.conftest import dicom as archived

GRADED, OTHER = known_hips.LONGITUDINAL, known_hips.ILIOPECTINEAL
DULL = Failure("", Why.DUPLICATE, "")


dicom = partial(archived, frames=2)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two studies with a graded hip each, one of them of both sides, and one of everything that is no frame."""
    folder = tmp_path_factory.mktemp("archive")
    dicom(folder / "one" / "left.dcm", GRADED, View.LONGITUDINAL, ImageLaterality="L", StudyInstanceUID="1.2.3")
    dicom(folder / "one" / "right.dcm", GRADED + 9, View.LONGITUDINAL, ImageLaterality="R", StudyInstanceUID="1.2.3")
    dicom(folder / "two.dcm", OTHER, View.ILIOPECTINEAL)
    dicom(folder / "ct.dcm", OTHER + 1, View.ILIOPECTINEAL, Modality="CT")
    shutil.copy(folder / "two.dcm", folder / "two again.dcm")
    whole = (folder / "two.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "notes.txt").write_text("not a picture")
    frame = next(iter(cine(GRADED, View.LONGITUDINAL, 1))).frame
    picture = cv2.imencode(".png", frame.grey)[1].tobytes()
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.writestr("hip.png", picture)
        packed.writestr("broken.png", picture[: len(picture) // 2])
    return folder


@pytest.fixture(scope="module")
def graded(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("graded")
    outcome = grade(Job(archive, out, workers=1), silent)
    return out, outcome


def rows(out, table):
    return pq.read_table(out / f"{table}.parquet").to_pylist()


def contents(out):
    return {table: (out / f"{table}.parquet").read_bytes() for table in TABLES}


def test_every_input_is_read_or_told_with_its_reason(archive, graded):
    out, outcome = graded
    told = {row["name"]: row["why"] for row in rows(out, "failures")}
    assert told == {
        "ct.dcm": Why.NOT_ULTRASOUND, "cut.dcm": Why.UNREADABLE, "empty.dcm": Why.UNREADABLE,
        "more.zip!broken.png": Why.UNREADABLE, "notes.txt": Why.NOT_A_PICTURE, "two.dcm": Why.DUPLICATE,
    }  # fmt: skip
    read = {row["source"] for row in rows(out, "readings")}
    assert read == {"one/left.dcm", "one/right.dcm", "two again.dcm", "more.zip!hip.png"}
    assert (outcome.frames, outcome.read_now, outcome.wrong) == (7, 7, 3)


def test_a_hip_is_judged_over_its_frames(graded):
    out, _ = graded
    hips = {(row["study"], row["hip"]): row for row in rows(out, "hips")}
    left, right = hips["1.2.3", "left"], hips["1.2.3", "right"]
    assert left["gsus"] == 2 and left["graded_frames"] == 2
    assert left["deciding_source"] == "one/left.dcm"
    assert 0 <= left["capsule_percentile"] <= 100
    assert left["side_difference_mm"] == pytest.approx(left["capsule_distance_mm"] - right["capsule_distance_mm"])
    assert right["side_difference_mm"] == pytest.approx(-left["side_difference_mm"])
    (other,) = (row for (study, _), row in hips.items() if row["deciding_source"] is None)
    assert other["gsus"] is None and "no anterior longitudinal view among 2 frames" in other["reason"]


def test_quality_is_the_least_sure_of_what_a_grade_stands_on(graded):
    out, _ = graded
    by_view = {row["view"]: row["quality"] for row in rows(out, "readings")}
    assert by_view[View.ILIOPECTINEAL] is None and 0.5 < by_view[View.LONGITUDINAL] <= 1
    seen = defaultdict(list)
    for row in rows(out, "readings"):
        if row["quality"] is not None:
            seen[row["study"], row["laterality"]].append(row["quality"])
    hips = rows(out, "hips")
    assert {(row["study"], row["hip"]) for row in hips if row["quality"] is not None} == set(seen)
    for row in hips:
        every = seen[row["study"], row["hip"]]
        assert row["quality"] == (pytest.approx(sum(every) / len(every)) if every else None)
        assert (row["deciding_quality"] in every) == (row["gsus"] is not None)


def test_the_page_stands_alone_and_shows_the_deciding_frames(graded):
    out, _ = graded
    page = (out / "index.html").read_text()
    assert "http://" not in page and "https://" not in page
    assert "Not a medical device" in page.capitalize() or "not a medical device" in page
    pictures = [part.split('"')[0] for part in page.split('src="')[1:]]
    assert pictures and all(cv2.imread(str(out / picture)) is not None for picture in pictures)
    assert "notes.txt" in page and "two again.dcm" in page


def test_going_on_reads_nothing_twice_and_changes_nothing(archive, graded):
    out, _ = graded
    before = contents(out)
    assert grade(Job(archive, out, workers=1, resume=True), silent).read_now == 0
    assert contents(out) == before


def test_a_run_elsewhere_with_other_workers_gives_the_same_tables(archive, graded, tmp_path):
    grade(Job(archive, tmp_path / "out", workers=2), silent)
    assert contents(tmp_path / "out") == contents(graded[0])


def test_a_changed_file_alone_is_read_again(archive, graded, tmp_path):
    out, moved = tmp_path / "out", tmp_path / "archive"
    shutil.copytree(archive, moved, copy_function=shutil.copy2)
    shutil.copytree(graded[0], out)
    os.utime(moved / "more.zip", ns=(1, 1))
    heard = []
    assert grade(Job(moved, out, workers=1, resume=True, forget=True), heard.append).read_now == 1
    assert contents(out) == contents(graded[0])
    assert "1 studies are read again: their files have changed" in heard
    assert not (out / "aside").exists()


def test_a_changed_setting_begins_afresh_and_says_so(archive, graded, tmp_path):
    shutil.copytree(graded[0], tmp_path / "out")
    heard = []
    rules = GradeRules(version="other", straight_ratio=0.5)
    outcome = grade(Job(archive, tmp_path / "out", workers=1, resume=True, asked=Asked(rules=rules)), heard.append)
    assert outcome.read_now == 7
    assert any("read afresh" in line for line in heard)


def test_another_run_in_the_folder_is_not_overwritten(archive, graded, tmp_path):
    with pytest.raises(ValueError, match="--resume"):
        grade(Job(archive, graded[0]), silent)
    (tmp_path / "something").write_text("else")
    with pytest.raises(ValueError, match="not empty"):
        grade(Job(archive, tmp_path), silent)


def test_what_was_left_unfinished_is_swept_away(archive, graded, tmp_path):
    shutil.copytree(graded[0], tmp_path / "out")
    (tmp_path / "out" / "parts" / ".half.123").mkdir()
    grade(Job(archive, tmp_path / "out", workers=1, resume=True), silent)
    assert not [path for path in (tmp_path / "out" / "parts").iterdir() if path.name.startswith(".")]
    assert contents(tmp_path / "out") == contents(graded[0])


@dataclass(frozen=True, slots=True)
class Deadly(File):
    """A file whose decoder brings its process down."""

    def source(self):
        os._exit(9)


def test_a_file_that_kills_its_process_costs_its_own_study_alone(archive, tmp_path):
    plan = make_plan(archive)
    item = plan.studies[0].items[0]
    deadly = Deadly(item.input.name, 1, 1, item.input.path)
    killer = Study("killer", (Item(deadly, FileKind.DICOM),))
    setup = Setup(STARTER, tmp_path / "parts", "digest", Asked(), Session().sha256, programs(), Execution())
    told = list(read_all([plan.studies[0], killer, *plan.studies[1:]], setup, 2))
    assert [one.study.name for one in told if isinstance(one, Died)] == ["killer"]
    assert {one.study for one in told if isinstance(one, Done)} == set(plan.studies)


def test_a_process_that_dies_as_the_next_study_is_handed_out_loses_none(monkeypatch):
    handed_out = count()

    class Dying(ThreadPoolExecutor):
        def submit(self, work, study):
            if next(handed_out) == 2:
                raise BrokenProcessPool("a process has died")
            return super().submit(work, study)

    monkeypatch.setattr(pool, "worker_pool", lambda workers, *_: Dying(workers))
    monkeypatch.setattr(pool, "_read", lambda study: Done(study, 1, 0))
    studies = [Study(name, ()) for name in "abcde"]
    told = list(read_all(studies, None, 1))
    assert sorted(told, key=lambda one: one.study.name) == [Done(study, 1, 0) for study in studies]


@dataclass(frozen=True, slots=True)
class Distant(File):
    """A file on a disk that answers only while a file named "up" lies beside it."""

    def source(self):
        if not (self.path.parent / "up").exists():
            raise ConnectionError("the share does not answer")
        return self.path


def test_what_was_out_of_reach_is_tried_again(tmp_path):
    dicom(tmp_path / "hip.dcm", GRADED, View.LONGITUDINAL)
    study = Study("far", (Item(Distant("hip.dcm", 1, 1, tmp_path / "hip.dcm"), FileKind.DICOM),))
    setup = Setup(STARTER, tmp_path / "parts", "digest", Asked(), Session().sha256, programs(), Execution())
    parts = Parts(setup.parts, setup.digest)
    name = parts.name(study)
    (far,) = read_all([study], setup, 1)
    assert (far.frames, far.failures) == (0, 1) and parts.has(name)
    assert parts.line_up({name: study}, ()) == Changes(changed=0, gone=0, again=1) and not parts.has(name)
    (tmp_path / "up").touch()
    (near,) = read_all([study], setup, 1)
    assert (near.frames, near.failures) == (2, 0)
    assert parts.line_up({name: study}, ()) == Changes(changed=0, gone=0, again=0) and parts.has(name)


def test_what_the_caller_knows_goes_before_the_files(archive, tmp_path):
    known = FrameOptions(spacing_mm=(0.2, 0.2), laterality=Laterality.RIGHT, age_years=7.0)
    grade(Job(archive, tmp_path / "out", workers=1, asked=Asked(known)), silent)
    assert {row["spacing_row_mm"] for row in rows(tmp_path / "out", "readings")} == {0.2}
    assert {(row["hip"], row["age_years"]) for row in rows(tmp_path / "out", "hips")} == {("right", 7.0)}


def test_a_table_does_not_depend_on_how_its_rows_came(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.archive.tables.ROWS_A_GROUP", 7)
    table = failures_table([replace(DULL, name=str(k)) for k in range(30)])
    for name, sizes in (("a", (30,)), ("b", (1, 13, 2, 14)), ("c", (7,) * 4 + (2,))):
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        parts = (table.slice(start, size) for start, size in zip(starts, sizes, strict=True))
        assert write_table(parts, FAILURES, tmp_path / name) == 30
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert pq.ParquetFile(tmp_path / "a").num_row_groups == 5


def test_an_empty_archive_gives_empty_tables(tmp_path):
    (tmp_path / "archive").mkdir()
    grade(Job(tmp_path / "archive", tmp_path / "out"), silent)
    for table, schema in (("readings", READINGS), ("hips", HIPS), ("failures", FAILURES)):
        assert pq.read_schema(tmp_path / "out" / f"{table}.parquet").equals(schema)
        assert rows(tmp_path / "out", table) == []


def test_pictures_that_we_annotated_are_not_read_again(tmp_path):
    dicom(tmp_path / "in" / "hip.dcm", GRADED, View.LONGITUDINAL)
    asked = Asked(results=frozenset({Result.OVERLAY, Result.REPORT}))
    grade(Job(tmp_path / "in", tmp_path / "out", workers=1, asked=asked), silent)
    assert len(list((tmp_path / "out" / "sr").iterdir())) == 1
    (overlay,) = (tmp_path / "out" / "overlays").iterdir()
    shutil.copy(overlay, tmp_path / "in")
    plan = make_plan(tmp_path / "in")
    assert plan.files == 1
    assert [one.reason for one in plan.failures] == ["an annotated picture that hipsono made"]


def test_another_scale_or_age_makes_another_object(tmp_path):
    """A PACS answers success to a UID that it has, and keeps the old object."""
    dicom(tmp_path / "hip.dcm", GRADED, View.LONGITUDINAL)
    (study,) = make_plan(tmp_path).studies
    reader, results = Reader(Session()), frozenset(Result)

    def uids(known):
        return {
            kind: result.SOPInstanceUID
            for kind, result in read_study(study, reader, Asked(known, results=results)).results
        }

    plain, again, older, larger = (
        uids(known)
        for known in (FrameOptions(), FrameOptions(), FrameOptions(age_years=3.0), FrameOptions(spacing_mm=(0.2, 0.2)))
    )
    assert plain == again and len(plain) == len(Result)
    assert all(len({told[kind] for told in (plain, older, larger)}) == 3 for kind in plain)


def test_a_cine_too_long_to_be_segmented_is_told(tmp_path, monkeypatch):
    dicom(tmp_path / "hip.dcm", GRADED, View.LONGITUDINAL, frames=3)
    (study,) = make_plan(tmp_path).studies
    asked = Asked(results=frozenset({Result.SEGMENTATION, Result.REPORT}))
    reader = Reader(Session())
    assert [kind for kind, _ in read_study(study, reader, asked).results] == [Result.REPORT, Result.SEGMENTATION]
    monkeypatch.setattr("serving.archive.results.MAX_MASK_BYTES", 1_000_000)
    read = read_study(study, reader, asked)
    assert [kind for kind, _ in read.results] == [Result.REPORT]
    assert [(one.name, one.why) for one in read.failures] == [("hip.dcm", Why.NO_RESULT)]
    assert read.readings.num_rows == 3
