"""The loss of each head. Frames labelled for some classes only are neither rewarded nor punished for the others."""

from dataclasses import dataclass

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from datasets.sample import VESSEL
from model.anatomy import POINT_LANDMARK_NAMES, STRUCTURE_NAMES, structure
from model.network.hipnet import CLASSES, Logits
from training.recipe import LossWeights

GROUPS = CLASSES + 1
"""Background, each structure, and at last "vessel": artery or vein, not told apart."""
_HEAT_SIGMA_CELLS = 1.2
_LIES_ON = {
    "aiis": "aiis",
    "iliopectineal_eminence": "iliopectineal_eminence",
    "inferomedial_acetabulum": "inferomedial_acetabulum",
    "head_neck_junction": "femoral_head",
    "acetabular_rim": "femoral_head",
    "capsule_insertion": "femoral_neck",
}
_BEARERS = [structure(_LIES_ON[name]).id for name in POINT_LANDMARK_NAMES]
"""The structure each landmark lies on: where that was not labelled, a missing landmark says nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """A batch's truth on one device.

    `shares` (N, GROUPS, h, w) is the share of each cell that belongs to each group; `merge` (N, GROUPS, CLASSES) tells
    which classes make up a group; `points` (N, L, 2) in input pixels, NaN absent; `view` (N,); `gsus` (N,), -1 unknown;
    `pointed` (N, L): whether somebody looked for the landmark.
    """

    shares: Tensor
    merge: Tensor
    points: Tensor
    view: Tensor
    gsus: Tensor
    pointed: Tensor


def merge_matrix(labelled: tuple[str, ...]) -> Tensor:
    """(GROUPS, CLASSES): classes that were not labelled are told apart from the background by nobody."""
    merge = torch.zeros(GROUPS, CLASSES)
    merge[0, 0] = 1
    for name in STRUCTURE_NAMES:
        index = structure(name).id
        vessel = VESSEL in labelled and name in ("femoral_artery", "femoral_vein") and name not in labelled
        merge[GROUPS - 1 if vessel else index if name in labelled else 0, index] = 1
    return merge


def total_loss(logits: Logits, target: Target, weights: LossWeights) -> Tensor:
    """The weighted sum over the heads."""
    located = torch.isfinite(target.points).all(dim=2)
    return (
        weights.structures * structure_loss(logits.structures, target, weights.edges)
        + weights.landmarks * heat_loss(logits.heat, target.points, located, target.shares.shape[3] * 2)
        + weights.presence * presence_loss(logits.presence.float(), located, target)
        + weights.view * F.cross_entropy(logits.view.float(), target.view, label_smoothing=0.02)
        + weights.gsus * ordinal_loss(logits.gsus.float(), target.gsus)
    )


def structure_loss(logits: Tensor, target: Target, edges: float = 0.0) -> Tensor:
    """Soft Dice (MONAI) plus cross entropy over groups of classes; logits (N, CLASSES, h, w).

    In the cross entropy cells near an outline weigh 1 + `edges`: what is measured is measured between outlines.
    """
    probabilities = logits.float().softmax(dim=1)
    grouped = torch.einsum("ngc,nchw->nghw", target.merge, probabilities)
    entropy = -(target.shares * grouped.clamp(min=1e-6).log()).sum(dim=1)
    if edges:
        weight = 1.0 + edges * near_outlines(target.shares)
        entropy = entropy * weight / weight.mean()
    dice: Tensor = DiceLoss(include_background=False, batch=True, smooth_nr=1.0, smooth_dr=1.0)(grouped, target.shares)
    return entropy.mean() + dice


def near_outlines(shares: Tensor) -> Tensor:
    """1 where another group lies within two cells, 0 elsewhere: (N, GROUPS, h, w) to (N, h, w)."""
    group = shares.argmax(dim=1, keepdim=True).float()
    highest, lowest = (F.max_pool2d(sign * group, 5, stride=1, padding=2) * sign for sign in (1.0, -1.0))
    return (highest > lowest).squeeze(1).float()


def heat_loss(heat: Tensor, points: Tensor, located: Tensor, size_px: int) -> Tensor:
    """Cross entropy of each located landmark's heat map against a small Gaussian around its place."""
    height, width = heat.shape[2:]
    if not bool(located.any()):
        return heat.sum() * 0.0
    stride = size_px / width
    cells = (torch.nan_to_num(points) + 0.5) / stride - 0.5
    columns = torch.arange(width, device=heat.device)
    rows = torch.arange(height, device=heat.device)
    across = -((columns - cells[..., 0:1]) ** 2) / (2 * _HEAT_SIGMA_CELLS**2)
    down = -((rows - cells[..., 1:2]) ** 2) / (2 * _HEAT_SIGMA_CELLS**2)
    wanted = (down[..., :, None] + across[..., None, :]).flatten(2).softmax(dim=2)
    entropy = -(wanted * heat.float().flatten(2).log_softmax(dim=2)).sum(dim=2)
    return entropy[located].mean()


def presence_loss(presence: Tensor, located: Tensor, target: Target) -> Tensor:
    """Binary cross entropy of "this landmark is here" (N, L), where somebody looked for it."""
    asked = located | (target.pointed & (target.merge[:, _BEARERS, _BEARERS] > 0))
    if not bool(asked.any()):
        return presence.sum() * 0.0
    return F.binary_cross_entropy_with_logits(presence[asked], located[asked].float())


def ordinal_loss(cumulative: Tensor, grade: Tensor) -> Tensor:
    """Binary cross entropy of "above grade k" for each k; frames without a grade (-1) count nothing."""
    known = grade >= 0
    if not bool(known.any()):
        return cumulative.sum() * 0.0
    above = (grade[known, None] > torch.arange(cumulative.shape[1], device=grade.device)).float()
    return F.binary_cross_entropy_with_logits(cumulative[known], above)
