"""What both renderers share of physics: scatterers that move with the tissue, loss on the way, floors under the echo.

Scatterers are circular complex Gaussian times 10^(level/20) (Goodman); attenuation is summed down each line, so that
shadows and enhancement come by themselves.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from datasets.phantom.scanner import LINES, ROWS, Disturbance, Probe
from datasets.phantom.tissue import Map, Shift, TissueMaps

Field = NDArray[np.complex64]
SOUND_MM_US = 1.54


@dataclass(frozen=True, slots=True)
class Insonation:
    """How tissue is sounded: the probe, what stands in the way, and how far the tissue has moved."""

    probe: Probe
    disturbances: tuple[Disturbance, ...] = ()
    shift: Shift = (0.0, 0.0)


def complex_noise(rng: Generator) -> Field:
    """Circular complex Gaussian (ROWS, LINES) of unit power."""
    parts = rng.standard_normal((2, ROWS, LINES), dtype=np.float32)
    return np.asarray((parts[0] + 1j * parts[1]) * np.float32(np.sqrt(0.5)), np.complex64)


def scatterers(sounding: Insonation, rng: Generator) -> Field:
    """Fresh scatterers, moved with the tissue by Fourier phase: finer than a cell, and their statistics stay."""
    field, shift = complex_noise(rng), sounding.shift
    if shift == (0.0, 0.0):
        return field
    down = np.exp(-2j * np.pi * np.fft.fftfreq(ROWS) * shift[0])[:, None]
    across = np.exp(-2j * np.pi * np.fft.fftfreq(LINES) * shift[1])[None]
    return np.asarray(fft.ifft2(fft.fft2(field) * (down * across).astype(np.complex64)))


def loss_db(maps: TissueMaps, sounding: Insonation) -> Map:
    """Two-way loss down each line, with what shadows and lost contact take."""
    probe = sounding.probe
    per_row = 2 * maps.attenuation * probe.frequency_mhz * probe.row_mm / 10
    loss = np.minimum(np.cumsum(per_row, axis=0), 160).astype(np.float32)
    return loss + _disturbed(sounding.disturbances)


def reflections(maps: TissueMaps, probe: Probe, tails_mm: tuple[float, float]) -> Map:
    """Amplitude of reflecting lines with the tail each leaves below it: (soft tissue, bone)."""
    return _with_tail(maps.lines, tails_mm[0], probe) + _with_tail(maps.bone_lines, tails_mm[1], probe)


def median_echo(envelope: Map, maps: TissueMaps) -> float:
    """The median echo of soft tissue at depth: what floors are measured against."""
    soft = ~maps.under_bone[ROWS // 3 :]
    return float(np.median(envelope[ROWS // 3 :][soft])) if soft.any() else 1.0


def haze(envelope: Map, level_db: float, rng: Generator) -> Map:
    """Speckled clutter as bright as its wide surroundings, at a level below them."""
    small = cv2.resize(envelope, (24, 32), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), 2.5), (LINES, ROWS)) * 10 ** (level_db / 20)
    return np.asarray(wide * np.abs(complex_noise(rng)), np.float32)


def _with_tail(lines: Map, tail_mm: float, probe: Probe) -> Map:
    rows = max(tail_mm / probe.row_mm, 0.3)
    kernel = np.exp(-np.arange(int(4 * rows) + 2) / rows).astype(np.float32)
    kernel = np.concatenate([np.zeros(len(kernel) - 1, np.float32), kernel])
    return np.asarray(cv2.filter2D(lines, -1, kernel[::-1, None].copy()), np.float32)


def _disturbed(disturbances: tuple[Disturbance, ...]) -> Map:
    loss = np.zeros((ROWS, LINES), np.float32)
    at, depth = np.linspace(0, 1, LINES), np.linspace(0, 1, ROWS)
    for one in disturbances:
        across = np.exp(-(((at - one.middle) / one.width) ** 4))
        down = 1 / (1 + np.exp(-(depth - one.from_depth) / 0.01))
        loss += (one.loss_db * down[:, None] * across[None]).astype(np.float32)
    return loss
