"""Every file of an archive is accounted for: handed over, or told with its reason."""

import os
import zipfile

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
