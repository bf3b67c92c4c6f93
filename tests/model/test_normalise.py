"""Greys evened out: deaf to gain and contrast as far as each claims, finite on any picture, the same once exported."""

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.network.normalise import as_shown, between_percentiles, by_surroundings, standardise

ALL = (standardise, as_shown, between_percentiles, by_surroundings)


def picture(low=30.0, high=120.0, margin=0):
    grey = np.random.default_rng(0).uniform(low, high, (1, 1, 96, 96)).astype(np.float32)
    grey[:, :, :margin] = 0
    return torch.from_numpy(grey)


@pytest.mark.parametrize("normalise", [standardise, between_percentiles, by_surroundings])
@given(gain=st.floats(0.6, 1.8), lift=st.floats(1, 30))
def test_a_linear_change_of_greys_changes_little(normalise, gain, lift):
    before, after = normalise(picture()), normalise(picture() * gain + lift)
    assert (before - after).abs().max() < 0.25


def test_only_the_bare_one_hears_a_gain():
    assert (as_shown(picture()) - as_shown(picture() * 1.5)).abs().max() > 0.5


@pytest.mark.parametrize("normalise", [standardise, between_percentiles])
def test_what_is_not_shown_does_not_count(normalise):
    whole, cut = normalise(picture()), normalise(picture(margin=40))
    assert (whole - cut)[:, :, 40:].abs().max() < 0.25


def test_a_shadow_is_evened_out_by_its_surroundings():
    grey = picture()
    grey[..., 48:] *= 0.4
    told = by_surroundings(grey)
    assert told[..., 70:].std() == pytest.approx(float(told[..., :26].std()), rel=0.15)


@pytest.mark.parametrize("normalise", ALL)
@pytest.mark.parametrize("level", [0.0, 1.0, 255.0])
def test_a_picture_of_nothing_gives_numbers(normalise, level):
    told = normalise(torch.full((2, 1, 64, 64), level))
    assert told.shape == (2, 1, 64, 64) and torch.isfinite(told).all()
    assert told.abs().max() < 60


@pytest.mark.parametrize("normalise", ALL)
def test_it_says_the_same_in_the_graph(normalise, tmp_path):
    class Graph(nn.Module):
        def forward(self, grey):
            return normalise(grey)

    torch.onnx.export(Graph(), (picture(),), str(tmp_path / "n.onnx"), opset_version=18, dynamo=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    shown = picture(20, 200, margin=12)
    told = session.run(None, {session.get_inputs()[0].name: shown.numpy()})[0]
    np.testing.assert_allclose(told, normalise(shown).numpy(), atol=1e-4)
