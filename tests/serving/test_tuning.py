"""A choice is kept, taken where it was measured, and gives way to what an operator sets."""

import json

import pytest

from model.runtime import STARTER, Provider
from serving import tuning
from serving.bench import tune
from serving.settings import Settings
from serving.tuning import Choice, choice_of, measured_on, open_session, store_choice


@pytest.fixture
def settings(tmp_path):
    return Settings(tuned=tmp_path / "below" / "tuned.json")


def test_without_a_stored_choice_the_defaults_hold(settings):
    assert choice_of(settings) == Choice()


def test_a_stored_choice_is_taken_and_what_is_set_goes_before_it(settings):
    store_choice(Choice(Provider.CPU, 3, 5), settings.model, settings.tuned)
    assert choice_of(settings) == Choice(Provider.CPU, 3, 5)
    assert choice_of(settings.model_copy(update={"workers": 1})) == Choice(Provider.CPU, 3, 1)


def test_sessions_are_opened_as_was_tuned(settings):
    store_choice(Choice(Provider.DIRECTML, 1, 1), settings.model, settings.tuned)
    with pytest.raises(ValueError, match="directml cannot run"):
        open_session(settings)
    assert open_session(settings.model_copy(update={"provider": Provider.CPU})).provider is Provider.CPU


def test_several_at_once_are_prepared_only_where_they_are_asked_for(settings, monkeypatch):
    opened = []
    monkeypatch.setattr(tuning, "Session", lambda *told: opened.append(told))
    open_session(settings)
    open_session(settings, Choice(threads=3, workers=4))
    assert [(threads, several) for _, threads, _, several in opened] == [(Choice().threads, False), (3, True)]


def test_a_provider_that_cannot_run_is_told_and_left_out_of_the_tuning(settings, monkeypatch):
    monkeypatch.setattr(tune, "_RUNS", 6)
    monkeypatch.setattr(tune, "_SECONDS", 0.1)
    monkeypatch.setattr(tune, "available", lambda: (Provider.DIRECTML, Provider.CPU))
    heard = []
    assert tune.tune(settings, heard.append).provider is Provider.CPU
    assert any("directml cannot run" in line for line in heard)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"provider": "cpu"}', '{"provider": "abacus", "threads": 1, "workers": 1}']
)
def test_a_broken_choice_is_told_and_not_used(settings, text, caplog):
    settings.tuned.parent.mkdir()
    settings.tuned.write_text(text)
    assert choice_of(settings) == Choice()
    assert "hipsono bench --tune" in caplog.text


def test_a_choice_of_another_machine_is_told_and_not_used(settings, caplog):
    store_choice(Choice(Provider.CPU, 3, 5), settings.model, settings.tuned)
    told = json.loads(settings.tuned.read_text())
    settings.tuned.write_text(json.dumps(told | {"measured_on": "an abacus"}))
    assert choice_of(settings) == Choice()
    assert "an abacus" in caplog.text


def test_a_choice_is_of_one_network(tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"other")
    assert measured_on(other) != measured_on(STARTER)
    with pytest.raises(FileNotFoundError, match="hipsono export"):
        measured_on(tmp_path / "none.onnx")


def test_what_is_measured_best_is_kept(settings, monkeypatch):
    monkeypatch.setattr(tune, "_RUNS", 6)
    monkeypatch.setattr(tune, "_SECONDS", 0.2)
    monkeypatch.setenv("HIPSONO_TUNED", str(settings.tuned))
    heard = []
    told = tune.keep_best(Settings(), heard.append)
    kept = choice_of(settings)
    assert str(settings.tuned) in told
    assert f"{kept.threads} threads, {kept.workers} frames at once" in told
    assert any("frames/s read" in line for line in heard)


def test_more_threads_are_tried_by_doubling():
    assert tune._doubling(1) == (1,)
    assert tune._doubling(6) == (1, 2, 4, 6)
