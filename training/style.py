"""MixStyle: early feature maps take on the mean and spread of another frame of the batch (Zhou et al. 2021).

Real frames lend phantoms their look within the network, and the labels stay: look ceases to tell what a frame shows.
"""

from typing import Final

import torch
from torch import Tensor, nn

from model.network.hipnet import HipNet

_SHALLOW: Final = 2
"""Of the encoder's tapped blocks the first so many, at strides 2 and 4: deeper statistics tell content."""
_CONCENTRATION: Final = 0.1


def mix_styles(network: nn.Module, share: float) -> None:
    """From now on a share of the network's training batches is mixed. Raises ValueError for a network not ours."""
    if not share:
        return
    if not isinstance(network, HipNet):
        raise ValueError("style_share is for our own network: leave it out of this recipe")
    for index in network.taps[:_SHALLOW]:
        network.encoder[index].register_forward_hook(lambda block, _, maps: _mixed(block, maps, share))


def _mixed(block: nn.Module, maps: Tensor, share: float) -> Tensor:
    if not block.training or float(torch.rand(())) >= share:
        return maps
    # No gradient through statistics; then one multiplication with one addition does, and these are the largest maps.
    with torch.no_grad():
        variance, mean = torch.var_mean(maps.float(), dim=(2, 3), keepdim=True)
        spread = (variance + 1e-6).sqrt()
        other = torch.randperm(len(maps), device=maps.device)
        kept = torch.distributions.Beta(_CONCENTRATION, _CONCENTRATION).sample((len(maps), 1, 1, 1)).to(maps.device)
        scale = torch.lerp(spread[other], spread, kept) / spread
        shift = torch.lerp(mean[other], mean, kept) - mean * scale
    return torch.addcmul(shift.to(maps.dtype), maps, scale.to(maps.dtype))
