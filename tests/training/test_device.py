"""How a device computes."""

import copy

import pytest
import torch

from training.device import find_device, spare_depthwise
from training.networks import build_network


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="cpu, gpu"):
        find_device("tpu")


def test_depthwise_convolutions_keep_float32_within_bfloat16():
    layer = torch.nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8)
    maps = torch.randn(2, 8, 16, 16).bfloat16()
    expected = layer(maps.float())
    network = torch.nn.Sequential(layer)
    spare_depthwise(network, torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        told = network(maps)
    assert told.dtype == torch.bfloat16
    torch.testing.assert_close(told, expected.bfloat16(), rtol=0, atol=0)


def test_a_copy_of_a_spared_network_has_weights_of_its_own():
    network = build_network("hipnet").eval()
    pictures = torch.rand(1, 1, 64, 64) * 255
    before = network(pictures).structures
    spare_depthwise(network, torch.device("cpu"))
    torch.testing.assert_close(network(pictures).structures, before)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    torch.testing.assert_close(network(pictures).structures, before)
    assert set(other.state_dict()) == set(build_network("hipnet").state_dict())
