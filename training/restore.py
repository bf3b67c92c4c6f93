"""A served ONNX file taken back into training: what export folded is unfolded again.

Export folds each batch norm into the convolution before it. Going back, each filter gets weights as large as a network
begins with (He et al. 2015, "Delving deep into rectifiers": variance 2 / fan in), its norm the statistics that it then
has on training pictures and the scale and shift that make up for them: the network says what the file says, and learns
on. What a filter is multiplied by changes nothing that its norm says, but the optimiser's steps heed no scale: of a
filter that is thirty times smaller than a run's a step wipes out thirty times more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from model.spec import METADATA_KEY, NetworkSpec
from training.networks import BESIDE

_SCOPE: Final = "network"
ENCODER_SCOPE: Final = "encoder."


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported network: its name (empty in older files), the side of the picture it sees, and weight and bias of
    its convolutions and linear layers by the module they belong to."""

    network: str
    input_px: int
    layers: dict[str, tuple[Tensor, Tensor]]


def read_onnx(path: Path) -> Exported:
    """What an exported file holds. Raises ValueError where `hipsono export` did not write it."""
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's errors have no common class
        raise ValueError(f"it is no ONNX file: {error}") from error
    spec = {one.key: one.value for one in model.metadata_props}.get(METADATA_KEY)
    if spec is None:
        raise ValueError("`hipsono export` did not write it")
    told = NetworkSpec.from_json(spec)
    if BESIDE in told.network:
        raise ValueError(f"it holds two networks ({told.network}): only a file of one can be learnt on from")
    return Exported(told.network, told.input_height, _layers(model.graph))


def _layers(graph: onnx.GraphProto) -> dict[str, tuple[Tensor, Tensor]]:
    held = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    held |= {node.output[0]: held[node.input[0]].float() for node in graph.node if _widens(node, held)}
    found = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        scope, _, module = _module_of(node.name).partition(".")
        if scope != _SCOPE or not all(name in held for name in node.input[1:]):
            raise ValueError(f"{node.name} holds no plain weights: an INT8 file cannot be learnt on from")
        weight, bias = (held[name] for name in node.input[1:3])
        found[module] = weight, bias
    return found


def _widens(node: onnx.NodeProto, held: dict[str, Tensor]) -> bool:
    """Whether the node takes weights kept in half precision (training.half)."""
    return node.op_type == "Cast" and node.input[0] in held


def graft(exported: Exported, network: nn.Module) -> Exported:
    """What a network with another encoder can begin with: every layer outside the encoder that has a place in it."""
    places = {name: one.weight.shape for name, one in network.named_modules() if isinstance(one, nn.Conv2d | nn.Linear)}
    fits = {
        name: held
        for name, held in exported.layers.items()
        if not name.startswith(ENCODER_SCOPE) and places.get(name) == held[0].shape
    }
    return replace(exported, layers=fits)


def restore(network: nn.Module, exported: Exported, pictures: Iterable[Tensor]) -> None:
    """Gives a fresh network the weights of an exported one; `pictures` (N, 1, S, S) are such as it learns from.

    Raises ValueError where the network has no place for them. What the file lacks stays as it was built.
    """
    _unfold(network.eval(), fill(network, exported), pictures)


def fill(network: nn.Module, exported: Exported) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Gives a fresh network an exported one's weights as they are, which is enough to say what the file says.

    Returns the convolutions whose norm was folded into them, with that norm, which now passes all through. Raises
    ValueError where the network has no place for the weights.
    """
    modules = dict(network.named_modules())
    norms = _norms(network)
    begun: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    with torch.no_grad():
        for name, (weight, bias) in exported.layers.items():
            layer = modules.get(name)
            if not isinstance(layer, nn.Conv2d | nn.Linear) or layer.weight.shape != weight.shape:
                kind = exported.network or "network of another kind"
                raise ValueError(f"it holds a {kind}, and there is no place for {name} of shape {tuple(weight.shape)}")
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
            elif isinstance(layer, nn.Conv2d):
                begun.append((layer, _pass_through(norms[layer], bias)))
    return begun


def _module_of(node: str) -> str:
    """The module's path in a node's name: "/up2/join/join.0/Conv" is up2.join.0, scopes repeat their parent's name."""
    parts: list[str] = []
    last = ""
    for scope in node.strip("/").split("/")[:-1]:
        parts.append(scope.removeprefix(f"{last}."))
        last = scope
    return ".".join(parts)


def _norms(network: nn.Module) -> dict[nn.Module, nn.BatchNorm2d]:
    """The batch norm after each convolution that has no bias of its own."""
    pairs = pairwise(network.modules())
    return {a: b for a, b in pairs if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d)}


def _pass_through(norm: nn.BatchNorm2d, bias: Tensor) -> nn.BatchNorm2d:
    norm.weight.fill_(1.0)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
    return norm


def _unfold(network: nn.Module, begun: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], pictures: Iterable[Tensor]) -> None:
    """Moves what reaches each norm into its statistics, and out of them again into its scale and shift; each
    convolution's scale into its norm.
    """
    moments: dict[nn.Module, Tensor] = {}
    batches = 0

    def count(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0].double()
        seen = torch.stack([maps.mean(dim=(0, 2, 3)), (maps * maps).mean(dim=(0, 2, 3))])
        moments[norm] = moments.get(norm, torch.zeros_like(seen)) + seen

    hooks = [norm.register_forward_pre_hook(count) for _, norm in begun]
    with torch.no_grad():
        for batch in pictures:
            network(batch)
            batches += 1
        for (convolution, norm), hook in zip(begun, hooks, strict=True):
            hook.remove()
            mean, square = moments[norm] / batches
            scale = _size(convolution.weight) / _begun_size(convolution)
            scale = torch.where(scale > 0, scale, torch.ones_like(scale))
            variance = (square - mean * mean).clamp(min=0) / scale**2
            convolution.weight.div_(scale[:, None, None, None])
            norm.bias.add_(mean)
            norm.weight.copy_(scale * (variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean / scale)  # type: ignore[union-attr]
            norm.running_var.copy_(variance)  # type: ignore[union-attr]


def _size(weight: Tensor) -> Tensor:
    """The root mean square of each filter's weights."""
    return weight.double().pow(2).mean(dim=(1, 2, 3)).sqrt()


def _begun_size(convolution: nn.Conv2d) -> float:
    """The same of a network that begins."""
    fan_in = convolution.weight[0].numel()
    return float((2 / fan_in) ** 0.5)
