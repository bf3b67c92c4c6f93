"""Our network beside the field's usual ones: the same loop, the same data, the same minutes; one table.

python -m training.peers --data data/starter --exam data/tune --minutes 20 -o runs/peers
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from monai.metrics.meandice import DiceMetric
from torch import Tensor, nn

from datasets.store import open_store
from model.anatomy import STRUCTURE_NAMES
from model.network.hipnet import CLASSES
from training.feed import Example, load_examples, plain_batches
from training.loop import train
from training.networks import OURS, PEERS, build_network
from training.recipe import LossWeights, Recipe, load_recipe
from training.run_folder import RECIPE, Sources, load_run, read_recipe

_STARTER: Final = Path(__file__).parent / "recipes" / "starter.toml"
_TRIED: Final = 6
_EPOCHS: Final = 8
_STRUCTURES_ONLY: Final = LossWeights(landmarks=0, presence=0, view=0, gsus=0)


@dataclass(frozen=True, slots=True)
class Row:
    """A network after its minutes: mean Dice over structures and by structure, onnxruntime's median ms, file size."""

    network: str
    steps: int
    minutes: float
    dice: float
    by_structure: dict[str, float]
    ms: float
    megabytes: float


def compare(sources: Sources, exam: Path, minutes: float, out: Path) -> tuple[Row, ...]:
    """Trains every network for the same time and measures it on a set none has seen; writes peers.json and peers.md."""
    recipe = load_recipe(_STARTER)
    store = open_store(exam)
    examples = load_examples(store, tuple(range(len(store))), recipe.input_px)
    rows = []
    for name in (OURS, *PEERS):
        begun = (out / name / RECIPE).exists()
        wanted = replace(recipe, network=name, losses=_STRUCTURES_ONLY)
        fitted = read_recipe(out / name) if begun else _fitted(wanted, examples, minutes)
        train(fitted, sources, out / name, resume=True)
        rows.append(_measure(out / name, examples))
        _write(tuple(rows), out)
    return tuple(rows)


def _fitted(recipe: Recipe, examples: tuple[Example, ...], minutes: float) -> Recipe:
    """The recipe with as many batches as the minutes hold, by timing a few, in equal epochs."""
    network = build_network(recipe.network).train()
    batches = [batch for batch, _ in zip(plain_batches(examples, recipe.batch_size), range(_TRIED), strict=False)]
    taken = []
    for batch in batches:
        started = time.perf_counter()
        network(batch.pictures).structures.square().mean().backward()
        taken.append(time.perf_counter() - started)
    steps = int(60 * minutes / float(np.median(taken[1:])))
    return replace(recipe, epochs=_EPOCHS, steps=max(steps // _EPOCHS, 1), minutes=0)


def _measure(run: Path, examples: tuple[Example, ...]) -> Row:
    recipe, network = load_run(run)
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    dice = _dice(network, examples)
    ms, megabytes = _served(network, recipe)
    return Row(
        recipe.network,
        recipe.steps * recipe.epochs,
        round(history[-1]["minutes"], 1),
        round(float(np.nanmean(dice)), 4),
        {name: round(float(value), 4) for name, value in zip(STRUCTURE_NAMES, dice, strict=True)},
        round(ms, 2),
        round(megabytes, 2),
    )


def _dice(network: nn.Module, examples: tuple[Example, ...]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Mean Dice of each structure over the frames that show it, in network pixels at half size."""
    metric = DiceMetric(include_background=False, num_classes=CLASSES, ignore_empty=True)
    with torch.no_grad():
        for batch in plain_batches(examples, 16):
            told = network(batch.pictures).structures.argmax(dim=1, keepdim=True)
            metric(told, batch.target.shares[:, :CLASSES].argmax(dim=1, keepdim=True))
    return np.asarray(torch.nanmean(metric.get_buffer(), dim=0).double().numpy())  # type: ignore[no-untyped-call]


class _Structures(nn.Module):
    """The structures alone: what is timed of every network alike."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor) -> Tensor:
        told: Tensor = self.network(frame.unsqueeze(1).to(torch.float32)).structures
        return told.argmax(dim=1).to(torch.uint8)


def _served(network: nn.Module, recipe: Recipe) -> tuple[float, float]:
    """Median ms of a frame through onnxruntime on all cores, and the file's size in MB."""
    frame = torch.zeros(1, recipe.input_px, recipe.input_px, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.onnx"
        torch.onnx.export(_Structures(network).eval(), (frame,), str(path), opset_version=18, dynamo=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        taken = []
        for _ in range(40):
            started = time.perf_counter()
            session.run(None, {name: frame.numpy()})
            taken.append(1e3 * (time.perf_counter() - started))
        return float(np.median(taken[5:])), path.stat().st_size / 1e6


def _write(rows: tuple[Row, ...], out: Path) -> None:
    (out / "peers.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    names = ("network", "steps", "minutes", "mean Dice", *STRUCTURE_NAMES, "ms", "MB")
    cells = [
        (r.network, r.steps, r.minutes, *(f"{v:.3f}" for v in (r.dice, *r.by_structure.values())), r.ms, r.megabytes)
        for r in rows
    ]
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (names, ("---",) * len(names), *cells)]
    (out / "peers.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--exam", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    compare(Sources(told.data), told.exam, told.minutes, told.out)
    sys.stdout.write((told.out / "peers.md").read_text())


if __name__ == "__main__":
    main()
