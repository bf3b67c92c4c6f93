"""C-STORE taken: what is ours to read is on disk before it is answered, read later, and never read back."""

import json
from threading import Event
from types import SimpleNamespace

import pydicom
import pytest

from datasets.dicom import read_dicom
from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from model.reading import Reader
from model.runtime import STARTER, Session

pynetdicom = pytest.importorskip("pynetdicom", reason="C-STORE: install the extra with  pip install -e '.[link]'")

from serving import listen  # noqa: E402
from serving.archive import results as results_module  # noqa: E402
from serving.archive.results import Result  # noqa: E402
from serving.listen import Receiver, entity, store  # noqa: E402
from tests import known_hips  # noqa: E402
from tests.waiting import PATIENCE_S, until  # noqa: E402

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000


@pytest.fixture(scope="module")
def reader():
    return Reader(Session(STARTER, threads=1))


@pytest.fixture(scope="module")
def hip(tmp_path_factory):
    """A cine of two frames as a file."""
    path = tmp_path_factory.mktemp("hip") / "hip.dcm"
    write_dicom(list(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 2)), path)
    return path


@pytest.fixture
def receiver(reader, tmp_path):
    made = Receiver(reader, tmp_path / "out", frozenset(Result))
    yield made
    made.stop()


def uid_of(path):
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def stored(receiver, data, uid):
    """The status that a C-STORE is answered with."""
    request = SimpleNamespace(AffectedSOPInstanceUID=uid)
    status = store(receiver, SimpleNamespace(request=request, encoded_dataset=lambda: data))
    return status if isinstance(status, int) else status.Status


def lines(out):
    return [json.loads(line) for path in sorted(out.glob("*.jsonl")) for line in path.read_text().splitlines()]


def waiting(out):
    return [path.name for path in (out / "inbox").iterdir()]


def test_it_is_on_disk_when_it_is_answered_and_read_when_there_is_time(receiver, hip, tmp_path, capsys):
    out, uid = tmp_path / "out", uid_of(hip)
    assert stored(receiver, hip.read_bytes(), uid) == SUCCESS
    assert waiting(out) == [f"{uid}.dcm"]
    assert not lines(out)
    receiver.start()
    until(lambda: not waiting(out))
    *readings, last = lines(out)
    assert [one["frame"]["index"] for one in readings] == [0, 1]
    assert last["summary"]["sop_instance_uid"] == uid
    assert last["summary"]["warnings"] == []
    assert len(list((out / "results").iterdir())) == 3
    assert f"{uid} 2 frames" in capsys.readouterr().out


def test_a_long_cine_keeps_no_sender_waiting(receiver, hip, tmp_path, monkeypatch):
    go_on = Event()
    monkeypatch.setattr(listen, "read_dicom", lambda *told: go_on.wait(PATIENCE_S) and read_dicom(*told))
    receiver.start()
    assert stored(receiver, hip.read_bytes(), uid_of(hip)) == SUCCESS
    until(lambda: waiting(tmp_path / "out") == [f"{uid_of(hip)}.once"])
    assert stored(receiver, hip.read_bytes(), "1.2.3") == SUCCESS
    assert not lines(tmp_path / "out")
    go_on.set()
    until(lambda: not waiting(tmp_path / "out"))


def test_its_own_results_and_what_is_no_ultrasound_are_answered_and_not_read(receiver, hip, tmp_path, capsys):
    out = tmp_path / "out"
    receiver.start()
    stored(receiver, hip.read_bytes(), uid_of(hip))
    until(lambda: lines(out) and not waiting(out))
    own = sorted((out / "results").iterdir())
    mr = pydicom.dcmread(hip)
    mr.Modality = "MR"
    mr.save_as(tmp_path / "mr.dcm")
    for path in (*own, tmp_path / "mr.dcm"):
        assert stored(receiver, path.read_bytes(), path.stem if path in own else "1.2.3") == SUCCESS
    told = capsys.readouterr().err
    for reason in ("modality is MR", "modality is SEG", "modality is SR", "annotated picture that hipsono made"):
        assert reason in told
    assert not waiting(out)
    assert len(list(out.glob("*.jsonl"))) == 1
    assert sorted((out / "results").iterdir()) == own


def test_what_holds_no_picture_is_refused_and_not_kept(receiver, hip, tmp_path):
    cut = hip.read_bytes()[:-1000]
    assert stored(receiver, cut, "1.2.3") == CANNOT_UNDERSTAND
    assert stored(receiver, b"no DICOM", "1.2.3") == CANNOT_UNDERSTAND
    assert stored(receiver, hip.read_bytes(), "../1.2.3") == CANNOT_UNDERSTAND
    assert not waiting(tmp_path / "out")


