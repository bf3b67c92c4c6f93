"""MONAI Label: python -m monailabel.main start_server --app label --studies FOLDER, with HIPSONO_BENCH_MODEL set.

The bench starts a copy, with this project on PYTHONPATH.
"""

import os
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from serving.bench.peers.task import Network


class Hip(InferTask):  # type: ignore[misc]
    """The network as an inference task."""

    def __init__(self) -> None:
        super().__init__(InferType.SEGMENTATION, None, 2, "hip sonogram")
        self.network = Network(os.environ["HIPSONO_BENCH_MODEL"])

    def is_valid(self) -> bool:
        """There is a network."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[None, dict[str, Any]]:
        """A picture's answer; no label picture is written."""
        return None, self.network.read(Path(request["image"]).read_bytes())


class App(MONAILabelApp):  # type: ignore[misc]
    """The app that MONAI Label looks for."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        super().__init__(app_dir=app_dir, studies=studies, conf=conf, name="hip")

    def init_infers(self) -> dict[str, InferTask]:
        """The one task."""
        return {"hip": Hip()}
