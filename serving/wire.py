"""OpenIGTLink's connections: one peer at a time, called or waited for, again whenever it has left.

pyigtl packs and unpacks the messages. Its own sockets end with their first connection, give a send 10 ms, and listen on
network cards only.
"""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Final, Self

import pyigtl

from datasets.picture import MAX_PIXELS, UnreadableFile
from serving.address import listening

_STALL_S: Final = 5.0
"""How long a peer may stop in the middle of a message, or take nothing of ours."""
_PAUSE_S: Final = 1.0
_HEADER_BYTES: Final = 58
_MAX_BYTES: Final = 4 * MAX_PIXELS
_MAX_DEVICES: Final = 16
"""What is remembered of each device lasts as long as its connection."""
_PIECE_BYTES: Final = 1 << 20
_VERSIONS: Final = (1, 2)
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""After these seconds a peer that vanished without a word is taken for gone; not every system can be told so."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where the other end is. `listen`: wait for it on this address instead of calling it."""

    host: str
    port: int
    listen: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"a port is 1 to 65535, 18944 is usual; got {self.port}")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class PeerLeft(Exception):  # noqa: N818 - what happened, not an error of ours
    """The connection has ended; its text says how."""


class Wire:
    """One connection. A thread of its own takes every message off it, and keeps the newest image of each device."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(_STALL_S)
        with suppress(OSError):  # some systems refuse where the peer has left already
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                if hasattr(socket, name):
                    connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._socket = connected
        self._news = Condition()
        self._newest: dict[str, tuple[dict[str, Any], bytearray]] = {}
        self._ending = ""
        Thread(target=self._take, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the peer has left before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def images(self) -> Iterator[pyigtl.ImageMessage]:
        """The newest image of each device in turn, as they come. Raises PeerLeft.

        One that cannot be unpacked is passed over, with its reason on stderr.
        """
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest or self._ending)
                if not self._newest:
                    raise PeerLeft(self._ending)
                fields, body = self._newest.pop(next(iter(self._newest)))
            try:
                yield _image_of(fields, body)
            except UnreadableFile as error:
                sys.stderr.write(f"hipsono: {error}\n")

    def send(self, message: pyigtl.messages.MessageBase) -> None:
        """Returns once the whole message is on its way: nothing waits in a queue. Raises PeerLeft."""
        left = memoryview(message.pack())
        try:
            while left:
                left = left[self._socket.send(left) :]
        except TimeoutError as error:
            raise PeerLeft(f"has taken nothing of an answer for {_STALL_S:.0f} s") from error
        except OSError as error:
            raise PeerLeft("has left") from error

    def _take(self) -> None:
        ending, devices = "has left", set()
        try:
            while True:
                fields = _fields_of(self._received(_HEADER_BYTES, may_wait=True))
                if fields["message_type"] == "IMAGE":
                    devices.add(fields["device_name"])
                    if len(devices) > _MAX_DEVICES:
                        raise PeerLeft(f"sends images under more than {_MAX_DEVICES} names: let devices keep theirs")
                    body = self._received(fields["body_size"])
                    with self._news:
                        self._newest[fields["device_name"]] = (fields, body)
                        self._news.notify()
                else:
                    for start in range(0, fields["body_size"], _PIECE_BYTES):
                        self._received(min(_PIECE_BYTES, fields["body_size"] - start))
        except PeerLeft as left:
            ending = str(left)
        except OSError:
            pass
        finally:
            self._end(ending)

    def _received(self, count: int, *, may_wait: bool = False) -> bytearray:
        """Exactly `count` bytes; `may_wait`: the first may take for ever."""
        buffer = bytearray(count)
        left = memoryview(buffer)
        while left:
            waits = may_wait and len(left) == count
            try:
                came = self._socket.recv_into(left)
            except TimeoutError as error:
                if waits:
                    continue
                raise PeerLeft("stopped in the middle of a message") from error
            if not came:
                raise PeerLeft("has left" if waits else "has left in the middle of a message")
            left = left[came:]
        return buffer

    def _end(self, ending: str) -> None:
        with self._news:
            self._ending = ending
            self._news.notify()


def wires(peer: Peer) -> Iterator[Wire]:
    """Each connection with the peer, one after another, for as long as they are asked for.

    Raises OSError where the address cannot be listened on.
    """
    return _accepted(peer) if peer.listen else _called(peer)


def _accepted(peer: Peer) -> Iterator[Wire]:
    with listening(peer.host, peer.port) as server:
        while True:
            connected, address = server.accept()
            sys.stderr.write(f"hipsono: {address[0]} has come\n")
            yield Wire(connected)


def _called(peer: Peer) -> Iterator[Wire]:
    told = ""
    while True:
        try:
            connected = socket.create_connection((peer.host, peer.port), timeout=_STALL_S)
        except OSError as error:
            if told != str(error):
                told = str(error)
                sys.stderr.write(f"hipsono: {peer} cannot be reached ({error}); it is called again every second\n")
        else:
            told = ""
            sys.stderr.write(f"hipsono: {peer} has answered\n")
            yield Wire(connected)
        time.sleep(_PAUSE_S)


def _fields_of(header: bytearray) -> dict[str, Any]:
    """A header's fields. Raises PeerLeft for what is none: where the next would begin cannot be known."""
    try:
        fields: dict[str, Any] = pyigtl.messages.MessageBase.parse_header(header)
    except ValueError as error:
        raise PeerLeft("sends what is no OpenIGTLink") from error
    if fields["header_version"] not in _VERSIONS or fields["body_size"] > _MAX_BYTES:
        raise PeerLeft("sends what is no OpenIGTLink, or a message that is too long")
    return fields


def _image_of(fields: dict[str, Any], body: bytearray) -> pyigtl.ImageMessage:
    message = pyigtl.ImageMessage()
    try:
        message.unpack(fields, body)
    except Exception as error:  # pyigtl checks nothing of what it unpacks: any may come of a wrong body
        told = f"an IMAGE was expected, got {len(body)} bytes that are none ({type(error).__name__}: {error})"
        raise UnreadableFile(fields["device_name"], told, "let the sender send whole images") from error
    return message
