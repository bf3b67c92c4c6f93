"""Networks beside one another: the same loop, the same data, the same minutes; one table.

python -m training.comparison peers --data data/starter --exam data/tune --minutes 20 -o runs/peers
python -m training.comparison trade --data data/starter --exam data/tune --minutes 20 -o runs/trade
python -m training.comparison amount --data data/starter --exam data/tune --foreign tests/yardstick -o runs/amount
python -m training.comparison ablation --data data/anatomy --exam data/tune --foreign tests/yardstick \\
    --weights runs/starter --extra data/real/regional-train -o runs/ablation

`peers`: ours and the field's usual ones, structures only. `trade`: ours by encoder and input size, all heads.
`amount`: ours by number of phantoms and by time. `ablation`: the last stage's parts, each left out once.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
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
from training.device import channels_last, keep_freed_memory, precision
from training.feed import Example, load_examples, plain_batches
from training.loop import train, validate
from training.networks import PEERS, build_network
from training.recipe import LossWeights, Recipe, load_recipe
from training.run_folder import RECIPE, Sources, hold_recipe, load_run, read_recipe

_STARTER: Final = Path(__file__).parent / "recipes" / "starter.toml"
_LAST: Final = Path(__file__).parent / "recipes" / "anatomy.toml"
_TRIED: Final = 6
_EPOCHS: Final = 8
_STRUCTURES_ONLY: Final = LossWeights(landmarks=0, presence=0, view=0, gsus=0)


@dataclass(frozen=True, slots=True)
class Row:
    """A network after its minutes: mean Dice over structures and by structure, onnxruntime's median ms, file size.

    `frames` is 0 where all were learnt from. Landmark error in shares of the picture's side; it, view and grade are
    None where only structures were learnt; `foreign` is mean Dice on another simulator's frames, None without any.
    """

    name: str
    input_px: int
    frames: int
    steps: int
    minutes: float
    dice: float
    by_structure: dict[str, float]
    landmark: float | None
    view: float | None
    gsus: float | None
    foreign: float | None
    foreign_by_structure: dict[str, float]
    foreign_landmark: float | None
    foreign_view: float | None
    ms: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is trained, for which share of the comparison's minutes, with which of the extra sets."""

    recipe: Recipe
    share: float = 1.0
    name: str = ""
    extras: bool = True

    @property
    def folder(self) -> str:
        """Its run's name."""
        recipe = self.recipe
        return f"{self.name or recipe.network}-{recipe.input_px}px-{recipe.frames or 'all'}-{self.share:g}"


@dataclass(frozen=True, slots=True)
class Exams:
    """Data sets that no candidate has seen: the simulator's own frames, and another's where there are any."""

    own: Path
    foreign: Path | None = None


def candidates(table: str) -> tuple[Candidate, ...]:
    """The rows of a table. Raises ValueError for an unknown one."""
    recipe = load_recipe(_STARTER)
    if table == "peers":
        networks = ("hipnet", *PEERS)
        return tuple(Candidate(replace(recipe, network=name, losses=_STRUCTURES_ONLY)) for name in networks)
    if table == "trade":
        sizes = tuple(Candidate(replace(recipe, input_px=px)) for px in (192, 256, 320, 384))
        return sizes + tuple(Candidate(replace(recipe, network=name)) for name in ("hipnet-small", "hipnet-b0"))
    if table == "amount":
        fewer = tuple(Candidate(replace(recipe, frames=frames)) for frames in (300, 1000, 3000))
        return (*fewer, *(Candidate(recipe, share) for share in (0.25, 0.5, 1.0)))
    if table == "ablation":
        return _ablation(load_recipe(_LAST))
    raise ValueError(f"a table is peers, trade, amount or ablation, got {table!r}")


def _ablation(whole: Recipe) -> tuple[Candidate, ...]:
    """The whole recipe, then without the frames of other sets, then with each of its parts left out."""
    parts = ("veil_share", "style_share", "bend_share", "fade_share")
    without = (Candidate(replace(whole, **{part: 0.0}), name=f"no-{part.split('_')[0]}") for part in parts)  # type: ignore[arg-type]
    return (Candidate(whole, name="whole"), Candidate(whole, name="no-real", extras=False), *without)


