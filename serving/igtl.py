"""OpenIGTLink: an IMAGE in, the annotated IMAGE, its landmarks as POINT and its Reading as STRING out.

So 3D Slicer and PLUS connect: `hipsono igtl --connect` goes to a PLUS server or to Slicer, `--listen` waits for one.
The newest image of each device wins, and the next is taken once the peer has its answer.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyigtl
from numpy.typing import NDArray

from datasets.files import FrameOptions, UnreadableFile
from datasets.picture import check_size, grey_if_colourless
from model.anatomy import structure
from model.frame import MAX_SPACING_MM, Frame, Spacing, whole_frame
from model.reading import Reader, Reading
from serving.bodies import cine_body, encode_reading
from serving.cines import RunningCine
from serving.labels import Places
from serving.overlay import draw_overlay
from serving.wire import Peer, PeerLeft, Wire, wires

OVERLAY, POINTS, READING = "hipsono_overlay", "hipsono_points", "hipsono_reading"
SOURCE: Final = "openigtlink"
_STRING_BYTES: Final = 65_535
_FAR_MM: Final = 1e6
_WHITE: Final = (255, 255, 255, 255)

Matrix = NDArray[np.float64]


def parse_peer(connect: str | None, listen: int | None, host: str) -> Peer:
    """One of HOST:PORT to call and a port to wait on. Raises ValueError for both, none, or a wrong address."""
    if (connect is None) == (listen is None):
        raise ValueError("give --connect HOST:PORT or --listen PORT, one of them")
    if connect is None:
        return Peer(host, listen or 0, listen=True)
    name, _, port = connect.rpartition(":")
    if not name or not port.isdecimal():
        raise ValueError(f"--connect is HOST:PORT, such as 127.0.0.1:18944; got {connect!r}")
    return Peer(name.strip("[]"), int(port))


def link(peer: Peer, reader: Reader, known: FrameOptions) -> Iterator[Reading]:
    """Answers every newest image of the peer, for as long as it is iterated; yields what was told.

    A peer that leaves is waited for, or called again. Raises OSError where the address cannot be listened on. An image
    that cannot be read is passed over, with its reason on stderr.
    """
    for wire in wires(peer):
        with wire:
            try:
                yield from _answered(wire, reader, known)
            except PeerLeft as ending:
                sys.stderr.write(f"hipsono: the peer {ending}\n")


def _answered(wire: Wire, reader: Reader, known: FrameOptions) -> Iterator[Reading]:
    """One connection's readings: each device's frames are a cine of their own."""
    cines: dict[str, RunningCine] = {}
    places: dict[str, Places] = {}
    images = (message for message in wire.images() if message.device_name != OVERLAY)
    for count, message in enumerate(images):
        try:
            frame = known.apply(frame_of_image(message))
            cine = cines.setdefault(message.device_name, RunningCine(reader))
            reading = cine.read(frame, count, time.perf_counter())
            told = answers(message, frame, reading, cine, places.setdefault(message.device_name, {}))
        except UnreadableFile as error:
            sys.stderr.write(f"hipsono: {error}\n")
            continue
        except Exception as error:  # whatever one image stumbles over, the next is answered
            told_of = f"{type(error).__name__} while reading image {count}, which is passed over: {error}"
            sys.stderr.write(f"hipsono: {told_of}\n")
            continue
        for answer in told:
            wire.send(answer)
        yield reading


def frame_of_image(message: pyigtl.ImageMessage) -> Frame:
    """The first slice of an image message. Raises UnreadableFile for other pixels than 8 bits, grey, RGB or RGBA.

    Its scale is the matrix'; that of an identity matrix is no scale, since it is what uncalibrated senders give.
    """
    pixels = np.asarray(message.image)
    flat = pixels[0] if pixels.ndim >= 3 and len(pixels) else pixels
    if flat.dtype != np.uint8 or flat.ndim not in (2, 3) or (flat.ndim == 3 and flat.shape[2] not in (1, 3, 4)):
        told = f"an image of 8 bits, grey or RGB, was expected, got {flat.dtype} of shape {pixels.shape}"
        raise UnreadableFile(message.device_name, told, "let the sender convert it")
    check_size(message.device_name, flat.shape[1], flat.shape[0])
    grey = flat[..., 0] if flat.ndim == 3 and flat.shape[2] == 1 else flat
    picture = np.ascontiguousarray(grey if grey.ndim == 2 else grey_if_colourless(np.ascontiguousarray(grey[..., :3])))
    matrix = np.asarray(message.ijk_to_world_matrix, np.float64)
    if not np.abs(matrix).max() < _FAR_MM:
        raise UnreadableFile(message.device_name, "its matrix places it nowhere", "let the sender give one in mm")
    spacing = _spacing_of(matrix)
    regions = whole_frame(flat.shape[1], flat.shape[0], spacing) if spacing else ()
    return Frame(picture, regions, SOURCE if spacing else None, message.device_name)


def answers(
    message: pyigtl.ImageMessage, frame: Frame, reading: Reading, cine: RunningCine, before: Places | None = None
) -> tuple[pyigtl.messages.MessageBase, ...]:
    """Overlay, points and Reading, in the image's own world and with its time; `before` is that of `draw_overlay`."""
    matrix = np.asarray(message.ijk_to_world_matrix, np.float64)
    world, at = message.world_coordinate_system, message.timestamp
    overlay = pyigtl.ImageMessage(draw_overlay(frame, reading, before)[None], matrix, world, at, OVERLAY)
    told = encode_reading(reading, cine=cine_body(cine.grade))
    if not told.isascii():  # pyigtl packs nothing else; JSON can tell all of it so
        told = json.dumps(json.loads(told)).encode()
    text = told.decode() if len(told) <= _STRING_BYTES else '{"detail": "the reading is too long for a STRING message"}'
    out = (overlay, pyigtl.StringMessage(text, at, READING))
    if not reading.landmarks:
        return out
    names = [point.name for point in reading.landmarks]
    places = [world_of(matrix, point.x, point.y) for point in reading.landmarks]
    colours = [_colour_of(name) for name in names]
    points = pyigtl.PointMessage(places, names, colours, timestamp=at, device_name=POINTS)
    return (*out, points)


def world_of(matrix: Matrix, x: float, y: float) -> tuple[float, float, float]:
    """A picture's point in the world of its image, mm."""
    place = matrix @ [x, y, 0.0, 1.0]
    return float(place[0]), float(place[1]), float(place[2])


def _colour_of(landmark: str) -> tuple[int, int, int, int]:
    try:
        return (*structure(landmark).colour, 255)
    except KeyError:
        return _WHITE


def _spacing_of(matrix: Matrix) -> Spacing | None:
    column, row = (float(np.linalg.norm(matrix[:3, k])) for k in (0, 1))
    told = 0 < row <= MAX_SPACING_MM and 0 < column <= MAX_SPACING_MM
    return (row, column) if told and (row, column) != (1.0, 1.0) else None
