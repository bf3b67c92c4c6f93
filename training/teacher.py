"""A teacher beside the truth: what slower, surer networks say of the very pictures that are learnt from.

Hinton et al. 2015, "Distilling the knowledge in a neural network"; that both see one and the same disturbed picture is
from Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent".
"""

from pathlib import Path
from typing import Final

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.hipnet import HipNet, Logits
from model.network.pair import Pair
from training.losses import Target, near_outlines
from training.networks import OURS, build_network
from training.recipe import LossWeights, Recipe
from training.restore import fill, read_onnx
from training.run_folder import load_run

MOST: Final = 2


def load_teacher(runs: tuple[Path, ...], recipe: Recipe) -> nn.Module | None:
    """The network of a run or an exported file, or the mean of two; None where the recipe asks for no teacher.

    Raises ValueError where recipe and runs do not fit together.
    """
    if bool(recipe.taught_share) != bool(runs):
        raise ValueError("a teacher and the recipe's taught_share come together: give both, or neither")
    if not runs:
        return None
    if len(runs) > MOST:
        raise ValueError(f"a teacher is one run or the mean of two, got {len(runs)}")
    networks = [_of(run, recipe) for run in runs]
    both = networks[0] if len(networks) == 1 else Pair(networks[0], networks[1])
    return both.requires_grad_(False).eval()


def _of(path: Path, recipe: Recipe) -> HipNet:
    name, input_px, network = _exported(path) if path.is_file() else _learnt(path)
    if not isinstance(network, HipNet):
        raise ValueError(f"{path} holds a {name}, which tells structures only: a teacher is one of {list(OURS)}")
    if input_px != recipe.input_px:
        raise ValueError(f"{path} sees {input_px} px and the recipe {recipe.input_px}: they must be the same")
    return network


def _learnt(run: Path) -> tuple[str, int, nn.Module]:
    recipe, network = load_run(run)
    return recipe.network, recipe.input_px, network


def _exported(path: Path) -> tuple[str, int, nn.Module]:
    try:
        held = read_onnx(path)
        network = build_network(held.network)
        fill(network, held)
    except ValueError as error:
        raise ValueError(f"{path} teaches nothing: {error}") from error
    return held.network, held.input_px, network


def agreement_loss(logits: Logits, told: Logits, target: Target, weights: LossWeights) -> Tensor:
    """How far each head is from what the teacher told, weighted as against the truth; 0 where they say the same.

    Grades are compared where the truth has one: the teacher knows them no better elsewhere.
    """
    here = torch.sigmoid(told.presence.float())
    return (
        weights.structures * _structures(logits.structures.float(), told.structures.float(), weights.edges)
        + weights.landmarks * _heat(logits.heat.float(), told.heat.float(), here)
        + weights.presence * _divergence(logits.presence.float(), here).mean()
        + weights.view * F.kl_div(*_logs(logits.view, told.view), log_target=True, reduction="batchmean")
        + weights.gsus * _grades(logits.gsus.float(), told.gsus.float(), target.gsus >= 0)
    )


def _structures(logits: Tensor, told: Tensor, edges: float) -> Tensor:
    """Divergence of each cell, and soft Dice with squares below: of two soft answers it is 0 where they are equal."""
    mine, wanted = _logs(logits, told)
    cells = (wanted.exp() * (wanted - mine)).sum(dim=1)
    if edges:
        weight = 1.0 + edges * near_outlines(told)
        cells = cells * weight / weight.mean()
    dice: Tensor = DiceLoss(include_background=False, batch=True, squared_pred=True, smooth_nr=1.0, smooth_dr=1.0)(
        mine.exp(), wanted.exp()
    )
    return cells.mean() + dice


def _heat(logits: Tensor, told: Tensor, here: Tensor) -> Tensor:
    """Divergence of the heat maps (N, L, h, w), each as much as the teacher sees its landmark."""
    mine, wanted = (maps.flatten(2).log_softmax(dim=2) for maps in (logits, told))
    return ((wanted.exp() * (wanted - mine)).sum(dim=2) * here).sum() / here.sum().clamp(min=1.0)


def _grades(logits: Tensor, told: Tensor, known: Tensor) -> Tensor:
    if not bool(known.any()):
        return logits.sum() * 0.0
    return _divergence(logits[known], torch.sigmoid(told[known])).mean()


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Of yes or no: the cross entropy with `wanted` (0..1) less its own."""
    own = F.binary_cross_entropy(wanted, wanted, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") - own


def _logs(logits: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    return logits.float().log_softmax(dim=1), told.float().log_softmax(dim=1)
