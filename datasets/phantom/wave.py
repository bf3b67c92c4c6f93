"""The third image formation, a wave simulator: the yardstick for transfer, never training data.

PyMUST's SIMUS sounds point scatterers with plane waves from an array's elements, and delay-and-sum forms the picture:
none of the training renderers' point spread. A development dependency (LGPL), minutes a frame. Shadows and enhancement
are baked into the scatterers' amplitudes, because SIMUS knows no attenuation that differs from place to place.
"""

from typing import Any, Final

import numpy as np
import pymust
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from datasets.phantom.scanner import LINES, ROWS, Array, Probe
from datasets.phantom.sounding import SOUND_MM_US, Insonation, complex_noise, loss_db, median_echo, reflections
from datasets.phantom.tissue import Map, TissueMaps

_ELEMENTS: Final = 128
_SOFT_TISSUE: Final = 0.75
"""dB/cm/MHz, as what lies under the probe loses on average."""
_TAILS_MM: Final = (0.05, 0.2)
_THRESHOLD_DB: Final = -40


def echo(maps: TissueMaps, sounding: Insonation, array: Array, rng: Generator) -> Map:
    """The envelope (ROWS, LINES) before time gain. Raises ValueError for a curvilinear probe."""
    probe = sounding.probe
    if probe.radius_mm:
        raise ValueError("the wave simulator is set up for linear probes: draw another seed")
    points, strength = _scatterers(maps, sounding, array, rng)
    param = _param(probe, array)
    across = np.linspace(-probe.width_mm / 2, probe.width_mm / 2, LINES) * 1e-3
    x, z = np.meshgrid(across, np.linspace(probe.row_mm, probe.depth_mm, ROWS) * 1e-3)
    formed = np.zeros((ROWS, LINES), np.complex128)
    for angle in array.angles:
        delays = pymust.txdelay(param, angle)
        signal, _ = pymust.simus(points[:, 0], points[:, 1], strength, delays, param, _options())
        iq = pymust.rf2iq(signal, param.fs, param.fc)
        matrix = pymust.dasmtx(1j * np.array(iq.shape), x, z, delays, param)
        formed += (matrix @ iq.flatten(order="F")).reshape(x.shape, order="F")
    usual = _usual_loss_db(probe)
    return np.asarray(np.abs(formed) / np.abs(formed).mean() * 10 ** (-usual / 20), np.float32)


def with_floors(envelope: Map, array: Array, maps: TissueMaps, rng: Generator) -> Map:
    """Electronic noise, relative to the median echo of soft tissue at depth."""
    noise = np.abs(complex_noise(rng)) * median_echo(envelope, maps) * 10 ** (array.noise_db / 20)
    return np.asarray(np.sqrt(envelope**2 + noise**2), np.float32)


def _usual_loss_db(probe: Probe) -> NDArray[np.float64]:
    """Loss over depth (ROWS, 1) in plain soft tissue: put back after forming, for the time gain to take out."""
    return np.linspace(0, 2 * _SOFT_TISSUE * probe.frequency_mhz * probe.depth_mm / 10, ROWS)[:, None]


def _scatterers(
    maps: TissueMaps, sounding: Insonation, array: Array, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (N, 2) in metres and reflection coefficients (N,), what differs from the usual loss already in them."""
    probe = sounding.probe
    wavelength = SOUND_MM_US / probe.frequency_mhz
    count = int(array.per_cell * probe.width_mm * probe.depth_mm / (wavelength**2 * array.f_number))
    at = rng.uniform([-probe.width_mm / 2, 0.5], [probe.width_mm / 2, probe.depth_mm], (count, 2))
    amplitude = 10 ** (maps.level_db / 20) + 3 * reflections(maps, probe, _TAILS_MM)
    heard = amplitude * 10 ** (-np.clip(loss_db(maps, sounding) - _usual_loss_db(probe), -60, 60) / 20)
    line, row = probe.to_beams(at).T
    strength = map_coordinates(heard, [row, line], order=1, mode="nearest") * rng.standard_normal(count)
    kept = np.abs(strength) > 1e-4 * np.abs(strength).max()
    return at[kept] * 1e-3, strength[kept]


def _param(probe: Probe, array: Array) -> Any:
    param = pymust.utils.Param()
    param.fc = probe.frequency_mhz * 1e6
    param.fs = 4 * param.fc
    param.pitch = probe.width_mm * 1e-3 / _ELEMENTS
    param.width, param.kerf = 0.9 * param.pitch, 0.1 * param.pitch
    param.Nelements = _ELEMENTS
    param.bandwidth = array.bandwidth_percent
    param.radius = np.inf
    param.c = SOUND_MM_US * 1e3
    param.fnumber = array.f_number
    return param


def _options() -> Any:
    options = pymust.utils.Options()
    options.dBThresh, options.ElementSplitting, options.ParPool = _THRESHOLD_DB, 1, False
    return options
