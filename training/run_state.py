"""What changes while a run goes on: how it begins, how it is kept and taken up again."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from training.device import spare_depthwise
from training.feed import Mix, settling_pictures
from training.networks import build_network
from training.progress import EpochFigures, say
from training.recipe import Recipe
from training.restore import ENCODER_SCOPE, graft, read_onnx, restore
from training.run_folder import load_run, save_whole
from training.style import mix_styles


@dataclass(slots=True)
class RunState:
    """What changes while a run goes on; all of it is in last.pt."""

    network: torch.nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    history: tuple[EpochFigures, ...] = ()
    spent_minutes: float = 0.0

    @property
    def epoch(self) -> int:
        return len(self.history)


def begin(recipe: Recipe, training: Mix, weights: Path | None, place: torch.device) -> RunState:
    """A run before its first step, on from `weights` (a run or an exported file) where there are any."""
    torch.manual_seed(recipe.seed)
    steps = training.steps(recipe.batch_size)
    network = first_network(recipe) if weights is None else gone_on(recipe, weights, training).train()
    network = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    spare_depthwise(network, place)
    average = AveragedModel(network, avg_fn=_average(recipe.ema_decay))
    mix_styles(network, recipe.style_share)
    optimiser = torch.optim.AdamW(_rates(network, recipe), weight_decay=recipe.weight_decay)
    peaks = [group["lr"] for group in optimiser.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peaks, total_steps=recipe.epochs * steps + 1, pct_start=recipe.warmup_share
    )
    return RunState(network, average, optimiser, schedule)


def _rates(network: torch.nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters in groups of one learning rate each: the encoder's own where it has one."""
    if recipe.encoder_rate == 1.0:
        return [{"params": list(network.parameters()), "lr": recipe.learning_rate}]
    parts: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        parts[name.startswith(ENCODER_SCOPE)].append(parameter)
    return [
        {"params": parts[True], "lr": recipe.learning_rate * recipe.encoder_rate},
        {"params": parts[False], "lr": recipe.learning_rate},
    ]


def _average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Exponential moving average that forgets its random start: the decay grows with the number of updates."""

    def update(held: torch.Tensor, new: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(held, new, 1 - kept) if held.is_floating_point() else new

    return update


def gone_on(recipe: Recipe, weights: Path, training: Mix) -> torch.nn.Module:
    """The recipe's network with the weights of a run or an exported file, whose network the recipe's holds whole.

    With ImageNet's encoder (`pretrained`) it takes from an exported file what fits outside the encoder. Raises
    ValueError where weights and network do not fit, OSError where ImageNet's weights cannot be had.
    """
    if recipe.pretrained and not weights.is_file():
        raise ValueError(f"pretrained goes on from an exported file, not from a run: hipsono export {weights}")
    network = build_network(recipe.network, recipe.pretrained)
    if weights.is_file():
        try:
            exported = read_onnx(weights)
            begun = graft(exported, network) if recipe.pretrained else exported
            restore(network, begun, settling_pictures(training, recipe.batch_size))
        except ValueError as error:
            raise ValueError(f"{recipe.network} cannot go on from {weights}: {error}") from error
        return network
    before, learnt = load_run(weights)
    try:
        unknown = network.load_state_dict(learnt.state_dict(), strict=False).unexpected_keys
    except RuntimeError as error:
        raise ValueError(f"{recipe.network} cannot go on from {weights}, a {before.network}: {error}") from error
    if unknown:
        raise ValueError(f"{recipe.network} cannot go on from {weights}, a {before.network}: no place for {unknown[0]}")
    return network


def first_network(recipe: Recipe) -> torch.nn.Module:
    """The recipe's network, its encoder with ImageNet's weights where it asks for them and they can be had."""
    if not recipe.pretrained:
        return build_network(recipe.network)
    try:
        return build_network(recipe.network, pretrained=True)
    except (OSError, RuntimeError) as error:
        say(f"ImageNet weights cannot be had here ({error}); starting from random weights")
        return build_network(recipe.network)


def keep(state: RunState, path: Path) -> None:
    """Writes everything needed to go on, whole or not at all."""
    save_whole(
        {
            "network": state.network.state_dict(),
            "average": state.average.state_dict(),
            "optimiser": state.optimiser.state_dict(),
            "schedule": state.schedule.state_dict(),
            "history": [asdict(figures) for figures in state.history],
            "spent_minutes": state.spent_minutes,
        },
        path,
    )


def take_up(state: RunState, path: Path, place: torch.device) -> None:
    """Puts a state as begun where the kept one was."""
    saved = torch.load(path, map_location=place, weights_only=True)
    state.network.load_state_dict(saved["network"])
    state.average.load_state_dict(saved["average"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.schedule.load_state_dict(saved["schedule"])
    state.history = tuple(EpochFigures(**figures) for figures in saved["history"])
    state.spent_minutes = saved["spent_minutes"]
