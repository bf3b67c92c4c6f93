"""The training loop, readable top to bottom."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.metrics.meandice import DiceMetric
from rich.console import Console
from rich.progress import track
from torch.optim.swa_utils import update_bn

from datasets.split import Split, read_split, split_patients, write_split
from datasets.store import Store, open_store
from model.network.hipnet import CLASSES
from model.network.served import decode_landmarks, grade_probabilities
from training.device import channels_last, find_device, keep_freed_memory, precision
from training.feed import Batch, Example, Mix, batches, load_examples, plain_batches, settling_pictures
from training.losses import total_loss
from training.progress import EpochFigures, say, write_progress
from training.recipe import Recipe
from training.run_folder import BEST, LAST, SOURCES, SPLIT, Sources, hold_recipe, open_folder, save_whole
from training.run_state import RunState, begin, keep, take_up
from training.teacher import agreement_loss, load_teacher

_FRACTIONS = (0.9, 0.05, 0.05)
_Objective = Callable[[torch.nn.Module, Batch], torch.Tensor]


def train(recipe: Recipe, sources: Sources, run: Path, *, resume: bool = False, device: str = "cpu") -> None:
    """Trains by the recipe on data sets into a run folder; with `resume` goes on where the run stopped.

    A killed run goes on from its last whole epoch and ends as it would have ended. Raises ValueError where the folder
    holds another run, or the data set is too small to split.
    """
    place = find_device(device)
    keep_freed_memory()
    begun = open_folder(run, resume=resume)
    hold_recipe(recipe, run)
    (run / SOURCES).write_text(sources.to_json())
    store = open_store(sources.data)
    split = _split(store, run, sources, recipe.seed)
    training = load_mix(store, split.train, sources.extra, recipe)
    validation = load_examples(store, split.validation, recipe.input_px)
    if len(training.main) < recipe.batch_size or not validation:
        counts = f"{len(training.main)} training and {len(validation)} validation frames"
        raise ValueError(f"{sources.data} gives {counts}: too few")
    teacher = load_teacher(sources.teachers, recipe)
    state = begin(recipe, training, None if begun else sources.weights, place)
    if begun:
        take_up(state, run / LAST, place)
    objective = _objective(recipe, teacher, place)
    counts = f"{len(training.main)} training and {len(training.extra)} extra, {len(validation)} validation frames"
    say(f"{counts}; epoch {state.epoch} of {recipe.epochs}")
    while state.epoch < recipe.epochs and not _ended(state, recipe):
        started = time.monotonic()
        loss = _train_epoch(state, training, recipe, objective)
        settle(state.average, training, recipe.batch_size, place)
        figures = validate(state.average.module, validation, recipe, place)
        state.spent_minutes += (time.monotonic() - started) / 60
        figures = replace(figures, epoch=state.epoch, train_loss=loss, minutes=state.spent_minutes)
        state.history = (*state.history, figures)
        write_progress(run, state.history)
        if figures.score >= max(f.score for f in state.history):
            save_whole({"network": state.average.module.state_dict(), "epoch": figures.epoch}, run / BEST)
        keep(state, run / LAST)
        _tell(figures, recipe)


def validate(
    network: torch.nn.Module, examples: tuple[Example, ...], recipe: Recipe, place: torch.device
) -> EpochFigures:
    """Figures of a network on examples; epoch, training loss and minutes are left at 0."""
    network.eval()
    dice = DiceMetric(include_background=False, num_classes=CLASSES, ignore_empty=True)
    losses, errors, views, grades = [], [], [], []
    with torch.no_grad():
        for batch in plain_batches(examples, recipe.batch_size):
            moved = batch.to(place)
            with precision(place):
                logits = network(channels_last(moved.pictures))
            target = moved.target
            losses.append(float(total_loss(logits, target, recipe.losses)))
            dice(logits.structures.argmax(dim=1, keepdim=True), target.shares[:, :CLASSES].argmax(dim=1, keepdim=True))
            found = decode_landmarks(
                logits.heat.float(), logits.presence.float(), recipe.input_px / logits.heat.shape[3]
            )
            errors.append((found[..., :2] - target.points).norm(dim=2).flatten())
            views.append((logits.view.argmax(dim=1) == target.view).float())
            known = target.gsus >= 0
            grades.append((grade_probabilities(logits.gsus.float()).argmax(dim=1) == target.gsus)[known].float())
    distance = torch.cat(errors)
    per_class = torch.nan_to_num(dice.get_buffer(), nan=-1.0)  # type: ignore[no-untyped-call]
    present = per_class >= 0
    return EpochFigures(
        epoch=0,
        train_loss=0.0,
        validation_loss=float(np.mean(losses)),
        dice=float(per_class[present].mean()) if bool(present.any()) else 0.0,
        landmark_px=float(distance[torch.isfinite(distance)].median()) if bool(torch.isfinite(distance).any()) else 0.0,
        view_accuracy=float(torch.cat(views).mean()),
        gsus_exact=float(torch.cat(grades).mean()) if torch.cat(grades).numel() else 0.0,
        minutes=0.0,
    )


def load_mix(store: Store, rows: tuple[int, ...], extra: tuple[Path, ...], recipe: Recipe) -> Mix:
    """What the recipe learns from of a data set's training rows and of extra sets.

    Extra sets are learnt from whole: what is to be held back is kept out of them.
    """
    main = load_examples(store, rows[: recipe.frames or None], recipe.input_px, recipe.closer_share)
    stores = [open_store(folder) for folder in extra]
    examples = [one for store in stores for one in load_examples(store, tuple(range(len(store))), recipe.input_px)]
    covers = (recipe.veil_share, recipe.bend_share, recipe.fade_share, recipe.warp_share)
    return Mix(main, tuple(examples), recipe.extra_share, recipe.steps, *covers)


def _train_epoch(state: RunState, training: Mix, recipe: Recipe, objective: _Objective) -> float:
    torch.manual_seed(recipe.seed * 10_007 + state.epoch)
    state.network.train()
    steps = training.steps(recipe.batch_size)
    feed = batches(training, recipe.batch_size, recipe.seed, state.epoch)
    total = 0.0
    console = Console(stderr=True)
    for batch in track(feed, f"epoch {state.epoch + 1}", steps, console=console, disable=not sys.stderr.isatty()):
        total += _step(state, batch, objective)
    if not np.isfinite(total):
        raise ValueError(f"the loss is {total} in epoch {state.epoch + 1}: lower learning_rate in the recipe")
    return total / steps


def settle(network: torch.nn.Module, training: Mix, batch_size: int, place: torch.device) -> None:
    """Batch statistics of the averaged weights: the running ones belong to other weights."""
    update_bn((channels_last(pictures.to(place)) for pictures in settling_pictures(training, batch_size)), network)


def _objective(recipe: Recipe, teacher: torch.nn.Module | None, place: torch.device) -> _Objective:
    """The loss of a network on a batch: against the truth, and in the recipe's share against a teacher's answers."""
    if teacher is not None:
        teacher.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(network: torch.nn.Module, batch: Batch) -> torch.Tensor:
        moved = batch.to(place)
        pictures = channels_last(moved.pictures)
        with precision(place):
            logits = network(pictures)
        true = total_loss(logits, moved.target, recipe.losses)
        if teacher is None:
            return true
        with precision(place), torch.no_grad():
            told = teacher(pictures)
        taught = agreement_loss(logits, told, moved.target, recipe.losses)
        return torch.lerp(true, taught, recipe.taught_share)

    return loss


def _step(state: RunState, batch: Batch, objective: _Objective) -> float:
    loss = objective(state.network, batch)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    state.schedule.step()
    state.average.update_parameters(state.network)
    return float(loss.detach())


def _ended(state: RunState, recipe: Recipe) -> bool:
    if recipe.minutes and state.spent_minutes >= recipe.minutes:
        say(f"the recipe's {recipe.minutes:g} minutes are spent")
        return True
    scores = [f.score for f in state.history]
    if scores and len(scores) - 1 - int(np.argmax(scores)) >= recipe.patience:
        say(f"no better for {recipe.patience} epochs")
        return True
    return False


def _split(store: Store, run: Path, sources: Sources, seed: int) -> Split:
    """The run's split, and on the same data that of the run it goes on from: what was learnt calibrates nothing."""
    if not (run / SPLIT).exists():
        write_split(_split_before(store, sources) or split_patients(store, _FRACTIONS, seed), run / SPLIT)
    return read_split(run / SPLIT, store)


def _split_before(store: Store, sources: Sources) -> Split | None:
    """The split of the run that is gone on from; None without one, or where it learnt from other data."""
    before = sources.weights
    if before is None or not (before / SPLIT).is_file() or Sources.of(before).data != sources.data.resolve():
        return None
    return read_split(before / SPLIT, store)


def _tell(figures: EpochFigures, recipe: Recipe) -> None:
    say(
        f"epoch {figures.epoch + 1}/{recipe.epochs}: loss {figures.train_loss:.3f} / {figures.validation_loss:.3f}, "
        f"Dice {figures.dice:.3f}, landmarks {figures.landmark_px:.2f} px, view {figures.view_accuracy:.3f}, "
        f"grade {figures.gsus_exact:.3f}, {figures.minutes:.1f} min"
    )
