"""How EdgeNet learns, readable top to bottom: a run that can be killed and gone on with."""

import json
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from datasets.split import read_split, split_patients, write_split
from datasets.store import open_store
from datasets.whole import write_whole
from model.network.edges import EdgeNet, StripLogits, row_centres, rows_of
from model.network.served import grade_probabilities
from training.capsule.strips import Place, Strips, batches, places, plain_batches
from training.device import channels_last, find_device, keep_freed_memory, precision
from training.losses import ordinal_loss
from training.progress import say
from training.run_folder import BEST, LAST, RECIPE, SOURCES, SPLIT, Sources, open_folder, save_whole

_FRACTIONS: Final = (0.9, 0.05, 0.05)
_BLUR_ROWS: Final = 2.0
_GRADE_WEIGHT: Final = 0.3
_NEAR_WEIGHT: Final = 0.1
"""Beside the likelihood of the true row, the distance of the expected one from it counts by so much a row."""


@dataclass(frozen=True, slots=True)
class CapsuleRecipe:
    """Everything a run depends on but its data."""

    epochs: int
    batch_size: int = 24
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.15
    seed: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs is at least 1 and batch_size at least 2, got {self.epochs} and {self.batch_size}")


@dataclass(frozen=True, slots=True)
class Figures:
    """One epoch: the losses, and of the validation split how many rows of the strip the edges are off in the mean, and
    the share of grades told exactly.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    outer_rows: float
    cortex_rows: float
    gsus_exact: float
    minutes: float


def load_capsule_recipe(path: Path) -> CapsuleRecipe:
    """The recipe in a TOML file. Raises ValueError for unknown keys and impossible values, naming the file."""
    try:
        return CapsuleRecipe(**tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def learn(recipe: CapsuleRecipe, sources: Sources, run: Path, *, resume: bool = False, device: str = "cpu") -> None:
    """Trains an EdgeNet on the longitudinal frames of data sets into a run folder; `resume` goes on where it stopped.

    Extra sets are learnt from whole, the first one is split by patient. Raises ValueError where the folder holds
    another run, or too few frames show a capsule.
    """
    place = find_device(device)
    keep_freed_memory()
    begun = open_folder(run, resume=resume)
    _hold(recipe, sources, run)
    seen, held_back = _seen(recipe, sources, run)
    state = _State(recipe, len(seen) // recipe.batch_size, place)
    if begun:
        state.take_up(run / LAST)
    counts = f"{len(seen)} hips to learn from, {len(held_back)} to validate on"
    say(f"{counts}; epoch {len(state.history)} of {recipe.epochs}")
    while len(state.history) < recipe.epochs:
        state.add(_epoch(state, seen, held_back))
        write_whole(run / "metrics.jsonl", "".join(json.dumps(asdict(one)) + "\n" for one in state.history))
        if state.history[-1].validation_loss <= min(one.validation_loss for one in state.history):
            save_whole({"network": state.network.state_dict()}, run / BEST)
        state.keep(run / LAST)


def load_edges(run: Path) -> EdgeNet:
    """A run's best network. Raises ValueError where the folder holds none."""
    if not (run / BEST).is_file() or not (run / RECIPE).is_file():
        raise ValueError(f"{run} holds no network of a capsule ({BEST}): train one with `hipsono capsule train`")
    network = EdgeNet()
    try:
        network.load_state_dict(torch.load(run / BEST, map_location="cpu", weights_only=True)["network"])
    except RuntimeError as error:
        raise ValueError(f"{run} trained another network than a capsule's: use `hipsono export` for it") from error
    return network.eval()


