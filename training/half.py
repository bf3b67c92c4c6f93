"""A file's weights in half precision: half its size, the same computing."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from datasets.whole import write_whole

_LARGE: Final = 256
"""Numbers of a tensor that is worth it."""
_LARGEST: Final = float(np.finfo(np.float16).max)
"""A tensor with a larger number stays as it is: in half precision it would be infinite, and the answer no number."""


def keep_in_half(path: Path) -> None:
    """Large weights of an ONNX file as float16, which onnxruntime widens again once, when it opens the file."""
    graph = onnx.load(path)
    for one in graph.graph.initializer:
        name, values = one.name, numpy_helper.to_array(one)
        if values.dtype == np.float32 and values.size >= _LARGE and np.abs(values).max() < _LARGEST:
            one.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            widen = onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
            graph.graph.node.insert(0, widen)
    onnx.checker.check_model(graph)
    write_whole(path, graph.SerializeToString())
