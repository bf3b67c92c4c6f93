"""DICOM by C-STORE: each instance is read as it arrives, and its Readings are written beside one another.

OUT/<SOP instance UID>.jsonl holds a Reading a line and the cine's summary last. Results as DICOM objects go to
OUT/results, or through OUT/outbox to a peer. An instance without a picture that can be read is refused
with the standard's status and its reason in the comment; nothing else of it is kept.
"""

import sys
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

import orjson
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from datasets.dicom import DECODERS, read_dicom
from datasets.picture import UnreadableFile
from datasets.whole import write_whole
from model.reading import Reader
from serving.archive.results import FileResults, Result
from serving.bodies import cine_body, encode_reading
from serving.cines import RunningCine
from serving.outbox import Outbox

SUCCESS: Final = 0x0000
CANNOT_UNDERSTAND: Final = 0xC000
_COMMENT_CHARS: Final = 64


class Receiver:
    """Reads instances and writes their readings; one at a time, in the order they come.

    `results` are made of each instance and put into `outbox`, or into OUT/results without one.
    """

    def __init__(
        self, reader: Reader, out: Path, results: frozenset[Result] = frozenset(), outbox: Outbox | None = None
    ) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._reader, self._out, self._lock = reader, out, Lock()
        self._results, self._outbox = results, outbox

    def take(self, data: bytes, uid: str) -> int:
        """Reads a DICOM file's bytes into OUT/<uid>.jsonl; gives the number of frames. Raises UnreadableFile."""
        with self._lock:
            return self._read(data, uid)

    def _read(self, data: bytes, uid: str) -> int:
        lines, cine, results = [], RunningCine(self._reader, steady=False), FileResults(self._results)
        for seq, frame in enumerate(read_dicom(data, uid).frames()):
            reading = cine.read(frame, seq)
            results.see(frame, reading)
            lines.append(encode_reading(reading, seq=seq, cine=cine_body(cine.grade)))
        summary = {"summary": {"sop_instance_uid": uid, "frames": len(lines), "cine": cine_body(cine.grade)}}
        write_whole(self._out / f"{uid}.jsonl", b"\n".join([*lines, orjson.dumps(summary)]) + b"\n")
        for _, result in results.build(data, self._reader.model):
            self._hand_out(result)
        return len(lines)

    def _hand_out(self, result: Dataset) -> None:
        if self._outbox is not None:
            self._outbox.put(result)
            return
        folder = self._out / "results"
        folder.mkdir(exist_ok=True)
        result.save_as(folder / f"{result.SOPInstanceUID}.dcm", enforce_file_format=True)


def serve_until_stopped(receiver: Receiver, address: tuple[str, int], aet: str) -> None:
    """Listens until interrupted. Raises OSError where the port is taken."""
    entity(aet).start_server(address, block=True, evt_handlers=[(evt.EVT_C_STORE, partial(store, receiver))])


def entity(aet: str) -> AE:
    """An application entity that takes every kind of storage we have a decoder for, and answers C-ECHO."""
    ae = AE(ae_title=aet)
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), [str(syntax) for syntax in DECODERS])
    return ae


def store(receiver: Receiver, event: evt.Event) -> Dataset | int:
    """What happens on C-STORE: the instance is read, or refused with the reason."""
    uid = UID(str(getattr(event.request, "AffectedSOPInstanceUID", "")))
    if not uid.is_valid:
        return _refusal(f"SOP instance UID {uid} is none")
    try:
        count = receiver.take(event.encoded_dataset(), str(uid))
    except (UnreadableFile, ValueError) as error:
        sys.stderr.write(f"hipsono: {error}\n")
        return _refusal(str(error))
    sys.stdout.write(f"{uid} {count} frames\n")
    sys.stdout.flush()
    return SUCCESS


def _refusal(reason: str) -> Dataset:
    status = Dataset()
    status.Status = CANNOT_UNDERSTAND
    status.ErrorComment = reason[:_COMMENT_CHARS]
    return status
