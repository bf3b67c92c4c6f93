"""One run, one network and one set of programs, wherever its studies are read."""

import shutil
from dataclasses import replace

import pytest

import serving.archive.note
from model.runtime import STARTER, Execution, Session
from serving.archive.note import programs
from serving.archive.plan import make_plan
from serving.archive.pool import Setup, Worker
from serving.archive.run import Job, grade
from serving.archive.study import Asked
from tests.serving.archive.conftest import silent

UNKNOWN_FIELD = b"\xc0\x3e\x01"


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return Setup(
        STARTER, tmp_path_factory.mktemp("parts"), "digest", Asked(), Session(threads=1).sha256, programs(), Execution()
    )


def test_a_node_with_another_network_reads_nothing(setup):
    with pytest.raises(ValueError, match=r"another network .* than the run was begun with"):
        Worker(replace(setup, sha256="0" * 64))


@pytest.mark.parametrize("name", ["hipsono", "python-gdcm", "onnxruntime"])
def test_a_node_with_other_programs_reads_nothing(setup, name):
    with pytest.raises(ValueError, match=rf"\({name} .*, not 0.0.1\): install the same"):
        Worker(replace(setup, programs=setup.programs | {name: "0.0.1"}))


def test_a_network_promoted_during_the_run_stops_it(run, tmp_path, monkeypatch):
    archive, _ = run
    model = shutil.copy(STARTER, tmp_path / "served.onnx")

    def plan_and_promote(archive, heard):
        model.write_bytes(model.read_bytes() + UNKNOWN_FIELD)
        return make_plan(archive, heard)

    monkeypatch.setattr("serving.archive.run.make_plan", plan_and_promote)
    with pytest.raises(ValueError, match="put that one there and --resume"):
        grade(Job(archive, tmp_path / "new", model=model, workers=1), silent)
    assert list((tmp_path / "new" / "parts").glob("[!.]*")) == []


def test_another_decoder_begins_afresh(run, monkeypatch):
    versions = serving.archive.note.metadata.version
    monkeypatch.setattr(
        "serving.archive.note.metadata.version", lambda name: "0.0.1" if name == "python-gdcm" else versions(name)
    )
    heard = []
    archive, out = run
    with pytest.raises(ValueError, match="python-gdcm"):
        grade(Job(archive, out, workers=1, resume=True), heard.append)
    assert any("everything is read afresh" in line for line in heard)
