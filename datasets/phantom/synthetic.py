"""The second renderer: plane waves compounded over a synthetic aperture, drawn as its support in k-space.

Nothing of the first renderer's image formation returns here. The point spread is the same everywhere and has the
X-shaped tails of delay-and-sum (the support is a sector of a ring: a band of wavenumbers times a range of angles);
side lobes are coherent; shadows fill from the sides, because oblique waves reach under; reflectors repeat below
themselves; noise is as grainy as speckle. What a network learns from both cannot be one renderer's habit.
"""

import cv2
import numpy as np
from numpy.random import Generator
from scipy import fft

from datasets.phantom.scanner import LINES, ROWS, Aperture, Probe
from datasets.phantom.sounding import (
    SOUND_MM_US,
    Field,
    Insonation,
    complex_noise,
    loss_db,
    median_echo,
    reflections,
    scatterers,
)
from datasets.phantom.tissue import Map, TissueMaps

_TAILS_MM = (0.05, 0.35)
_REPEATS = 3
_SOFT_TISSUE = 0.7
"""dB/cm/MHz: what a repeated echo loses on its longer way."""


def echo(maps: TissueMaps, sounding: Insonation, aperture: Aperture, rng: Generator) -> Map:
    """Envelope (ROWS, LINES) before time gain, compounded over groups of steering angles."""
    probe = sounding.probe
    amplitude = 10 ** (maps.level_db / 20) + reflections(maps, probe, _TAILS_MM)
    gain = _filled(np.asarray(10 ** (-loss_db(maps, sounding) / 20), np.float32), aperture)
    total = np.zeros_like(amplitude)
    for group in np.linspace(-1, 1, aperture.looks) if aperture.looks > 1 else (0.0,):
        support = _support(probe, aperture, float(group) * 0.5 * aperture.angle)
        total += np.abs(_formed(amplitude * gain * scatterers(sounding, rng), support))
    return np.asarray(total / aperture.looks, np.float32)


def with_floors(envelope: Map, sounding: Insonation, aperture: Aperture, maps: TissueMaps, rng: Generator) -> Map:
    """Reverberation below what was seen, and noise as grainy as the speckle itself."""
    probe = sounding.probe
    level = median_echo(envelope, maps) * 10 ** (aperture.noise_db / 20)
    noise = np.abs(_formed(complex_noise(rng), _support(probe, aperture, 0.0))) * level
    repeated = np.zeros_like(envelope)
    step = max(2, round(aperture.repeat_mm / probe.row_mm))
    way_db = 2 * _SOFT_TISSUE * probe.frequency_mhz * step * probe.row_mm / 10
    for order in range(1, _REPEATS + 1):
        if order * step < ROWS:
            weight = 10 ** (order * (aperture.repeat_db - way_db) / 20)
            repeated[order * step :] += weight * envelope[: ROWS - order * step]
    return np.asarray(np.sqrt(envelope**2 + noise**2 + repeated**2), np.float32)


def _support(probe: Probe, aperture: Aperture, steered: float) -> Map:
    """The weight of each spatial frequency (ROWS, LINES), demodulated along depth, of unit noise gain."""
    carrier = 4 * np.pi * probe.frequency_mhz / SOUND_MM_US
    across = 2 * np.pi * np.fft.fftfreq(LINES, float(probe.line_pitch_mm()[ROWS // 2]))[None]
    along = 2 * np.pi * np.fft.fftfreq(ROWS, probe.row_mm)[:, None] + carrier
    angle = np.arctan2(across, along) - steered
    spread = aperture.bandwidth * carrier / 2.355
    radial = np.exp(-((np.hypot(across, along) - carrier) ** 2) / (2 * spread**2))
    inside = np.clip(1 - np.abs(angle) / aperture.angle, 0, 1)
    # 0 is a rectangular aperture with its full side lobes, 1 a Hann window with almost none.
    window = (1 - aperture.apodisation) * (inside > 0) + aperture.apodisation * np.sin(np.pi / 2 * inside) ** 2
    lobes = 10 ** (aperture.side_lobe_db / 20) * np.exp(-((angle / (0.12 * aperture.angle)) ** 2)) * 3
    weight = radial * (window + lobes)
    return np.asarray(weight / np.sqrt(np.mean(weight**2)), np.float32)


def _formed(field: Field, support: Map) -> Field:
    return np.asarray(fft.ifft2(fft.fft2(field) * support))


def _filled(gain: Map, aperture: Aperture) -> Map:
    """Oblique waves reach under what stops the straight one: a shadow is lit from its sides."""
    width = aperture.fill_lines
    oblique = cv2.GaussianBlur(gain, (0, 0), width, sigmaY=0.5)
    share = aperture.fill_share
    return np.asarray((1 - share) * cv2.GaussianBlur(gain, (0, 0), 0.8, sigmaY=0.5) + share * oblique, np.float32)
