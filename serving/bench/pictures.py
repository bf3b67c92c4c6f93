"""Phantoms as a workstation would send them, and as the network takes them."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.files import decode_picture
from datasets.phantom.generate import phantom
from model.anatomy import HIP_VIEWS
from model.preprocess import find_sector, letterbox
from model.spec import NetworkSpec

SIZE: Final = (960, 720)
COUNT: Final = 6
_SEED: Final = 3_100_000


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """JPEG files of SIZE, and the same letterboxed to the network's input."""

    jpegs: tuple[bytes, ...]
    inputs: tuple[NDArray[np.uint8], ...]

    def jpeg(self, k: int) -> bytes:
        return self.jpegs[k % len(self.jpegs)]

    def input(self, k: int) -> NDArray[np.uint8]:
        return self.inputs[k % len(self.inputs)]


def pictures(spec: NetworkSpec) -> Pictures:
    """Two frames of each hip view."""
    jpegs = tuple(_jpeg(k) for k in range(COUNT))
    return Pictures(jpegs, tuple(_input(data, spec) for data in jpegs))


def _jpeg(k: int) -> bytes:
    sample = phantom(_SEED + k, HIP_VIEWS[k % len(HIP_VIEWS)])
    grey = cv2.resize(sample.frame.grey, SIZE, interpolation=cv2.INTER_LINEAR)
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def _input(data: bytes, spec: NetworkSpec) -> NDArray[np.uint8]:
    frame = decode_picture(data)
    return letterbox(frame, find_sector(frame), spec.input_height, spec.input_width)[0]
