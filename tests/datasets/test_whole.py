"""Files that appear whole or not at all."""

import errno
import os
import stat

import pytest

from datasets.whole import unfinished, write_whole


def test_what_is_written_appears_at_the_end(tmp_path):
    path = tmp_path / "report.html"
    with unfinished(path) as partial:
        partial.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_all_is_as_before(tmp_path):
    path = tmp_path / "key.txt"
    write_whole(path, "the old")
    with pytest.raises(TypeError), unfinished(path) as partial:
        partial.write_text("the n") + None
    assert path.read_text() == "the old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf8(tmp_path):
    write_whole(tmp_path / "a", "µm")
    write_whole(tmp_path / "b", b"\xc2\xb5m")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_content_is_on_the_disk_before_its_name_and_then_the_name(tmp_path, monkeypatch):
    path, done = tmp_path / "run.json", []

    def seen(handle):
        done.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))

    monkeypatch.setattr("datasets.whole.os.fsync", seen)
    write_whole(path, "{}")
    assert done == [(False, False), (True, True)]


def test_what_cannot_be_brought_to_the_disk_leaves_all_as_before(tmp_path, monkeypatch):
    write_whole(tmp_path / "key", "the old")

    def full(_):
        raise OSError(errno.EIO, "the disk does not answer")

    monkeypatch.setattr("datasets.whole.os.fsync", full)
    with pytest.raises(OSError, match="does not answer"):
        write_whole(tmp_path / "key", "the new")
    assert (tmp_path / "key").read_text() == "the old"
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]
