"""BentoML: HIPSONO_BENCH_MODEL=MODEL python -m bentoml serve bento:Hip --port PORT."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import bentoml
from bentoml.validators import ContentType

from serving.bench.peers.task import Network


@bentoml.service
class Hip:
    """The network behind a BentoML service."""

    def __init__(self) -> None:
        self.network = Network(os.environ["HIPSONO_BENCH_MODEL"])

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, picture: Annotated[Path, ContentType("image/jpeg")], /) -> dict[str, Any]:
        """A picture in, the network's answer out."""
        return self.network.read(picture.read_bytes())
