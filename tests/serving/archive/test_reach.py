"""A share that fails while an archive is read costs time: what it did not give is tried again."""

import errno
import shutil

import cv2
import pytest

from datasets.dicom import read_dicom
from datasets.files import read_frames
from datasets.inputs import Why, failure_of
from datasets.phantom.generate import phantom
from datasets.picture import OutOfReach, UnreadableFile
from model.anatomy import View
from serving.archive.plan import make_plan
from serving.archive.run import Job, grade
from serving.archive.study import Asked, read_study
from tests import known_hips
from tests.serving.archive.conftest import contents, dicom, rows, silent


@pytest.fixture
def mixed(tmp_path):
    """A cine, a picture and a video."""
    folder = tmp_path / "mixed"
    dicom(folder / "hip.dcm", known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL, 2)
    grey = phantom(known_hips.ILIOPECTINEAL).frame.grey
    cv2.imwrite(str(folder / "hip.png"), grey)
    video = cv2.VideoWriter(str(folder / "hip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, grey.shape[::-1], False)
    video.write(grey)
    video.release()
    return folder


def test_files_that_vanish_between_plan_and_reading_are_out_of_reach(mixed, reader):
    studies = make_plan(mixed).studies
    shutil.rmtree(mixed)
    failures = [one for study in studies for one in read_study(study, reader, Asked()).failures]
    assert {(one.name, one.why) for one in failures} == {
        (name, Why.OUT_OF_REACH) for name in ("hip.dcm", "hip.png", "hip.avi")
    }
    assert all("--resume tries it again" in one.reason for one in failures)


def test_a_share_lost_while_its_studies_were_read_is_read_at_the_next_go(mixed, tmp_path, monkeypatch):
    out = tmp_path / "out"
    grade(Job(mixed, tmp_path / "whole", workers=1), silent)

    def plan_and_lose(archive, heard):
        plan = make_plan(archive, heard)
        mixed.rename(tmp_path / "elsewhere")
        return plan

    with monkeypatch.context() as patched:
        patched.setattr("serving.archive.run.make_plan", plan_and_lose)
        assert grade(Job(mixed, out, workers=1), silent).frames == 0
    assert {row["why"] for row in rows(out, "failures")} == {Why.OUT_OF_REACH}
    (tmp_path / "elsewhere").rename(mixed)
    assert grade(Job(mixed, out, workers=1, resume=True), silent).frames == 4
    assert contents(out) == contents(tmp_path / "whole")


def test_a_cine_that_vanishes_after_its_header_is_out_of_reach(mixed):
    frames = read_dicom(mixed / "hip.dcm").frames()
    (mixed / "hip.dcm").unlink()
    with pytest.raises(OutOfReach, match="No such file"):
        next(frames)


def test_a_video_that_vanishes_while_it_is_read_is_out_of_reach(mixed):
    frames = read_frames(mixed / "hip.avi")
    next(frames)
    (mixed / "hip.avi").unlink()
    with pytest.raises(OutOfReach, match="No such file"):
        list(frames)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.ENOTCONN])
def test_a_disk_that_stops_amid_a_file_is_out_of_reach(mixed, monkeypatch, number):
    def stopped(*_, **__):
        raise OSError(number, "the share does not answer")

    cine = read_dicom(mixed / "hip.dcm")
    monkeypatch.setattr("datasets.dicom.iter_pixels", stopped)
    with pytest.raises(OutOfReach, match="the share does not answer"):
        next(cine.frames())
    monkeypatch.setattr("datasets.dicom.pydicom.dcmread", stopped)
    with pytest.raises(OutOfReach, match="the share does not answer"):
        read_dicom(mixed / "hip.dcm")


@pytest.mark.parametrize("error", [OSError("broken data"), OSError(errno.EINVAL, "a length before the beginning")])
def test_what_is_broken_is_not_tried_again(mixed, monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr("datasets.dicom.iter_pixels", broken)
    with pytest.raises(UnreadableFile) as caught:
        next(read_dicom(mixed / "hip.dcm").frames())
    assert failure_of("hip.dcm", caught.value).why is Why.UNREADABLE
