"""FastAPI with torch, nothing else: the bench's peer that serves a network without exporting it. PORT RUN.

RUN is a run folder, or `-` for a network that was never trained: it takes as long.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from model.network.hipnet import HipNet
from training.run_folder import load_run

SIDE = 256
app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    """Up."""
    return {"status": "ok"}


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    """A picture in, the network's answer out."""
    return await run_in_threadpool(read, await request.body())


def read(data: bytes) -> dict[str, Any]:
    """A picture's answer."""
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    picture = cv2.resize(np.asarray(grey), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        told = network(torch.from_numpy(picture).float()[None, None])
    labels = told.structures[0].argmax(dim=0).byte().numpy()
    outlines = {}
    for k in np.unique(labels)[1:]:
        parts, _ = cv2.findContours((labels == k).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines[int(k)] = [part[:, 0].tolist() for part in parts]
    return {"view": told.view[0].softmax(dim=0).tolist(), "gsus": told.gsus[0].tolist(), "outlines": outlines}


if __name__ == "__main__":
    network = (HipNet() if sys.argv[2] == "-" else load_run(Path(sys.argv[2]))[1]).eval()
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
