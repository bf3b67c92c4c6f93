"""DICOM objects on their way to another system: kept on disk until it has taken them, over restarts too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.status import STATUS_SUCCESS, STATUS_WARNING, code_to_category

from datasets.dicom_header import read_header
from datasets.whole import unfinished
from serving.spool import RETRY_S, Spool, say

_BATCH: Final = 32
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity that stores: AET@HOST:PORT."""

    aet: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Raises ValueError for what is no AET@HOST:PORT."""
        aet, at, address = text.partition("@")
        host, colon, port = address.rpartition(":")
        if not (aet and at and host and colon and port.isdigit() and len(aet) <= 16):
            raise ValueError(f"a peer is AET@HOST:PORT, such as PACS@10.0.0.5:104; got {text!r}")
        return cls(aet, host, int(port))


class Outbox:
    """A folder that is emptied into a peer by C-STORE; what is refused or cannot be delivered is tried again.

    What is no object that could ever be sent is set aside in the folder's `broken`.
    """

    def __init__(self, folder: Path, peer: Peer, calling_aet: str, retry_s: float = RETRY_S) -> None:
        self.folder, self._peer, self._calling_aet = folder, peer, calling_aet
        self._spool = Spool(folder, self._empty, retry_s)
        self._held: set[Path] = set()

    def start(self) -> None:
        """Begins with what an earlier run left."""
        self._spool.start()

    def put(self, result: Dataset) -> Path:
        """Takes an object; it is on disk when this returns."""
        path = self.folder / f"{result.SOPInstanceUID}.dcm"
        with unfinished(path) as partial:
            result.save_as(partial, enforce_file_format=True)
        self._spool.wake()
        return path

    def stop(self) -> None:
        """Ends after the objects at hand."""
        self._spool.stop()

    def _empty(self) -> None:
        """One round; what went last time and was not taken goes last, so that it keeps nothing else waiting."""
        waiting = sorted(self.folder.glob("*.dcm"), key=lambda path: (path in self._held, path))
        self._held.intersection_update(waiting)
        for start in range(0, len(waiting), _BATCH):
            kinds = {path: kind for path in waiting[start : start + _BATCH] if (kind := self._kind_of(path))}
            if self._spool.is_stopped or (kinds and not self._deliver(kinds)):
                return

    def _kind_of(self, path: Path) -> UID | None:
        """An object's SOP class by its header; None where it cannot be told."""
        try:
            header = read_header(path)
            if "SOPInstanceUID" not in header or not header.file_meta.TransferSyntaxUID:
                raise AttributeError("it has no SOPInstanceUID or TransferSyntaxUID")
            return UID(header.SOPClassUID)
        except OSError as error:
            say(f"{path.name} waits: {error}")
        except Exception as error:  # pydicom raises many kinds on what is no DICOM
            self._spool.set_aside(path, f"no DICOM object that can be sent: {error}")
        return None

    def _deliver(self, kinds: dict[Path, UID]) -> bool:
        """Sends what it can over one association; a path is gone once its object was taken. False for a peer away."""
        entity = AE(ae_title=self._calling_aet)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        for kind in sorted(set(kinds.values())):
            entity.add_requested_context(kind)
        peer = self._peer
        association = entity.associate(peer.host, peer.port, ae_title=peer.aet)
        if not association.is_established:
            say(f"{peer.aet} at {peer.host}:{peer.port} does not answer: results wait in {self.folder}")
            return False
        try:
            taken = {context.abstract_syntax for context in association.accepted_contexts}
            for path, kind in kinds.items():
                if kind not in taken:
                    say(f"{path.name} waits: {peer.aet} takes no {kind.name}")
                elif not self._send(association, path):
                    return False
            return True
        finally:
            association.release()

    def _send(self, association: Association, path: Path) -> bool:
        """Sends one; False where the peer has gone meanwhile."""
        self._held.add(path)
        try:
            status = association.send_c_store(pydicom.dcmread(path))
        except (OSError, RuntimeError) as error:
            say(f"{path.name} waits: {error}")
            return association.is_established
        except Exception as error:  # it was read and a context fits: what cannot be encoded now never will be
            self._spool.set_aside(path, f"it cannot be sent: {error}")
            return association.is_established
        told = None if "Status" not in status else int(status.Status)
        if told is not None and code_to_category(told) in (STATUS_SUCCESS, STATUS_WARNING):
            path.unlink(missing_ok=True)
        else:
            answer = "no answer" if told is None else f"status {told:04X} {status.get('ErrorComment') or ''}".strip()
            say(f"{path.name} was refused ({answer}): it waits")
        return told is not None and association.is_established
