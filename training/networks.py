"""The networks that can be trained: ours, and the field's usual ones for comparison, by name."""

from collections.abc import Callable
from typing import Final

from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.flexible_unet import FlexibleUNet
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from model.anatomy import POINT_LANDMARKS, VIEWS
from model.network.hipnet import CLASSES, THRESHOLDS, HipNet, Logits
from model.network.normalise import as_shown, between_percentiles, by_surroundings, standardise

OURS: Final[dict[str, Callable[[bool], HipNet]]] = {
    "hipnet": HipNet,
    "hipnet-refined": lambda pretrained: HipNet(pretrained, refined=True),
    "hipnet-small": lambda pretrained: HipNet(pretrained, "mobilenet-v3-small"),
    "hipnet-lite0": lambda pretrained: HipNet(pretrained, "efficientnet-lite0", refined=True),
    "hipnet-b0": lambda pretrained: HipNet(pretrained, "efficientnet-b0"),
}
"""Our network, by encoder and decoder; each takes whether to begin with ImageNet's weights."""

BESIDE: Final = "+"
"""Between the names of two networks in one file."""

NORMALISED: Final[dict[str, Callable[[bool], HipNet]]] = {
    "hipnet-as-shown": lambda pretrained: HipNet(pretrained, normalise=as_shown),
    "hipnet-percentiles": lambda pretrained: HipNet(pretrained, normalise=between_percentiles),
    "hipnet-surroundings": lambda pretrained: HipNet(pretrained, normalise=by_surroundings),
}
"""The first of ours with its greys evened out otherwise."""


class SegmentationPeer(nn.Module):
    """A segmentation network in our clothes: the same input and structures, and no word on the other heads.

    Takes float (N, 1, H, W) grey levels 0..255; its structures are averaged to half the size, as ours are.
    """

    def __init__(self, network: nn.Module, channels: int = 1) -> None:
        super().__init__()
        self.network = network
        self.channels = channels

    def forward(self, grey: Tensor) -> Logits:
        """Structures from the network, zeros elsewhere."""
        told = self.network(standardise(grey).expand(-1, self.channels, -1, -1))
        full = told["out"] if isinstance(told, dict) else told
        count, _, height, width = grey.shape
        nothing = full.new_zeros
        return Logits(
            F.avg_pool2d(full, 2),
            nothing(count, len(POINT_LANDMARKS), height // 4, width // 4),
            nothing(count, len(POINT_LANDMARKS)),
            nothing(count, len(VIEWS)),
            nothing(count, THRESHOLDS),
        )


def _nnunet() -> nn.Module:
    """nnU-Net's plain 2-D architecture for this input size (MONAI's DynUNet), without deep supervision."""
    depth = 6
    return DynUNet(
        2,
        1,
        CLASSES,
        kernel_size=[3] * depth,
        strides=[1] + [2] * (depth - 1),
        upsample_kernel_size=[2] * (depth - 1),
        filters=[32, 64, 128, 256, 512, 512],
    )


PEERS: Final[dict[str, Callable[[], SegmentationPeer]]] = {
    "flexible-unet-b0": lambda: SegmentationPeer(FlexibleUNet(1, CLASSES, "efficientnet-b0", pretrained=False)),
    "basic-unet": lambda: SegmentationPeer(BasicUNet(2, 1, CLASSES)),
    "lraspp": lambda: SegmentationPeer(
        lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES), 3
    ),
    "nnunet-2d": lambda: SegmentationPeer(_nnunet()),
}


def build_network(name: str, pretrained: bool = False) -> nn.Module:
    """The network of that name. Raises ValueError for an unknown one, OSError where weights cannot be fetched."""
    ours = OURS | NORMALISED
    if name in ours:
        return ours[name](pretrained)
    if name not in PEERS:
        raise ValueError(f"network is one of {', '.join((*ours, *PEERS))}, got {name!r}")
    if pretrained:
        raise ValueError(f"{name} is trained from scratch here: leave pretrained out")
    return PEERS[name]()
