"""Every file of an archive is accounted for: handed over, or told with its reason."""

import errno
import os
import shutil
import zipfile
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from datasets.dicom_write import write_dicom
from datasets.inputs import Failure, Input, Why, list_inputs
from datasets.phantom.generate import phantom


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "hip.dcm"
    write_dicom([phantom(6_300_000)], path)
    return path


def names(archive, kind=Input):
    return [one.name for one in list_inputs(archive) if isinstance(one, kind)]


def failures(archive):
    return {one.name: one for one in list_inputs(archive) if isinstance(one, Failure)}


def test_a_folder_of_any_depth_in_order(tmp_path, dicom):
    for name in ("b/c/two.dcm", "a.dcm", "b/one.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(dicom.read_bytes())
    assert names(tmp_path) == ["a.dcm", "b/c/two.dcm", "b/one.dcm"]
    assert names(tmp_path / "a.dcm") == ["a.dcm"]


def test_members_of_a_zip_are_inputs_of_their_own(tmp_path, dicom):
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(dicom, "b/hip.dcm")
        archive.writestr("a.txt", "notes")
    first, second = list_inputs(tmp_path)
    assert (first.name, second.name) == ("study.zip!a.txt", "study.zip!b/hip.dcm")
    assert second.source() == dicom.read_bytes()
    assert second.head() == dicom.read_bytes()[:1024]


def test_a_zip_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "z.zip"
    for content in ("one", "another"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", content)
        os.utime(path, ns=(0, len(content)))
        (member,) = list_inputs(path)
        assert member.source() == content.encode()


def test_broken_and_encrypted_zips_are_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a.dcm", "x")
    data = bytearray((tmp_path / "locked.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(data))
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    told = failures(tmp_path)
    assert "encrypted" in told["locked.zip!a.dcm"].reason
    assert "cannot be opened" in told["cut.zip"].reason
    assert names(tmp_path) == []


def test_a_link_to_nothing_is_missing(tmp_path):
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    assert failures(tmp_path)["gone.dcm"].why is Why.MISSING


def test_a_dicomdir_names_its_files_and_misses_are_told(tmp_path, dicom):
    files = FileSet()
    files.add(dicom)
    other = pydicom.dcmread(dicom)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    files.add(other)
    files.write(tmp_path)
    first, second = names(tmp_path / "DICOMDIR")
    assert (tmp_path / first).is_file() and first != second
    (tmp_path / second).unlink()
    assert names(tmp_path / "DICOMDIR") == [first]
    assert failures(tmp_path / "DICOMDIR")[second].why is Why.MISSING


def test_an_archive_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="give a folder, a zip, a DICOMDIR or a file"):
        list(list_inputs(tmp_path / "nothing"))


def test_linked_folders_are_followed_once(tmp_path, dicom):
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    for folder in (archive / "a", elsewhere):
        folder.mkdir(parents=True)
        shutil.copy(dicom, folder)
    (archive / "b").symlink_to(elsewhere)
    (archive / "a" / "up").symlink_to(archive)
    (archive / "c").symlink_to(archive / "a")
    assert names(archive) == ["a/hip.dcm", "b/hip.dcm"]
    told = failures(archive)
    assert set(told) == {"a/up", "c"} and {one.why for one in told.values()} == {Why.DUPLICATE}
    assert "the archive itself" in told["a/up"].reason and told["c"].reason.endswith("as a")


@pytest.mark.parametrize(
    ("number", "why", "words"), [(errno.EACCES, Why.UNREADABLE, "rights"), (errno.EIO, Why.OUT_OF_REACH, "again")]
)
def test_a_folder_that_cannot_be_listed_is_told(tmp_path, dicom, monkeypatch, number, why, words):
    for name in ("a/locked", "b"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(dicom, tmp_path / name)
    listed = os.listdir

    def listing(path):
        if Path(path).name == "locked":
            raise OSError(number, os.strerror(number))
        return listed(path)

    monkeypatch.setattr("datasets.inputs.os.listdir", listing)
    assert names(tmp_path) == ["b/hip.dcm"]
    told = failures(tmp_path)["a/locked"]
    assert told.why is why and words in told.reason


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert failures(tmp_path)["pipe"].why is Why.NOT_A_PICTURE


def test_a_name_that_is_no_text_is_told_as_text(tmp_path, dicom):
    (tmp_path / os.fsdecode(b"h\xfcfte.dcm")).write_bytes(dicom.read_bytes())
    (one,) = list_inputs(tmp_path)
    assert one.name == "h\\xfcfte.dcm" and one.head() == dicom.read_bytes()[:1024]


@pytest.fixture
def medium(tmp_path, dicom):
    """A DICOMDIR of two files in a folder of an archive; the files' names there."""
    files, folder = FileSet(), tmp_path / "archive" / "disc"
    files.add(dicom)
    other = pydicom.dcmread(dicom)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    files.add(other)
    files.write(folder)
    return folder, names(folder / "DICOMDIR")


def test_a_dicomdir_in_a_folder_tells_what_it_lacks(medium):
    folder, (first, second) = medium
    assert failures(folder.parent) == {}
    (folder / second).unlink()
    assert names(folder.parent) == ["disc/DICOMDIR", f"disc/{first}"]
    assert failures(folder.parent)[f"disc/{second}"].why is Why.MISSING


def test_a_mount_may_spell_a_dicomdirs_names_its_own_way(medium):
    folder, named = medium
    for name in named:
        spelt = folder / f"{name.lower()};1"
        spelt.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(spelt)
    shutil.rmtree(folder / "PT000000")
    assert names(folder / "DICOMDIR") == [f"{name.lower()};1" for name in named]
    assert failures(folder / "DICOMDIR") == failures(folder.parent) == {}


def test_a_dicomdir_that_names_what_lies_outside_is_not_followed(medium):
    folder, (first, second) = medium
    (folder / second).rename(folder.parent / "outside.dcm")
    (folder / second).symlink_to(folder.parent / "outside.dcm")
    assert names(folder / "DICOMDIR") == [first]


@pytest.mark.parametrize("broken", [b"\xff\xff\xff\x7f", b"\0\0\0\0"])
def test_a_dicomdir_that_is_broken_or_names_nothing_is_told(medium, broken):
    folder, _ = medium
    content = bytearray((folder / "DICOMDIR").read_bytes())
    at = content.index(b"\x04\x00\x20\x12SQ")
    content[at + 8 : at + 12] = broken
    (folder / "DICOMDIR").write_bytes(content[: at + 40])
    assert failures(folder / "DICOMDIR")["DICOMDIR"].why is Why.UNREADABLE
    assert failures(folder.parent)["disc/DICOMDIR"].why is Why.UNREADABLE
