"""Networks beside one another: the same loop, the same data, the same minutes; one table.

python -m training.comparison peers --data data/starter --exam data/tune --minutes 20 -o runs/peers
python -m training.comparison trade --data data/starter --exam data/tune --minutes 20 -o runs/trade
python -m training.comparison amount --data data/starter --exam data/tune --foreign tests/yardstick -o runs/amount
python -m training.comparison ablation --data data/anatomy --exam data/tune --foreign tests/yardstick \\
    --weights runs/starter --extra data/real/regional-train -o runs/ablation
python -m training.comparison formation --data data/both --one-renderer data/focused --exam data/tune \\
    --foreign tests/yardstick --minutes 20 -o runs/formation

`peers`: ours and the field's usual ones, structures only. `trade`: ours by encoder and input size, all heads.
`amount`: ours by number of phantoms and by time. `ablation`: the last stage's parts, each left out once.
`formation`: how pictures are formed and evened out: one renderer instead of both, greys normalised otherwise.
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
from torch import Tensor, nn

from model.anatomy import STRUCTURE_NAMES
from training.device import channels_last, keep_freed_memory, precision
from training.exam import Exam, Heads, examine_heads, examine_structures, named, open_exam
from training.feed import Example, plain_batches
from training.loop import train
from training.networks import NORMALISED, PEERS, build_network
from training.recipe import LossWeights, Recipe, load_recipe
from training.run_folder import RECIPE, Sources, hold_recipe, load_run, read_recipe

_STARTER: Final = Path(__file__).parent / "recipes" / "starter.toml"
_LAST: Final = Path(__file__).parent / "recipes" / "anatomy.toml"
_SMALL_PX: Final = 192
"""Input size where minutes hold most steps."""
_OF_EACH: Final = 2700
"""What is learnt from of 3,000 phantoms, as many as there are of one renderer."""
_TRIED: Final = 6
_EPOCHS: Final = 8
TABLES: Final = ("peers", "trade", "amount", "ablation", "formation")
_STRUCTURES_ONLY: Final = LossWeights(landmarks=0, presence=0, view=0, gsus=0)


@dataclass(frozen=True, slots=True)
class Row:
    """A network after its minutes: mean Dice over structures and by structure, onnxruntime's median ms, file size.

    `frames` is 0 where all were learnt from. Landmark error (the median over all that the frames show) in mm; it, view
    and grade (exact, and quadratic weighted kappa) are None where only structures were learnt; `foreign` is mean Dice
    on another simulator's frames, None without any.
    """

    name: str
    input_px: int
    frames: int
    steps: int
    minutes: float
    dice: float
    by_structure: dict[str, float]
    landmark_mm: float | None
    view: float | None
    gsus_exact: float | None
    gsus_kappa: float | None
    foreign: float | None
    foreign_by_structure: dict[str, float]
    foreign_landmark_mm: float | None
    foreign_view: float | None
    ms: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is trained, for which share of the comparison's minutes, with or without other sets' frames, on phantoms of
    both renderers or of one.
    """

    recipe: Recipe
    share: float = 1.0
    name: str = ""
    extras: bool = True
    both: bool = True

    @property
    def folder(self) -> str:
        """Its run's name."""
        recipe = self.recipe
        return f"{self.name or recipe.network}-{recipe.input_px}px-{recipe.frames or 'all'}-{self.share:g}"


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to learn from; `one_renderer` are the phantoms of `sources.data` by one renderer alone."""

    sources: Sources
    one_renderer: Path | None = None

    def of(self, candidate: Candidate) -> Sources:
        """A candidate's part of it. Raises ValueError where one renderer's phantoms are not there."""
        extra = self.sources.extra if candidate.extras else ()
        if candidate.both:
            return replace(self.sources, extra=extra)
        if self.one_renderer is None:
            raise ValueError("a row learns from one renderer's phantoms alone: name them with --one-renderer")
        return replace(self.sources, data=self.one_renderer, extra=extra)


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
        refined = tuple(Candidate(replace(recipe, network="hipnet-refined", input_px=px)) for px in (256, 288))
        encoders = ("hipnet-small", "hipnet-lite0", "hipnet-b0")
        return sizes + refined + tuple(Candidate(replace(recipe, network=name)) for name in encoders)
    if table == "amount":
        small = replace(recipe, input_px=_SMALL_PX)
        fewer = tuple(Candidate(replace(small, frames=frames)) for frames in (300, 1000, 3000))
        return (*fewer, *(Candidate(small, share) for share in (0.25, 0.5, 1.0)))
    if table == "ablation":
        return _ablation(load_recipe(_LAST))
    if table == "formation":
        small = replace(recipe, input_px=_SMALL_PX, frames=_OF_EACH)
        others = (Candidate(replace(small, network=name)) for name in NORMALISED)
        return (Candidate(small, name="whole"), Candidate(small, name="one-renderer", both=False), *others)
    raise ValueError(f"a table is {', '.join(TABLES)}, got {table!r}")


def _ablation(whole: Recipe) -> tuple[Candidate, ...]:
    """The whole recipe, then without the frames of other sets, then with each of its parts left out."""
    parts = ("veil_share", "style_share", "bend_share", "fade_share")
    without = (Candidate(replace(whole, **{part: 0.0}), name=f"no-{part.split('_')[0]}") for part in parts)  # type: ignore[arg-type]
    return (Candidate(whole, name="whole"), Candidate(whole, name="no-real", extras=False), *without)


def compare(
    trials: tuple[Candidate, ...], material: Material, exams: Exams, minutes: float, out: Path
) -> tuple[Row, ...]:
    """Trains every network for its time and measures it on sets none has seen; writes table.json and table.md.

    Each network is timed once at each size, all before the first is trained: what it may learn in its minutes must not
    depend on what else the machine does later. A comparison cut short goes on where it stopped. Raises ValueError
    where a row's phantoms are not there.
    """
    taught = [(trial, material.of(trial)) for trial in trials]
    taken_s: dict[tuple[str, int], float] = {}
    for trial in trials:
        run, kind = out / trial.folder, (_timed_as(trial.recipe.network), trial.recipe.input_px)
        if not (run / RECIPE).exists():
            if kind not in taken_s:
                taken_s[kind] = _step_s(trial.recipe, open_exam(exams.own, trial.recipe.input_px).examples)
            run.mkdir(parents=True, exist_ok=True)
            hold_recipe(_fitted(trial.recipe, 60 * minutes * trial.share / taken_s[kind]), run)
    rows: list[Row] = []
    for trial, sources in taught:
        run, px = out / trial.folder, trial.recipe.input_px
        train(read_recipe(run), sources, run, resume=True)
        foreign = None if exams.foreign is None else open_exam(exams.foreign, px)
        rows.append(replace(_measure(run, open_exam(exams.own, px), foreign), name=trial.name or trial.recipe.network))
        _write(tuple(rows), out)
    return tuple(rows)


def _timed_as(network: str) -> str:
    """How greys are evened out takes next to no time, and must give no row other steps than the rest."""
    return "hipnet" if network in NORMALISED else network


def _fitted(recipe: Recipe, steps: float) -> Recipe:
    """The recipe with so many batches, in equal epochs."""
    return replace(recipe, epochs=_EPOCHS, steps=max(int(steps) // _EPOCHS, 1), minutes=0)


def _step_s(recipe: Recipe, examples: tuple[Example, ...]) -> float:
    """Median seconds of a batch, as the loop runs them."""
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
    return float(np.median(taken[1:]))


def _measure(run: Path, own: Exam, foreign: Exam | None) -> Row:
    recipe, network = load_run(run)
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    dice = examine_structures(network, own)
    there = np.zeros(0) if foreign is None else examine_structures(network, foreign)
    ms, megabytes = _served(network, recipe)
    whole = recipe.losses != _STRUCTURES_ONLY
    heads = examine_heads(network, own) if whole else Heads()
    abroad = examine_heads(network, foreign) if whole and foreign else Heads()
    return Row(
        name=recipe.network,
        input_px=recipe.input_px,
        frames=recipe.frames,
        steps=recipe.steps * recipe.epochs,
        minutes=round(history[-1]["minutes"], 1),
        dice=round(float(np.nanmean(dice)), 4),
        by_structure=named(dice),
        landmark_mm=heads.landmark_mm,
        view=heads.view,
        gsus_exact=heads.gsus_exact,
        gsus_kappa=heads.gsus_kappa,
        foreign=None if foreign is None else round(float(np.nanmean(there)), 4),
        foreign_by_structure={} if foreign is None else named(there),
        foreign_landmark_mm=abroad.landmark_mm,
        foreign_view=abroad.view,
        ms=round(ms, 2),
        megabytes=round(megabytes, 2),
    )


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
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--one-renderer", type=Path, help="the phantoms of --data by one renderer, for `formation`")
    parser.add_argument("--weights", type=Path, help="a run that all go on from")
    parser.add_argument("--extra", type=Path, action="append", default=[], help="a further set to learn from")
    parser.add_argument("--exam", type=Path, required=True)
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    if told.table == "ablation" and not told.extra:
        parser.error("an ablation leaves out the frames of other sets: name them with --extra")
    exams = Exams(told.exam, told.foreign)
    material = Material(Sources(told.data, tuple(told.extra), told.weights), told.one_renderer)
    try:
        compare(candidates(told.table), material, exams, told.minutes, told.out)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write((told.out / "table.md").read_text())


if __name__ == "__main__":
    main()
