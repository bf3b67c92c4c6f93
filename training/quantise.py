"""A float ONNX file -> INT8: static, per channel, convolutions only, calibrated on the run's own frames.

What decides confidences (heads, decoding, temperatures) stays in float.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from model.runtime import Session
from model.spec import INPUT_NAME, METADATA_KEY

FRAMES: Final = 100
"""Calibration frames: the range of every activation over them."""


class _Frames(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: Iterator[NDArray[np.uint8]]) -> None:
        self._pictures = pictures

    def get_next(self) -> dict[str, Any] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {INPUT_NAME: picture[None]}


def quantise(source: Path, pictures: Iterator[NDArray[np.uint8]], out: Path) -> None:
    """Writes the INT8 file of a network; `pictures` are letterboxed inputs (H, W) uint8. Its name tells what it is.

    A second network, for strips along the neck, stays as it is.
    """
    spec = Session(source).spec
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        prepared, partial = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        convolutions = [node.name for node in onnx.load(str(prepared)).graph.node if node.op_type == "Conv"]
        quantize_static(
            str(prepared),
            str(partial),
            _Frames(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=convolutions,
        )
        graph = onnx.load(str(partial))
        held = {one.key: one.value for one in onnx.load(str(source)).metadata_props}
        named = {METADATA_KEY: replace(spec, name=f"{spec.name}-int8").to_json()}
        del graph.metadata_props[:]
        onnx.helper.set_model_props(graph, held | named)
        onnx.save(graph, str(partial))
        Session(partial)
        partial.replace(out)
