"""Networks beside one another: the same loop, the same data, the same minutes; one table.

python -m training.comparison peers --data data/starter --exam data/tune --minutes 20 -o runs/peers
python -m training.comparison trade --data data/starter --exam data/tune --minutes 20 -o runs/trade

`peers`: ours and the field's usual ones, structures only. `trade`: ours by encoder and input size, all heads.
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
from training.loop import train, validate
from training.networks import PEERS, build_network
from training.recipe import LossWeights, Recipe, load_recipe
from training.run_folder import RECIPE, Sources, load_run, read_recipe

_STARTER: Final = Path(__file__).parent / "recipes" / "starter.toml"
_TRIED: Final = 6
_EPOCHS: Final = 8
_STRUCTURES_ONLY: Final = LossWeights(landmarks=0, presence=0, view=0, gsus=0)


@dataclass(frozen=True, slots=True)
class Row:
    """A network after its minutes: mean Dice over structures and by structure, onnxruntime's median ms, file size.

    Landmark error in shares of the picture's side; it, view and grade are None where only structures were learnt.
    """

    network: str
    input_px: int
    steps: int
    minutes: float
    dice: float
    by_structure: dict[str, float]
    landmark: float | None
    view: float | None
    gsus: float | None
    ms: float
    megabytes: float


def candidates(table: str) -> tuple[Recipe, ...]:
    """The recipes of a table. Raises ValueError for an unknown one."""
    recipe = load_recipe(_STARTER)
    if table == "peers":
        return tuple(replace(recipe, network=name, losses=_STRUCTURES_ONLY) for name in ("hipnet", *PEERS))
    if table == "trade":
        sizes = tuple(replace(recipe, input_px=px) for px in (192, 256, 320, 384))
        return sizes + tuple(replace(recipe, network=name) for name in ("hipnet-small", "hipnet-b0"))
    raise ValueError(f"a table is peers or trade, got {table!r}")


def compare(recipes: tuple[Recipe, ...], sources: Sources, exam: Path, minutes: float, out: Path) -> tuple[Row, ...]:
    """Trains every network for the same time and measures it on a set none has seen; writes table.json and table.md."""
    store = open_store(exam)
    rows = []
    for recipe in recipes:
        examples = load_examples(store, tuple(range(len(store))), recipe.input_px)
        run = out / f"{recipe.network}-{recipe.input_px}"
        fitted = read_recipe(run) if (run / RECIPE).exists() else _fitted(recipe, examples, minutes)
        train(fitted, sources, run, resume=True)
        rows.append(_measure(run, examples))
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
    whole = recipe.losses != _STRUCTURES_ONLY
    figures = validate(network, examples, recipe, torch.device("cpu")) if whole else None
    return Row(
        network=recipe.network,
        input_px=recipe.input_px,
        steps=recipe.steps * recipe.epochs,
        minutes=round(history[-1]["minutes"], 1),
        dice=round(float(np.nanmean(dice)), 4),
        by_structure={name: round(float(value), 4) for name, value in zip(STRUCTURE_NAMES, dice, strict=True)},
        landmark=None if figures is None else round(figures.landmark_px / recipe.input_px, 5),
        view=None if figures is None else round(figures.view_accuracy, 4),
        gsus=None if figures is None else round(figures.gsus_exact, 4),
        ms=round(ms, 2),
        megabytes=round(megabytes, 2),
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
    (out / "table.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    plain = ("network", "input_px", "steps", "minutes", "dice", "landmark", "view", "gsus", "ms", "megabytes")
    names = (*plain, *STRUCTURE_NAMES)
    cells = [(*(getattr(row, name) for name in plain), *row.by_structure.values()) for row in rows]
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (names, ("---",) * len(names), *cells)]
    (out / "table.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("peers", "trade"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--exam", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    compare(candidates(told.table), Sources(told.data), told.exam, told.minutes, told.out)
    sys.stdout.write((told.out / "table.md").read_text())


if __name__ == "__main__":
    main()
