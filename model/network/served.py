"""ServedNetwork: uint8 frames in, the small outputs of model.spec out; everything between is inside the graph."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.hipnet import HipNet
from model.network.pair import Pair
from model.spec import Temperatures

_WINDOW_CELLS: Final = 3.0
"""Sub-pixel decoding averages positions within this radius of the heat map's peak."""


class ServedNetwork(nn.Module):
    """Wraps a HipNet or two with calibration and decoding. Outputs are those of model.spec, in its order."""

    def __init__(self, network: HipNet | Pair, temperatures: Temperatures) -> None:
        super().__init__()
        self.network = network
        self.temperatures = temperatures

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """`frame` uint8 (N, H, W)."""
        logits = self.network(frame.unsqueeze(1).to(torch.float32))
        structures = logits.structures
        labels = F.interpolate(structures, scale_factor=2.0, mode="bilinear", align_corners=False).argmax(dim=1)
        # Confidence is a mean over a structure: half the size tells the same at a quarter of the cost.
        certainty = winning_probability(structures / self.temperatures.structures)
        landmarks = decode_landmarks(logits.heat, logits.presence, frame.shape[2] / logits.heat.shape[3])
        landmarks = torch.cat([landmarks[..., :3], landmarks[..., 3:] * self.temperatures.spread], dim=2)
        view = (logits.view / self.temperatures.view).softmax(dim=1)
        return (
            labels.to(torch.uint8),
            structure_confidence(certainty, structures.argmax(dim=1), structures.shape[1]),
            landmarks,
            view,
            grade_probabilities(logits.gsus / self.temperatures.gsus),
        )


def winning_probability(logits: Tensor) -> Tensor:
    """Softmax probability (N, H, W) of each pixel's best class, spelt out: onnxruntime's channel softmax is slow."""
    below = logits - logits.amax(dim=1, keepdim=True)
    return 1.0 / below.exp().sum(dim=1)


def structure_confidence(certainty: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean certainty (N, classes - 1) over the pixels (N, H, W) that each structure won; 0 where it won none."""
    rows = []
    for index in range(1, classes):
        won = (labels == index).to(certainty.dtype)
        rows.append((certainty * won).sum(dim=(1, 2)) / won.sum(dim=(1, 2)).clamp(min=1.0))
    return torch.stack(rows, dim=1)


def decode_landmarks(heat: Tensor, presence: Tensor, stride: float) -> Tensor:
    """Heat (N, L, h, w) to (N, L, 4): x, y in input pixels, confidence, spread (SD) in input pixels.

    The mean position of the heat near its peak: below a cell's precision, and deaf to a second peak elsewhere.
    """
    count, points, height, width = heat.shape
    flat = heat.reshape(count, points, height * width)
    peak = flat.argmax(dim=2)
    columns = torch.arange(width, dtype=heat.dtype, device=heat.device).repeat(height)
    rows = torch.arange(height, dtype=heat.dtype, device=heat.device).repeat_interleave(width)
    peak_x, peak_y = (peak % width).to(heat.dtype).unsqueeze(2), (peak // width).to(heat.dtype).unsqueeze(2)
    near = ((columns - peak_x).abs() <= _WINDOW_CELLS) & ((rows - peak_y).abs() <= _WINDOW_CELLS)
    share = flat.softmax(dim=2) * near.to(heat.dtype)
    mass = share.sum(dim=2, keepdim=True).clamp(min=1e-9)
    share = share / mass
    x, y = (share * columns).sum(dim=2), (share * rows).sum(dim=2)
    variance = (share * ((columns - x.unsqueeze(2)) ** 2 + (rows - y.unsqueeze(2)) ** 2)).sum(dim=2) / 2
    confidence = presence.sigmoid() * mass.squeeze(2).clamp(max=1.0)
    return torch.stack(
        [(x + 0.5) * stride - 0.5, (y + 0.5) * stride - 0.5, confidence, variance.sqrt() * stride], dim=2
    )


def grade_probabilities(cumulative: Tensor) -> Tensor:
    """Cumulative logits (N, 3) of "above grade k" to probabilities (N, 4), never negative."""
    above = _falling(cumulative.sigmoid())
    ones = torch.ones_like(above[:, :1])
    bounds = torch.cat([ones, above, torch.zeros_like(ones)], dim=1)
    return bounds[:, :-1] - bounds[:, 1:]


def _falling(above: Tensor) -> Tensor:
    first = above[:, 0]
    second = torch.minimum(first, above[:, 1])
    return torch.stack([first, second, torch.minimum(second, above[:, 2])], dim=1)
