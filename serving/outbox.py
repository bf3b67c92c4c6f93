"""DICOM objects on their way to another system: kept on disk until it has taken them, over restarts too."""

import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE

from datasets.whole import unfinished

SUCCESS: Final = 0x0000
_RETRY_S: Final = 20.0
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
    """A folder that is emptied into a peer by C-STORE; what is refused or cannot be delivered is tried again."""

    def __init__(self, folder: Path, peer: Peer, calling_aet: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._peer, self._calling_aet = folder, peer, calling_aet
        self._news, self._stopped = Event(), Event()
        self._thread = Thread(target=self._empty_until_stopped, name="outbox", daemon=True)

    def start(self) -> None:
        """Begins with what an earlier run left."""
        self._thread.start()

    def put(self, result: Dataset) -> Path:
        """Takes an object; it is on disk when this returns."""
        path = self.folder / f"{result.SOPInstanceUID}.dcm"
        with unfinished(path) as partial:
            result.save_as(partial, enforce_file_format=True)
        self._news.set()
        return path

    def stop(self) -> None:
        """Ends after the object at hand."""
        self._stopped.set()
        self._news.set()
        self._thread.join(timeout=_TIMEOUT_S)

    def _empty_until_stopped(self) -> None:
        while not self._stopped.is_set():
            waiting = sorted(self.folder.glob("*.dcm"))
            if waiting:
                self._deliver(waiting)
            self._news.wait(_RETRY_S)
            self._news.clear()

    def _deliver(self, paths: list[Path]) -> None:
        """Sends what it can over one association; a path is gone once its object was taken."""
        results = [(path, pydicom.dcmread(path)) for path in paths]
        entity = AE(ae_title=self._calling_aet)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        for sop_class in {str(result.SOPClassUID) for _, result in results}:
            entity.add_requested_context(sop_class)
        peer = self._peer
        association = entity.associate(peer.host, peer.port, ae_title=peer.aet)
        if not association.is_established:
            _say(f"{peer.aet} at {peer.host}:{peer.port} does not answer: {len(paths)} results wait in {self.folder}")
            return
        try:
            for path, result in results:
                self._send(association, path, result)
        finally:
            association.release()

    def _send(self, association: object, path: Path, result: Dataset) -> None:
        try:
            status = association.send_c_store(result)  # type: ignore[attr-defined]
        except (ValueError, RuntimeError) as error:
            _say(f"{path.name} waits: {error}")
            return
        if status and status.Status == SUCCESS:
            path.unlink()
        else:
            told = getattr(status, "Status", None)
            _say(f"{path.name} was refused ({'no answer' if told is None else f'status {told:04X}'}): it waits")


def _say(text: str) -> None:
    sys.stderr.write(f"hipsono: {text}\n")
    sys.stderr.flush()
