"""A needle on its way to the hip: bright where the beam meets it squarely, repeated below itself, or only a bright dot.

Along the picture's plane its shaft is seen, across it a point with a comet's tail. It is no landmark and has no label.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.random import Generator

from datasets.phantom.body import level
from datasets.phantom.scene import Interface, Scene, span_mm, within
from model.geometry import Points

_SHARE: Final = 0.07
"""Of all pictures, those of other places too: a needle must not tell the view."""
_IN_PLANE: Final = 0.7
_REACH_MM: Final = 70.0
_WAYS: Final = 8


def with_needle(scene: Scene, rng: Generator) -> Scene:
    """The scene, now and then with a needle in it. Draws the same number of values either way."""
    drawn, own = rng.random() < _SHARE, np.random.default_rng(int(rng.integers(2**31)))
    if not drawn:
        return scene
    tip = _tip(scene, own)
    lines = _shaft(scene, tip, own) if own.random() < _IN_PLANE else _dot(tip, own)
    return replace(scene, interfaces=(*scene.interfaces, *lines))


def _tip(scene: Scene, rng: Generator) -> Points:
    """Where it points at: close above a landmark, or anywhere where there is none."""
    left, right, deep = span_mm(scene)
    if not scene.marks:
        return np.array([rng.uniform(left, right), rng.uniform(0.3, 0.9) * deep])
    mark = scene.marks[int(rng.integers(len(scene.marks)))]
    return np.array([mark.x_mm + rng.normal(0, 3), max(mark.z_mm - rng.uniform(0.3, 12), 3.0)])


def _shaft(scene: Scene, tip: Points, rng: Generator) -> list[Interface]:
    """From the tip back up to the skin, with its repetitions below; none where every way leads through a vessel."""
    for _ in range(_WAYS):
        slope = np.radians(rng.uniform(8, 55))
        back = np.array([np.cos(slope) * rng.choice([-1.0, 1.0]), -np.sin(slope)])
        shaft = tip + back * np.linspace(0, min(_REACH_MM, tip[1] / np.sin(slope)), 120)[:, None]
        if not any(within(shaft, patch.polygon_mm).any() for patch in scene.patches if patch.flow):
            return _repeated(shaft, rng.uniform(14, 30), rng.uniform(0.15, 0.6), rng)
    return []


def _dot(tip: Points, rng: Generator) -> list[Interface]:
    """A needle across the picture's plane."""
    half = rng.uniform(0.3, 0.8)
    return _repeated(tip + np.array([[-half, 0.0], [half, 0.0]]), rng.uniform(14, 30), 0.5, rng)


def _repeated(line_mm: Points, strength_db: float, floor: float, rng: Generator) -> list[Interface]:
    """The line, and weaker ones below it where sound ran to and fro within the needle."""
    apart, fall = rng.uniform(0.6, 1.6), rng.uniform(3, 9)
    count = 1 + int(rng.choice([0, 2, 5, 9], p=[0.3, 0.3, 0.25, 0.15]))
    return [
        Interface(line_mm + [0.0, k * apart], level(strength_db - k * fall, rng, 1.0), floor, 0.3) for k in range(count)
    ]