def test_what_came_half_before_a_crash_is_not_kept(reader, hip, tmp_path):
    half = tmp_path / "inbox" / "1.2.3.arrived"
    half.parent.mkdir()
    half.write_bytes(hip.read_bytes()[:1000])
    Receiver(reader, tmp_path)
    assert not half.exists()


def test_what_cannot_be_put_on_the_disk_is_left_with_its_sender(receiver, hip, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datasets.whole.os.fsync", full)
    assert stored(receiver, hip.read_bytes(), "1.2.3") == OUT_OF_RESOURCES
    assert not waiting(tmp_path / "out")


@pytest.mark.parametrize("left", ["dcm", "once"])
def test_what_an_earlier_run_left_unread_is_read_at_the_start(receiver, hip, tmp_path, left):
    out = tmp_path / "out"
    (out / "inbox" / f"1.2.3.{left}").write_bytes(hip.read_bytes())
    receiver.start()
    until(lambda: not waiting(out))
    assert lines(out)[-1]["summary"]["frames"] == 2


def test_what_ended_the_process_twice_is_set_aside(receiver, hip, tmp_path):
    out = tmp_path / "out"
    (out / "inbox" / "1.2.3.twice").write_bytes(hip.read_bytes())
    receiver.start()
    until(lambda: waiting(out) == ["broken"])
    assert (out / "inbox" / "broken" / "1.2.3.dcm").read_bytes() == hip.read_bytes()
    assert "twice" in (out / "inbox" / "broken" / "1.2.3.txt").read_text()
    assert not lines(out)


def test_a_result_that_breaks_a_rule_goes_nowhere_and_costs_no_reading(receiver, hip, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(results_module, "sr_faults", lambda *_: ("no row",))
    stored(receiver, hip.read_bytes(), "1.2.3")
    receiver.start()
    until(lambda: not waiting(out))
    *readings, last = lines(out)
    assert len(readings) == 2
    assert last["summary"]["warnings"] == ["no report: it would break a rule: no row"]
    assert len(list((out / "results").iterdir())) == 2


@pytest.mark.parametrize("left", ["dcm", "once"])
def test_to_be_stopped_is_no_crash(reader, hip, tmp_path, monkeypatch, left):
    receiver, out = Receiver(reader, tmp_path / "out"), tmp_path / "out"
    (out / "inbox" / f"1.2.3.{left}").write_bytes(hip.read_bytes())

    begun = Event()

    def slow(path, name):
        def frames():
            for frame in read_dicom(path, name).frames():
                begun.set()
                until(lambda: receiver._inbox.is_stopped)
                yield frame

        return SimpleNamespace(frames=frames)

    monkeypatch.setattr(listen, "read_dicom", slow)
    receiver.start()
    assert begun.wait(PATIENCE_S)
    receiver.stop()
    assert waiting(out) == [f"1.2.3.{left}"]
    assert not lines(out)


def test_what_cannot_be_written_waits(receiver, hip, tmp_path, monkeypatch):
    out, said = tmp_path / "out", []
    monkeypatch.setattr(listen, "say", said.append)
    (out / "results").touch()
    stored(receiver, hip.read_bytes(), "1.2.3")
    receiver.start()
    until(lambda: said)
    assert "1.2.3 waits" in said[0]
    until(lambda: waiting(out) == ["1.2.3.dcm"])
    assert not lines(out)


def test_masks_too_many_to_hold_are_told(receiver, hip, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr(results_module, "MAX_MASK_BYTES", 1)
    stored(receiver, hip.read_bytes(), "1.2.3")
    receiver.start()
    until(lambda: not waiting(out))
    assert "masks" in capsys.readouterr().err
    assert "masks" in lines(out)[-1]["summary"]["warnings"][0]
    assert len(list((out / "results").iterdir())) == 2


def test_over_a_real_association(receiver, hip, tmp_path):
    server = entity("HIPSONO").start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(pynetdicom.evt.EVT_C_STORE, lambda event: store(receiver, event))]
    )
    peer = pynetdicom.AE()
    peer.add_requested_context(pydicom.dcmread(hip).SOPClassUID)
    association = peer.associate(*server.server_address)
    try:
        assert association.send_c_store(pydicom.dcmread(hip)).Status == SUCCESS
    finally:
        association.release()
        server.shutdown()
    assert waiting(tmp_path / "out") == [f"{uid_of(hip)}.dcm"]
