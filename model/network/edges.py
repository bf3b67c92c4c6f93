"""EdgeNet: where cortex and outer capsule run in a strip along the neck (model.strip)."""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.normalise import standardise
from model.strip import EDGES, ROWS

_WIDTHS: Final = (16, 32, 56, 88, 112)
"""Channels at half the strip's rows, and at each halving of rows and columns after that."""
STRIDE: Final = 2
"""Strip rows of one row of the network's answer."""


class EdgeNet(nn.Module):
    """A small U-Net. Takes float (N, 1, ROWS, COLUMNS) grey levels 0..255, gives logits (N, E, ROWS / 2, COLUMNS) of
    the row in which each edge crosses each column.
    """

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

    def forward(self, grey: Tensor) -> Tensor:
        maps = [self.stem(standardise(grey))]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps[-1]
        for up, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            x = up(torch.cat([F.interpolate(x, size=skip.shape[2:], mode="nearest"), skip], dim=1))
        told: Tensor = self.edges(x)
        return told


class ServedEdges(nn.Module):
    """Strips uint8 (N, ROWS, COLUMNS) to float (N, E, 2, COLUMNS): each edge's row and its SD, in rows of the strip."""

    def __init__(self, network: EdgeNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, strip: Tensor) -> Tensor:
        """`strip` uint8 (N, ROWS, COLUMNS)."""
        mean, deviation = rows_of(self.network(strip.unsqueeze(1).to(torch.float32)))
        return torch.stack([mean, deviation], dim=2)


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
