"""Greys evened out, the same in training and in the served graph: `standardise` is served, the others were tried.

All take grey levels 0..255 (N, 1, H, W), 0 where nothing is shown, and give values of about -2 to 2.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

_FLOOR: Final = 25.0
"""Variance of a picture that shows nothing, in squared grey levels: noise in it is not blown up."""
_SIDE_PX: Final = 33
_EVERY: Final = 4
_ENDS: Final = (0.02, 0.98)


def standardise(grey: Tensor) -> Tensor:
    """Zero mean and unit SD over each frame's lit pixels."""
    lit = (grey > 0).to(grey.dtype)
    count = lit.sum(dim=(1, 2, 3), keepdim=True) + 1.0
    mean = grey.sum(dim=(1, 2, 3), keepdim=True) / count
    variance = (((grey - mean) * lit) ** 2).sum(dim=(1, 2, 3), keepdim=True) / count
    return (grey - mean) / (variance + _FLOOR).sqrt()


def as_shown(grey: Tensor) -> Tensor:
    """No more than another unit: black is -2, white 2."""
    return grey / 63.75 - 2.0


def between_percentiles(grey: Tensor) -> Tensor:
    """The 2nd and 98th percentile of the lit pixels (of every fourth row and column) to -2 and 2."""
    ordered = grey[:, :, ::_EVERY, ::_EVERY].flatten(1).sort(dim=1).values
    count = ordered.shape[1]
    dark = (ordered <= 0).to(grey.dtype).sum(dim=1, keepdim=True)
    low, high = (ordered.gather(1, (dark + share * (count - 1 - dark)).to(torch.int64)) for share in _ENDS)
    low, high = low[:, :, None, None], high[:, :, None, None]
    told: Tensor = 4.0 * (grey - low) / (high - low + _FLOOR**0.5) - 2.0
    return told


def by_surroundings(grey: Tensor) -> Tensor:
    """Zero mean and unit SD over the lit pixels of each pixel's surroundings: local contrast normalisation."""
    lit = (grey > 0).to(grey.dtype)
    share = _around(lit) + 1e-3
    mean = _around(grey) / share
    variance = (_around(grey * grey) / share - mean * mean).clamp(min=0.0)
    return (grey - mean) * lit / (variance + _FLOOR).sqrt()


def _around(values: Tensor) -> Tensor:
    """Means over a square around each pixel, zeros beyond the picture: down, then across, which is the same and a
    sixteenth of the work.
    """
    down = F.avg_pool2d(values, (_SIDE_PX, 1), stride=1, padding=(_SIDE_PX // 2, 0))
    return F.avg_pool2d(down, (1, _SIDE_PX), stride=1, padding=(0, _SIDE_PX // 2))
