"""EdgeNet: where cortex and outer capsule run in a strip along the neck (model.strip), and the grade of their shape."""

from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.hipnet import THRESHOLDS
from model.network.normalise import standardise
from model.network.served import grade_probabilities
from model.strip import EDGES, ROWS

_WIDTHS: Final = (16, 32, 56, 88, 112)
"""Channels at half the strip's rows, and at each halving of rows and columns after that."""
STRIDE: Final = 2
"""Strip rows of one row of the network's answer."""
_PLACES: Final = 28
"""Places along the neck whose edges the grade is told by."""


class StripLogits(NamedTuple):
    """Raw outputs: `edges` (N, E, ROWS / 2, COLUMNS) of the row in which each edge crosses each column; `gsus` (N, 3),
    the grade's cumulative ones.
    """

    edges: Tensor
    gsus: Tensor


class EdgeNet(nn.Module):
    """A small U-Net. Takes float (N, 1, ROWS, COLUMNS) grey levels 0..255."""

    def __init__(self) -> None:
        super().__init__()
        first = _WIDTHS[0]
        halved = nn.Conv2d(1, first, (6, 3), stride=(STRIDE, 1), padding=(2, 1), bias=False)
        self.stem = nn.Sequential(halved, nn.BatchNorm2d(first), nn.ReLU(inplace=True), *_conv(first, first))
        pairs = list(pairwise(_WIDTHS))
        self.down = nn.ModuleList(
            nn.Sequential(*_conv(fine, deep, stride=2), *_conv(deep, deep)) for fine, deep in pairs
        )
        self.up = nn.ModuleList(
            nn.Sequential(*_conv(fine + deep, fine), *_conv(fine, fine)) for fine, deep in reversed(pairs)
        )
        self.edges = nn.Conv2d(first, len(EDGES), 1)
        told = _WIDTHS[-1] + 2 * len(EDGES) * _PLACES
        self.gsus = nn.Sequential(
            nn.Linear(told, 64), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Linear(64, THRESHOLDS)
        )

    def forward(self, grey: Tensor) -> StripLogits:
        maps = [self.stem(standardise(grey))]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps[-1]
        for up, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            x = up(torch.cat([F.interpolate(x, size=skip.shape[2:], mode="nearest"), skip], dim=1))
        edges = self.edges(x)
        shape = _along_the_neck(edges.detach().float()).to(maps[-1].dtype)
        return StripLogits(edges, self.gsus(torch.cat([maps[-1].mean(dim=(2, 3)), shape], dim=1)))


def _along_the_neck(edges: Tensor) -> Tensor:
    """What edges say of the capsule's shape: their rows and SDs, as shares of the strip, at a few places; (N, F)."""
    mean, deviation = rows_of(edges)
    told = torch.cat([mean / ROWS - 0.5, deviation / ROWS], dim=1)
    return F.avg_pool1d(told, told.shape[2] // _PLACES).flatten(1)


class ServedEdges(nn.Module):
    """Strips uint8 (N, ROWS, COLUMNS) to what model.spec says of the second network, in its order."""

    def __init__(self, network: EdgeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, strip: Tensor) -> tuple[Tensor, Tensor]:
        """`strip` uint8 (N, ROWS, COLUMNS)."""
        logits = self.network(strip.unsqueeze(1).to(torch.float32))
        return torch.stack(rows_of(logits.edges), dim=2), grade_probabilities(logits.gsus)


def rows_of(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Expected row (N, E, COLUMNS) of each edge and its SD, in rows of the strip; logits (N, E, ROWS / 2, COLUMNS)."""
    rows = row_centres(logits)[None, None, :, None]
    shares = logits.softmax(dim=2)
    mean = (shares * rows).sum(dim=2)
    return mean, (shares * (rows - mean[:, :, None]) ** 2).sum(dim=2).sqrt()


def row_centres(like: Tensor) -> Tensor:
    """Where the rows of the network's answer lie in the strip, (ROWS / 2,)."""
    return torch.arange(ROWS // STRIDE, dtype=like.dtype, device=like.device) * STRIDE + (STRIDE - 1) / 2


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
