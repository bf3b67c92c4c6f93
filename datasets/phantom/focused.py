"""The first renderer: focused beams, a point spread that widens away from the focus, one FFT over the lines.

Axial Gaussian by bandwidth; lateral two-way Gaussian by depth with a weak wide pedestal; compounding by looks.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from datasets.phantom.scanner import LINES, ROWS, Beam, Probe
from datasets.phantom.sounding import (
    SOUND_MM_US,
    Insonation,
    complex_noise,
    haze,
    loss_db,
    median_echo,
    reflections,
    scatterers,
)
from datasets.phantom.tissue import Map, TissueMaps

_TAILS_MM = (0.18, 0.7)


def echo(maps: TissueMaps, sounding: Insonation, beam: Beam, rng: Generator) -> Map:
    """Envelope (ROWS, LINES) before time gain, averaged over the compounded looks."""
    probe = sounding.probe
    amplitude = 10 ** (maps.level_db / 20)
    lines = reflections(maps, probe, _TAILS_MM)
    # The beam's width softens the edges of shadows.
    loss = cv2.GaussianBlur(loss_db(maps, sounding), (0, 0), 1.0, sigmaY=0.5)
    gain = 10 ** (-loss / 20)
    total = np.zeros_like(amplitude)
    for _ in range(beam.looks):
        field = (amplitude + lines * 0.7) * scatterers(sounding, rng) + lines * 0.45
        total += np.abs(_spread(field * gain, probe, beam))
    return np.asarray(total / beam.looks, np.float32)


def with_floors(envelope: Map, beam: Beam, maps: TissueMaps, rng: Generator) -> Map:
    """Electronic noise and haze, relative to the median echo of soft tissue at depth."""
    noise = np.abs(complex_noise(rng)) * median_echo(envelope, maps) * 10 ** (beam.noise_db / 20)
    return np.asarray(np.sqrt(envelope**2 + noise**2 + haze(envelope, beam.haze_db, rng) ** 2), np.float32)


def _spread(field: NDArray[np.complex64], probe: Probe, beam: Beam) -> NDArray[np.complex64]:
    """The two-way point spread: axial Gaussian, lateral by depth with side lobes (per row, over the lines)."""
    bandwidth = beam.bandwidth * probe.frequency_mhz
    sigma_rows = 0.187 * SOUND_MM_US / bandwidth * beam.axial_stretch / probe.row_mm
    field = np.asarray(
        gaussian_filter1d(field.real, sigma_rows, axis=0) + 1j * gaussian_filter1d(field.imag, sigma_rows, axis=0)
    )
    wavelength = SOUND_MM_US / probe.frequency_mhz
    depth = np.linspace(0, probe.depth_mm, ROWS)
    focus = beam.focus_share * probe.depth_mm
    waist = 0.6 * wavelength * beam.f_transmit
    rayleigh = np.pi * waist**2 / wavelength
    transmit = waist * np.sqrt(1 + ((depth - focus) / rayleigh) ** 2)
    receive = 0.6 * wavelength * np.maximum(beam.f_receive, depth / 30)
    width = 1 / np.sqrt(1 / transmit**2 + 1 / receive**2)
    spatial = 2 * np.pi * np.fft.fftfreq(LINES)[None] / probe.line_pitch_mm()[:, None]
    main = np.exp(-(spatial**2) * (width[:, None] ** 2) / 4)
    wide = np.exp(-(spatial**2) * ((width[:, None] * 9) ** 2) / 4) * 3
    response = (main + 10 ** (beam.side_lobe_db / 20) * wide).astype(np.float32)
    spectrum = fft.fft(field.astype(np.complex64), axis=1)
    return np.asarray(fft.ifft(spectrum * response, axis=1))
