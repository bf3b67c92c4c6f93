"""DICOM by C-STORE: what arrives is on disk before it is answered, then read, one after the other.

OUT/<SOP instance UID>.jsonl holds a Reading a line and the cine's summary last. Results as DICOM objects go to
OUT/results, or through OUT/outbox to a peer. What waits to be read is in OUT/inbox, over restarts too. An instance
without a picture that can be read is refused with the standard's status and its reason in the comment, and not kept.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
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
from datasets.dicom_header import read_header
from datasets.inputs import Why
from datasets.whole import to_disk, write_whole
from model.cine import CineGrade
from model.frame import Frame
from model.reading import Reader
from serving.archive.plan import ULTRASOUND, make_plan
from serving.archive.results import FileResults, Result
from serving.bodies import cine_body, encode_reading
from serving.outbox import Outbox
from serving.spool import Spool, say

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
CANNOT_UNDERSTAND: Final = 0xC000
_COMMENT_CHARS: Final = 64
_BEGUN: Final = {".dcm": ".once", ".once": ".twice"}
"""How a waiting file is called while it is read: what is found so at a start, the process ended over or during."""


class _StoppedError(Exception):
    """The receiver was stopped while an instance was read: it is read anew at the next start."""


class Receiver:
    """Takes instances, and reads them in the order they came; what is not ours to read is taken and left.

    `results` are made of each instance and put into `outbox`, or into OUT/results without one.
    """

    def __init__(
        self, reader: Reader, out: Path, results: frozenset[Result] = frozenset(), outbox: Outbox | None = None
    ) -> None:
        self._reader, self._out, self._lock = reader, out, Lock()
        self._results, self._outbox = results, outbox
        self._inbox = Spool(out / "inbox", self._read_waiting)
        for unanswered in self._inbox.folder.glob("*.arrived"):
            unanswered.unlink()

    def start(self) -> None:
        """Begins to read, with what an earlier run left."""
        self._inbox.start()

    def stop(self) -> None:
        """Ends after the frame at hand; an instance that is not read to its end waits for the next start."""
        self._inbox.stop()

    def take(self, data: bytes, uid: str) -> str:
        """Takes a DICOM file's bytes, to be read into OUT/<uid>.jsonl; they are on disk when this returns.

        Gives why they are not to be read, empty where they are. Raises ValueError for what holds no picture that can
        be read, OSError where it cannot be kept.
        """
        path = self._inbox.folder / f"{uid}.dcm"
        arrived = path.with_suffix(".arrived")
        with self._lock:
            try:
                arrived.write_bytes(data)
                to_disk(arrived)
                reason = _not_ours(arrived)
                if not reason:
                    arrived.replace(path)
                    to_disk(path.parent)
            finally:
                arrived.unlink(missing_ok=True)
        self._inbox.wake()
        return reason

    def _read_waiting(self) -> None:
        waiting = [path for path in self._inbox.folder.iterdir() if path.suffix in (*_BEGUN, *_BEGUN.values())]
        for path in sorted(waiting, key=lambda one: (one.stat().st_mtime_ns, one.name)):
            if self._inbox.is_stopped:
                return
            self._read_next(path)

    def _read_next(self, path: Path) -> None:
        if path.suffix not in _BEGUN:
            self._inbox.set_aside(path, "hipsono has ended twice while it was read")
            return
        waited = path
        path = path.replace(path.with_suffix(_BEGUN[path.suffix]))
        try:
            count = self._read(path)
        except _StoppedError:
            path.replace(waited)
        except OSError as error:
            path.replace(path.with_suffix(".dcm"))
            say(f"{path.stem} waits: {error}")
        except Exception as error:  # one poisoned instance keeps no other from being read
            self._inbox.set_aside(path, f"{type(error).__name__}: {error}")
        else:
            sys.stdout.write(f"{path.stem} {count} frames\n")
            sys.stdout.flush()
            path.unlink()

    def _read(self, path: Path) -> int:
        """Everything that comes of an instance is made before any of it is written; gives the number of frames.

        A result that cannot be made costs neither the reading nor other results, and is told as a warning.
        """
        uid, lines = path.stem, []
        cine, results = CineGrade(), FileResults(self._results)
        frames = self._until_stopped(read_dicom(path, uid).frames())
        for seq, (_, reading) in enumerate(results.read(frames, self._reader)):
            cine = cine.seen(reading.solar.gsus, seq)
            lines.append(encode_reading(reading, seq=seq, cine=cine_body(cine)))
        made = results.build(path, self._reader.model)
        for problem in made.problems:
            say(f"{uid}: {problem}")
        told = {"sop_instance_uid": uid, "frames": len(lines), "cine": cine_body(cine), "warnings": made.problems}
        for _, result in made.objects:
            self._hand_out(result)
        write_whole(self._out / f"{uid}.jsonl", b"\n".join([*lines, orjson.dumps({"summary": told})]) + b"\n")
        return len(lines)

    def _until_stopped(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self._inbox.is_stopped:
                raise _StoppedError
            yield frame

    def _hand_out(self, result: Dataset) -> None:
        if self._outbox is not None:
            self._outbox.put(result)
            return
        folder = self._out / "results"
        folder.mkdir(exist_ok=True)
        result.save_as(folder / f"{result.SOPInstanceUID}.dcm", enforce_file_format=True)


def serve_until_stopped(receiver: Receiver, address: tuple[str, int], aet: str) -> None:
    """Listens until interrupted or terminated, and reads what comes. Raises OSError where the port is taken."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    receiver.start()
    try:
        with suppress(KeyboardInterrupt):
            entity(aet).start_server(address, block=True, evt_handlers=[(evt.EVT_C_STORE, partial(store, receiver))])
        say("stopped: what waits is read at the next start")
    finally:
        receiver.stop()


def entity(aet: str) -> AE:
    """An application entity that takes every kind of storage we have a decoder for, and answers C-ECHO."""
    ae = AE(ae_title=aet)
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), [str(syntax) for syntax in DECODERS])
    return ae


def store(receiver: Receiver, event: evt.Event) -> Dataset | int:
    """What happens on C-STORE: the instance is taken, or refused with the reason."""
    uid = UID(str(getattr(event.request, "AffectedSOPInstanceUID", "")))
    if not uid.is_valid:
        return _refusal(uid, CANNOT_UNDERSTAND, "the SOP instance UID is none")
    try:
        reason = receiver.take(event.encoded_dataset(), str(uid))
    except OSError as error:
        return _refusal(uid, OUT_OF_RESOURCES, f"it cannot be kept: {error}")
    except Exception as error:  # pydicom raises many kinds on what is no DICOM
        return _refusal(uid, CANNOT_UNDERSTAND, str(error))
    if reason:
        say(f"{uid} is not read: {reason}")
    return SUCCESS


def _not_ours(path: Path) -> str:
    """Why a file is not for us, by the rule for archives; empty where it is. Raises ValueError for a broken one."""
    failures = make_plan(path).failures
    if not failures or failures[0].why is Why.NOT_ULTRASOUND:
        return failures[0].reason if failures else ""
    modality = str(read_header(path).get("Modality") or "")
    if modality in ULTRASOUND:
        raise ValueError(failures[0].reason)
    return f"its modality is {modality}"


def _refusal(uid: str, code: int, reason: str) -> Dataset:
    say(f"{uid} is refused: {reason}")
    status = Dataset()
    status.Status = code
    status.ErrorComment = reason[:_COMMENT_CHARS]
    return status
