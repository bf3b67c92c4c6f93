"""LitServe: lit.py PORT MODEL."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import litserve
from fastapi import UploadFile

from serving.bench.peers.task import Network


class Hip(litserve.LitAPI):  # type: ignore[misc]
    """The network behind LitServe's three steps."""

    def setup(self, device: str) -> None:
        """Loads it, once a worker."""
        del device
        self.network = Network(sys.argv[2])

    def decode_request(self, request: UploadFile) -> bytes:
        """The form's field `request` is the picture."""
        return request.file.read()

    def predict(self, data: bytes) -> dict[str, Any]:
        """A picture's answer."""
        return self.network.read(data)


if __name__ == "__main__":
    server = litserve.LitServer(Hip(enable_async=False), accelerator="cpu")
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
