"""HipNet: a mobile encoder, a light U-Net decoder, four heads."""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.anatomy import POINT_LANDMARKS, STRUCTURES, VIEWS, structure
from model.network.encoders import DEFAULT_ENCODER, ENCODERS, Encoder
from model.network.normalise import standardise

CLASSES: Final = 1 + len(STRUCTURES)
THRESHOLDS: Final = 3
"""Cumulative logits of the ordinal grade: above 0, above 1, above 2."""

_WIDTHS: Final = (32, 48, 64, 96)
"""Channels of the decoder at strides 2, 4, 8 and 16: multiples of 16, which onnxruntime rounds up to anyhow."""
_BLOCKS: Final = (0, 1, 2, 2)
"""Refining blocks at strides 2, 4, 8 and 16: an eighth of the network's time, where surroundings are seen."""
_SHAPE_WIDTH: Final = 48
_ATTENDED: Final = ("anterior_recess", "femoral_neck", "femoral_head")


class Logits(NamedTuple):
    """Raw outputs: structures (N, C, H/2, W/2), heat (N, L, H/4, W/4), presence (N, L), view (N, V), gsus (N, 3)."""

    structures: Tensor
    heat: Tensor
    presence: Tensor
    view: Tensor
    gsus: Tensor


class HipNet(nn.Module):
    """Takes float (N, 1, H, W) grey levels 0..255, H and W multiples of 32.

    `refined` adds blocks of wide view to the decoder, and a second look at the joint for the grade. They begin as
    nothing: training goes on from weights without. `normalise` evens the greys out, in the graph as in training.
    """

    def __init__(
        self,
        pretrained: bool = False,
        encoder: str = DEFAULT_ENCODER,
        dropout: float = 0.1,
        *,
        refined: bool = False,
        normalise: Callable[[Tensor], Tensor] = standardise,
    ) -> None:
        super().__init__()
        chosen = ENCODERS[encoder]
        self.taps = chosen.taps
        self.normalise = normalise
        self.encoder = _encoder(chosen, pretrained)
        *skips, deep = chosen.channels
        widths = _WIDTHS
        blocks = _BLOCKS if refined else (0,) * len(widths)
        self.up16 = _Up(deep, skips[3], widths[3], blocks[3])
        self.up8 = _Up(widths[3], skips[2], widths[2], blocks[2])
        self.up4 = _Up(widths[2], skips[1], widths[1], blocks[1])
        self.up2 = _Up(widths[1], skips[0], widths[0], blocks[0])
        self.structures = nn.Conv2d(widths[0], CLASSES, 1)
        self.heat = nn.Sequential(_conv(widths[1], 32), nn.Conv2d(32, len(POINT_LANDMARKS), 1))
        self.presence = _head(deep + widths[2], len(POINT_LANDMARKS), dropout)
        self.view = _head(deep + widths[2], len(VIEWS), dropout)
        self.gsus = _head(deep + len(_ATTENDED) * (widths[2] + widths[1]), THRESHOLDS, dropout)
        self.shape = _ShapeGrade(widths[1], dropout) if refined else None

    def forward(self, grey: Tensor) -> Logits:
        """All heads at once."""
        maps = []
        x = self.normalise(grey)
        for index, block in enumerate(self.encoder):
            x = block(x)
            if index in self.taps:
                maps.append(x)
        at16 = self.up16(maps[4], maps[3])
        at8 = self.up8(at16, maps[2])
        at4 = self.up4(at8, maps[1])
        at2 = self.up2(at4, maps[0])
        structures = self.structures(at2)
        deep = maps[4].mean(dim=(2, 3))
        overall = torch.cat([deep, at8.mean(dim=(2, 3))], dim=1)
        joint = _joint_shares(structures.detach().float())
        gsus = self.gsus(torch.cat([deep, _attend(joint, at8), _attend(joint, at4)], dim=1))
        if self.shape is not None:
            gsus = gsus + self.shape(joint, at4)
        return Logits(structures, self.heat(at4), self.presence(overall), self.view(overall), gsus)


def _joint_shares(structures: Tensor) -> Tensor:
    """Probability (N, 3, h, w) of the joint's structures. Spelt out: onnxruntime's softmax over channels is slow."""
    ids = [structure(name).id for name in _ATTENDED]
    raised = (structures - structures.amax(dim=1, keepdim=True)).exp()
    return raised[:, ids] / raised.sum(dim=1, keepdim=True)


def _attend(joint: Tensor, features: Tensor) -> Tensor:
    """Features averaged under the joint's structures: the grade lives in the capsule's shape, not elsewhere."""
    shares = _pooled(joint, features)
    weights = shares / (shares.sum(dim=(2, 3), keepdim=True) + 1.0)
    return torch.einsum("nshw,nchw->nsc", weights, features.to(weights.dtype)).flatten(1)


def _pooled(joint: Tensor, features: Tensor) -> Tensor:
    return F.avg_pool2d(joint, joint.shape[2] // features.shape[2])


def _encoder(chosen: Encoder, pretrained: bool) -> nn.ModuleList:
    """The features up to the last tap, their first convolution taking one channel."""
    features = chosen.build(pretrained)
    stem = features[0][0]
    grey_stem = nn.Conv2d(1, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=False)
    with torch.no_grad():
        grey_stem.weight.copy_(stem.weight.sum(dim=1, keepdim=True))
    features[0][0] = grey_stem
    return nn.ModuleList(features[: chosen.taps[-1] + 1])


class _Up(nn.Module):
    """Doubles a map and joins it with the encoder's map of that size."""

    def __init__(self, deep: int, skip: int, width: int, blocks: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(deep, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.join = nn.Sequential(*_conv(width + skip, width), *(_Refine(width) for _ in range(blocks)))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        doubled = F.interpolate(self.reduce(deep), scale_factor=2.0, mode="nearest")
        joined: Tensor = self.join(torch.cat([doubled, skip], dim=1))
        return joined


class _Refine(nn.Module):
    """A residual block of wide view (7 x 7 a channel, then across channels, as ConvNeXt's); nothing at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, 2 * width, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, width, 1, bias=False),
            last := nn.BatchNorm2d(width),
        )
        nn.init.zeros_(last.weight)

    def forward(self, maps: Tensor) -> Tensor:
        refined: Tensor = maps + self.body(maps)
        return refined


class _ShapeGrade(nn.Module):
    """The grade's logits once more, from the joint's own outlines together with what the decoder saw there."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.look = nn.Sequential(
            _conv(len(_ATTENDED) + features, _SHAPE_WIDTH, stride=2), _Refine(_SHAPE_WIDTH), _Refine(_SHAPE_WIDTH)
        )
        self.told = _head(len(_ATTENDED) * _SHAPE_WIDTH, THRESHOLDS, dropout)
        for still in self.told[-1].parameters():
            nn.init.zeros_(still)

    def forward(self, joint: Tensor, features: Tensor) -> Tensor:
        seen = self.look(torch.cat([_pooled(joint, features).to(features.dtype), features], dim=1))
        told: Tensor = self.told(_attend(joint, seen))
        return told


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _head(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(128, outputs))