def compare(
    trials: tuple[Candidate, ...], sources: Sources, exams: Exams, minutes: float, out: Path
) -> tuple[Row, ...]:
    """Trains every network for its time and measures it on sets none has seen; writes table.json and table.md.

    All are timed before the first is trained, one after another: what a network may learn in its minutes must not
    depend on what else the machine does hours later. A comparison cut short goes on where it stopped.
    """
    for trial in trials:
        run = out / trial.folder
        if not (run / RECIPE).exists():
            run.mkdir(parents=True, exist_ok=True)
            hold_recipe(_fitted(trial.recipe, _whole(exams.own, trial.recipe.input_px), minutes * trial.share), run)
    rows: list[Row] = []
    for trial in trials:
        run, px = out / trial.folder, trial.recipe.input_px
        train(read_recipe(run), sources if trial.extras else replace(sources, extra=()), run, resume=True)
        own, foreign = _whole(exams.own, px), () if exams.foreign is None else _whole(exams.foreign, px)
        rows.append(replace(_measure(run, own, foreign), name=trial.name or trial.recipe.network))
        _write(tuple(rows), out)
    return tuple(rows)


def _whole(folder: Path, size_px: int) -> tuple[Example, ...]:
    store = open_store(folder)
    return load_examples(store, tuple(range(len(store))), size_px)


def _fitted(recipe: Recipe, examples: tuple[Example, ...], minutes: float) -> Recipe:
    """The recipe with as many batches as the minutes hold, by timing a few as the loop runs them, in equal epochs."""
    keep_freed_memory()
    place = torch.device("cpu")
    network = build_network(recipe.network).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = [batch for batch, _ in zip(plain_batches(examples, recipe.batch_size), range(_TRIED), strict=False)]
    taken = []
    for batch in batches:
        started = time.perf_counter()
        with precision(place):
            told = network(channels_last(batch.pictures)).structures
        told.float().square().mean().backward()
        taken.append(time.perf_counter() - started)
    steps = int(60 * minutes / float(np.median(taken[1:])))
    return replace(recipe, epochs=_EPOCHS, steps=max(steps // _EPOCHS, 1), minutes=0)


def _measure(run: Path, examples: tuple[Example, ...], foreign: tuple[Example, ...]) -> Row:
    recipe, network = load_run(run)
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    dice = _dice(network, examples)
    there = _dice(network, foreign) if foreign else np.zeros(0)
    ms, megabytes = _served(network, recipe)
    whole = recipe.losses != _STRUCTURES_ONLY
    figures = validate(network, examples, recipe, torch.device("cpu")) if whole else None
    abroad = validate(network, foreign, recipe, torch.device("cpu")) if whole and foreign else None
    return Row(
        name=recipe.network,
        input_px=recipe.input_px,
        frames=recipe.frames,
        steps=recipe.steps * recipe.epochs,
        minutes=round(history[-1]["minutes"], 1),
        dice=round(float(np.nanmean(dice)), 4),
        by_structure=_named(dice),
        landmark=None if figures is None else round(figures.landmark_px / recipe.input_px, 5),
        view=None if figures is None else round(figures.view_accuracy, 4),
        gsus=None if figures is None else round(figures.gsus_exact, 4),
        foreign=round(float(np.nanmean(there)), 4) if foreign else None,
        foreign_by_structure=_named(there) if foreign else {},
        foreign_landmark=None if abroad is None else round(abroad.landmark_px / recipe.input_px, 5),
        foreign_view=None if abroad is None else round(abroad.view_accuracy, 4),
        ms=round(ms, 2),
        megabytes=round(megabytes, 2),
    )


def _named(dice: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(STRUCTURE_NAMES, dice, strict=True)}


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
    names = (*(field.name for field in fields(Row) if "by_structure" not in field.name), *STRUCTURE_NAMES)
    cells = [[{**asdict(row), **row.by_structure}[name] for name in names] for row in rows]
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (names, ("---",) * len(names), *cells)]
    (out / "table.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("peers", "trade", "amount", "ablation"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="a run that all go on from")
    parser.add_argument("--extra", type=Path, action="append", default=[], help="a further set to learn from")
    parser.add_argument("--exam", type=Path, required=True)
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    exams = Exams(told.exam, told.foreign)
    sources = Sources(told.data, tuple(told.extra), told.weights)
    compare(candidates(told.table), sources, exams, told.minutes, told.out)
    sys.stdout.write((told.out / "table.md").read_text())


if __name__ == "__main__":
    main()
