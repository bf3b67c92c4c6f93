"""Cines: one hip over time. The probe drifts, the patient breathes, the artery pulsates; the speckle moves with them.

The scatterers of a cine are drawn once, as one complex field larger than the picture, and shifted with the tissue by
Fourier phase, so that speckle follows the tissue below a pixel's precision instead of being drawn anew.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from datasets.phantom.generate import SOURCE, Drawn, draw_phantom, render
from datasets.phantom.scene import Patch, Region, Scene, shifted
from datasets.sample import Sample
from model.anatomy import HIP_VIEWS, View
from model.geometry import Points


@dataclass(frozen=True, slots=True)
class Motion:
    """How a cine moves. Amplitudes in mm and shares, periods in frames."""

    drift_mm: float
    drift_period: float
    breath_mm: float
    breath_period: float
    pulse_share: float
    pulse_period: float
    phase: float

    def at(self, index: int) -> tuple[float, float, float]:
        """(sideways mm, deeper mm, growth of the artery's radius) of a frame."""
        turn = 2 * np.pi * index
        sideways = self.drift_mm * np.sin(turn / self.drift_period + self.phase)
        deeper = self.breath_mm * np.sin(turn / self.breath_period + 0.7 * self.phase)
        beat = max(0.0, np.sin(turn / self.pulse_period + self.phase)) ** 2
        return float(sideways), float(deeper), 1.0 + self.pulse_share * float(beat)


def draw_motion(rng: Generator) -> Motion:
    """A slow probe, a breath of a few seconds, a heart of about one beat in 20 frames."""
    return Motion(
        drift_mm=rng.uniform(0.6, 2.5),
        drift_period=rng.uniform(50, 120),
        breath_mm=rng.uniform(0.1, 0.6),
        breath_period=rng.uniform(60, 110),
        pulse_share=rng.uniform(0.05, 0.12),
        pulse_period=rng.uniform(16, 30),
        phase=rng.uniform(0, 6.3),
    )


def cine(
    seed: int, view: View | None, frames: int, only: range | None = None, *, motion: Motion | None = None
) -> Iterator[Sample]:
    """The frames of one hip over time, `frame.index` from 0; `only` renders a part of them, `motion` is drawn if None.

    The same seed, view and index give the same frame, whichever part it is rendered in.
    """
    rng = np.random.default_rng([seed, 7])
    view = view or HIP_VIEWS[int(rng.integers(len(HIP_VIEWS)))]
    drawn = draw_phantom(seed, view)
    motion = motion or draw_motion(rng)
    wanted = range(frames) if only is None else only
    yield from filmed(drawn, motion, itertools.takewhile(lambda index: 0 <= index < frames, wanted))


def filmed(drawn: Drawn, motion: Motion, indices: Iterable[int]) -> Iterator[Sample]:
    """Those frames of a drawn hip that moves; its scatterers are those of the drawn seed."""
    for index in indices:
        sample = render(moved(drawn, motion, index), np.random.default_rng([drawn.seed, 11]))
        yield replace(sample, frame=replace(sample.frame, index=index, spacing_source=SOURCE))


def moved(drawn: Drawn, motion: Motion, index: int) -> Drawn:
    """What is drawn, as it lies at a frame of the cine."""
    sideways, deeper, growth = motion.at(index)
    scene = shifted(_pulsed(drawn.scene, growth), sideways, deeper)
    return replace(drawn, scene=scene, moved_mm=(sideways, deeper), noise_seed=index)


def _pulsed(scene: Scene, growth: float) -> Scene:
    """The scene with the artery, and what is drawn of it, swollen about its centre."""
    artery = next((r for r in scene.regions if r.name == "femoral_artery"), None)
    if artery is None:
        return scene
    centre = artery.polygon_mm.mean(axis=0)
    reach = float(np.hypot(*(artery.polygon_mm - centre).T).max()) * 1.02

    def swell(points: Points) -> Points:
        inside = np.hypot(*(points - centre).T).max() <= reach
        return centre + (points - centre) * growth if inside else points

    patches: tuple[Patch, ...] = tuple(replace(p, polygon_mm=swell(p.polygon_mm)) for p in scene.patches)
    regions: tuple[Region, ...] = tuple(replace(r, polygon_mm=swell(r.polygon_mm)) for r in scene.regions)
    lines = tuple(replace(i, line_mm=swell(i.line_mm)) for i in scene.interfaces)
    return replace(scene, patches=patches, regions=regions, interfaces=lines)
