"""FastAPI, nothing else: plain.py PORT MODEL with onnxruntime, plain.py PORT MODEL torch with the network in torch."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from serving.bench.peers.task import Network, TorchNetwork

app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    """Up."""
    return {"status": "ok"}


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    """A picture in, the network's answer out."""
    return await run_in_threadpool(network.read, await request.body())


if __name__ == "__main__":
    network = (TorchNetwork if "torch" in sys.argv[3:] else Network)(sys.argv[2])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
