"""The outbox against a real peer: one that takes, warns, refuses, is away and comes back."""

import time
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RawDataStorage, SecondaryCaptureImageStorage, generate_uid

pynetdicom = pytest.importorskip("pynetdicom", reason="C-STORE: install the extra with  pip install -e '.[link]'")

from serving import outbox as outbox_module  # noqa: E402
from serving.outbox import Outbox, Peer  # noqa: E402
from tests.flow.conftest import free_port  # noqa: E402
from tests.waiting import until  # noqa: E402

AET = "PACS"


def result(kind=SecondaryCaptureImageStorage):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = kind, generate_uid()
    made.PatientName = "Phantom"
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = kind, made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def uid_in(event):
    return str(event.request.AffectedSOPInstanceUID)


@contextmanager
def peer(port, answer=lambda event: 0x0000):
    """A storage that tells the UIDs it was sent and how often it was called."""
    came, calls = [], []

    def store(event):
        came.append(uid_in(event))
        return answer(event)

    entity = pynetdicom.AE(ae_title=AET)
    entity.add_supported_context(SecondaryCaptureImageStorage)
    events = pynetdicom.evt
    handlers = [(events.EVT_C_STORE, store), (events.EVT_ACCEPTED, lambda _: calls.append(1))]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield came, calls
    finally:
        server.shutdown()


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def outbox(tmp_path, port):
    box = Outbox(tmp_path / "outbox", Peer(AET, "127.0.0.1", port), "HIPSONO", retry_s=0.2)
    yield box
    box.stop()


def waiting(box):
    return sorted(path.stem for path in box.folder.glob("*.dcm"))


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007])
def test_what_was_stored_is_gone_with_a_warning_too(outbox, port, status):
    put = [outbox.put(result()).stem for _ in range(3)]
    with peer(port, lambda _: status) as (came, _):
        outbox.start()
        until(lambda: not waiting(outbox))
        time.sleep(0.5)
        assert sorted(came) == sorted(put)


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0x0122])
def test_what_is_refused_waits_and_holds_nothing_up(outbox, port, status):
    refused, other = sorted(outbox.put(result()).stem for _ in range(2))
    is_full = [True]
    with peer(port, lambda event: status if uid_in(event) == refused and is_full[0] else 0x0000) as (came, _):
        outbox.start()
        until(lambda: came.count(refused) > 1)
        assert waiting(outbox) == [refused]
        is_full[0] = False
        until(lambda: not waiting(outbox))
        assert came.count(other) == 1


def test_a_peer_that_was_away_gets_all_when_it_is_back(outbox, port, capfd):
    outbox.start()
    put = [outbox.put(result()).stem for _ in range(2)]
    until(lambda: "does not answer" in capfd.readouterr().err)
    assert waiting(outbox) == sorted(put)
    with peer(port) as (came, _):
        until(lambda: not waiting(outbox))
        assert sorted(came) == sorted(put)
    later = outbox.put(result()).stem
    with peer(port) as (came, _):
        until(lambda: came == [later])


def test_a_broken_file_is_set_aside_and_the_others_go(outbox, port, capfd):
    (outbox.folder / "0.dcm").touch()
    (outbox.folder / "1.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"no data set" * 9)
    nameless = result()
    del nameless.SOPClassUID
    nameless.save_as(outbox.folder / "2.dcm", enforce_file_format=True)
    put = outbox.put(result()).stem
    with peer(port) as (came, _):
        outbox.start()
        until(lambda: not waiting(outbox))
        assert came == [put]
        broken = outbox.folder / "broken"
        assert sorted(path.name for path in broken.iterdir()) == [f"{n}.{end}" for n in "012" for end in ("dcm", "txt")]
        assert "2.dcm" in capfd.readouterr().err
        assert "SOPClassUID" in (broken / "2.txt").read_text()


def test_a_class_that_the_peer_does_not_take_waits(outbox, port, capfd):
    raw, other = (outbox.put(result(kind)).stem for kind in (RawDataStorage, SecondaryCaptureImageStorage))
    with peer(port) as (came, _):
        outbox.start()
        until(lambda: waiting(outbox) == [raw])
        until(lambda: "Raw Data" in capfd.readouterr().err)
        assert came == [other]


def test_many_go_in_batches_and_what_is_refused_first_starves_no_other(outbox, port):
    uids = sorted(outbox.put(result()).stem for _ in range(70))
    with peer(port, lambda event: 0xA700 if uid_in(event) in uids[:32] else 0x0000) as (came, calls):
        outbox.start()
        until(lambda: waiting(outbox) == uids[:32])
        assert set(came) == set(uids)
        assert len(calls) >= 3


def test_an_object_that_ends_every_association_keeps_no_other_waiting(outbox, port, monkeypatch):
    monkeypatch.setattr(outbox_module, "_TIMEOUT_S", 2.0)
    poisoned, *others = sorted(outbox.put(result()).stem for _ in range(4))

    def answer(event):
        if uid_in(event) == poisoned:
            event.assoc.abort()
            return 0xA700
        return 0x0000

    with peer(port, answer) as (came, _):
        outbox.start()
        until(lambda: waiting(outbox) == [poisoned])
        assert set(others) <= set(came)