class _State:
    """What changes while a run goes on; all of it is in last.pt."""

    def __init__(self, recipe: CapsuleRecipe, steps: int, place: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.place = recipe, place
        self.network = EdgeNet().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = OneCycleLR(
            self.optimiser, recipe.learning_rate, recipe.epochs * steps + 1, pct_start=recipe.warmup_share
        )
        self.history: tuple[Figures, ...] = ()

    def add(self, figures: Figures) -> None:
        self.history = (*self.history, figures)
        say(
            f"epoch {figures.epoch + 1}/{self.recipe.epochs}: "
            f"loss {figures.train_loss:.3f} / {figures.validation_loss:.3f}, "
            f"capsule {figures.outer_rows:.2f} and cortex {figures.cortex_rows:.2f} rows off, "
            f"grade {figures.gsus_exact:.3f}, {figures.minutes:.1f} min"
        )

    def keep(self, path: Path) -> None:
        """Writes everything needed to go on, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "optimiser", "schedule")}
        save_whole(parts | {"history": [asdict(one) for one in self.history]}, path)

    def take_up(self, path: Path) -> None:
        """Goes on from what was kept."""
        saved = torch.load(path, map_location=self.place, weights_only=True)
        for name in ("network", "optimiser", "schedule"):
            getattr(self, name).load_state_dict(saved[name])
        self.history = tuple(Figures(**one) for one in saved["history"])


def _epoch(state: _State, seen: tuple[Place, ...], held_back: tuple[Place, ...]) -> Figures:
    recipe, began = state.recipe, time.monotonic()
    torch.manual_seed(recipe.seed * 10_007 + len(state.history))
    state.network.train()
    losses = [_step(state, batch) for batch in batches(seen, recipe.batch_size, (recipe.seed, len(state.history)))]
    validation, off = _validate(state, held_back)
    before = state.history[-1].minutes if state.history else 0.0
    minutes = before + (time.monotonic() - began) / 60
    return Figures(len(state.history), sum(losses) / len(losses), validation, *off, minutes)


def _step(state: _State, batch: Strips) -> float:
    seen = batch.to(state.place)
    with precision(state.place):
        logits = state.network(channels_last(seen.pictures))
    loss = total_loss(logits, seen)
    if not torch.isfinite(loss):
        raise ValueError("the loss is no number: lower learning_rate in the recipe")
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 3.0)
    state.optimiser.step()
    state.schedule.step()
    return float(loss.detach())


def _validate(state: _State, held_back: tuple[Place, ...]) -> tuple[float, tuple[float, float, float]]:
    state.network.eval()
    losses, misses, right = [], [], []
    with torch.no_grad():
        for batch in plain_batches(held_back, state.recipe.batch_size):
            seen = batch.to(state.place)
            logits = state.network(channels_last(seen.pictures))
            losses.append(float(total_loss(logits, seen)) * len(seen.rows))
            misses.append((rows_of(logits.edges)[0] - seen.rows).abs().cpu())
            known = seen.gsus >= 0
            right.append((grade_probabilities(logits.gsus).argmax(dim=1) == seen.gsus)[known].float().cpu())
    off, exact = torch.cat(misses).nanmean(dim=(0, 2)), torch.cat(right)
    grades = float(exact.mean()) if len(exact) else 0.0
    return sum(losses) / len(held_back), (float(off[0]), float(off[1]), grades)


def total_loss(logits: StripLogits, seen: Strips) -> Tensor:
    """Edges and grade."""
    return edge_loss(logits.edges.float(), seen.rows) + _GRADE_WEIGHT * ordinal_loss(logits.gsus.float(), seen.gsus)


def edge_loss(logits: Tensor, rows: Tensor) -> Tensor:
    """Cross entropy of each column's true row, blurred, and how far the expected row is from it; columns without a true
    row, NaN, count nothing. `logits` (N, E, ROWS / 2, C), `rows` (N, E, C) in rows of the strip.
    """
    told = torch.isfinite(rows)
    true = torch.where(told, rows, 0.0)
    near = torch.exp(-0.5 * ((row_centres(logits)[None, None, :, None] - true[:, :, None]) / _BLUR_ROWS) ** 2)
    share = near / near.sum(dim=2, keepdim=True).clamp(min=1e-6)
    unlikely = -(share * logits.log_softmax(dim=2)).sum(dim=2)
    off = (rows_of(logits)[0] - true).abs()
    return ((unlikely + _NEAR_WEIGHT * off) * told).sum() / told.sum().clamp(min=1)


def _hold(recipe: CapsuleRecipe, sources: Sources, run: Path) -> None:
    path, text = run / RECIPE, json.dumps(asdict(recipe), indent=1, sort_keys=True)
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{run} was begun with another recipe: give another folder, or the recipe it was begun with")
    path.write_text(text)
    (run / SOURCES).write_text(sources.to_json())


def _seen(recipe: CapsuleRecipe, sources: Sources, run: Path) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """What is learnt from and what is validated on."""
    store = open_store(sources.data)
    if not (run / SPLIT).exists():
        write_split(split_patients(store, _FRACTIONS, recipe.seed), run / SPLIT)
    split = read_split(run / SPLIT, store)
    more = [place for extra in map(open_store, sources.extra) for place in places(extra, tuple(range(len(extra))))]
    seen, held_back = (*places(store, split.train), *more), places(store, split.validation)
    if len(seen) < recipe.batch_size or not held_back:
        raise ValueError(
            f"{len(seen)} frames to learn from and {len(held_back)} to validate on show a neck from junction to "
            "insertion with its recess outlined: too few"
        )
    return seen, held_back
