"""Recipe: everything a training run depends on, as one frozen value read from TOML."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weight of each head's loss; `edges` is by how much more cells beside an outline count than others."""

    structures: float = 1.0
    landmarks: float = 0.35
    presence: float = 0.3
    view: float = 0.4
    gsus: float = 0.8
    edges: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run. `minutes` stops the run where the clock runs out before the epochs do; 0 never.

    `extra_share` of each batch comes from the extra data sets, where there are any. `network` is a name in
    training.networks. `steps` is the number of batches an epoch; 0 takes every frame once. `frames` limits what is
    learnt from to that many training frames; 0 takes all. `veil_share` and `bend_share` are how often foreign texture
    covers a frame, `fade_share` how often one of its structures is filled with the tissue beside it (training.texture),
    `warp_share` how often a frame's anatomy is bent (training.warp), `style_share` how often a batch's styles are mixed
    (training.style). `closer_share` of the frames are learnt from as a closer look sees them (model.closer).
    `taught_share` of the loss is how far the network is from a teacher's answers (training.teacher), the rest how far
    from the truth. `pretrained` begins the encoder with ImageNet's weights, also where the rest goes on from an
    exported file; the encoder learns at `encoder_rate` times the learning rate.
    """

    name: str
    version: str
    epochs: int
    batch_size: int = 16
    input_px: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.05
    ema_decay: float = 0.998
    patience: int = 12
    seed: int = 1
    minutes: float = 0.0
    pretrained: bool = False
    encoder_rate: float = 1.0
    extra_share: float = 0.15
    network: str = "hipnet"
    steps: int = 0
    frames: int = 0
    veil_share: float = 0.0
    bend_share: float = 0.0
    style_share: float = 0.0
    fade_share: float = 0.0
    warp_share: float = 0.0
    closer_share: float = 0.0
    taught_share: float = 0.0
    losses: LossWeights = LossWeights()

    def __post_init__(self) -> None:
        if self.input_px % 32 or self.input_px < 64:
            raise ValueError(f"input_px is a multiple of 32 from 64 up, got {self.input_px}")
        if not 0 <= self.extra_share <= 0.5:
            raise ValueError(f"extra_share is between 0 and 0.5, got {self.extra_share}")
        shares = (self.veil_share, self.bend_share, self.style_share, self.fade_share, self.warp_share)
        if not all(0 <= share <= 1 for share in (*shares, self.closer_share, self.taught_share)):
            raise ValueError("veil, bend, style, fade, warp, closer and taught_share are between 0 and 1")
        if not 0 < self.encoder_rate <= 1:
            raise ValueError(f"encoder_rate is above 0 and at most 1, got {self.encoder_rate}")
        if self.steps < 0 or self.frames < 0:
            raise ValueError(f"steps and frames are 0 (all) or a number, got {self.steps} and {self.frames}")
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs is at least 1 and batch_size at least 2, got {self.epochs} and {self.batch_size}")


def load_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises ValueError for unknown keys and impossible values, naming the file."""
    try:
        raw = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    try:
        losses = LossWeights(**_known(raw.pop("losses", {}), LossWeights))
        return Recipe(**_known(raw, Recipe), losses=losses)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _known(raw: dict[str, Any], kind: type) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    unknown = sorted(set(raw) - names)
    if unknown:
        raise ValueError(f"unknown keys {unknown}; known are {sorted(names)}")
    return raw
