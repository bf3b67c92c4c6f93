"""Files that appear whole or not at all."""

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
