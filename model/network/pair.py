"""Two networks that answer as one."""

from torch import Tensor, nn

from model.network.hipnet import HipNet, Logits


class Pair(nn.Module):
    """The means of two networks' logits: where they differ they are less sure, as they should be (Lakshminarayanan et
    al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles"). Twice the time of one.
    """

    def __init__(self, first: HipNet, second: HipNet) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, frame: Tensor) -> Logits:
        """`frame` float32 (N, 1, H, W), 0 to 255; what comes out is as HipNet's."""
        return Logits(*((here + there) / 2 for here, there in zip(self.first(frame), self.second(frame), strict=True)))
