"""What every peer does with a picture; only the server around it differs."""

from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray


def decoded(data: bytes, side: int) -> NDArray[np.uint8]:
    """A JPEG as the network's input (1, side, side): the whole picture, squeezed."""
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(cv2.resize(np.asarray(grey), (side, side), interpolation=cv2.INTER_AREA), np.uint8)[None]


def told(outputs: list[NDArray[Any]]) -> dict[str, Any]:
    """The network's answer as plain values."""
    labels, structures, landmarks, view, gsus = outputs
    outlines = {}
    for k in np.unique(labels[0])[1:]:
        parts, _ = cv2.findContours((labels[0] == k).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines[int(k)] = [part[:, 0].tolist() for part in parts]
    rest = {"structures": structures, "landmarks": landmarks, "view": view, "gsus": gsus}
    return {name: value[0].tolist() for name, value in rest.items()} | {"outlines": outlines}


def side_of(session: onnxruntime.InferenceSession) -> int:
    """The side of the network's square input, in pixels."""
    return int(session.get_inputs()[0].shape[-1])


class Network:
    """The ONNX file with onnxruntime's own defaults."""

    def __init__(self, path: str) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._side = side_of(self._session)

    def read(self, data: bytes) -> dict[str, Any]:
        """A picture's answer."""
        names = ["labels", "structures", "landmarks", "view", "gsus"]
        return told(self._session.run(names, {"frame": decoded(data, self._side)}))


class TorchNetwork:
    """The same network before its export, with weights that were never trained: it takes as long.

    Its modules are asked for by name, since serving does without torch; only this program has it.
    """

    def __init__(self, path: str) -> None:
        self._torch = import_module("torch")
        spec = import_module("model.runtime").Session(Path(path)).spec
        self._side = spec.input_width
        network = import_module("training.networks").build_network(spec.network)
        self._network = import_module("model.network.served").ServedNetwork(network, spec.temperatures).eval()

    def read(self, data: bytes) -> dict[str, Any]:
        """A picture's answer."""
        with self._torch.inference_mode():
            return told([output.numpy() for output in self._network(self._torch.from_numpy(decoded(data, self._side)))])
