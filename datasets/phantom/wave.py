"""A phantom's scene through a wave simulator: the yardstick for transfer, never training data.

PyMUST's SIMUS sounds point scatterers with plane waves from a real array's elements and delay-and-sum forms the
picture: none of the training renderers' image formation. A development dependency (LGPL), minutes a frame; shadows
and enhancement are baked into the scatterers' amplitudes, because SIMUS knows no heterogeneous attenuation.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymust
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from datasets.phantom.scanner import LINES, ROWS, Probe
from datasets.phantom.scene import Scene
from datasets.phantom.sounding import Insonation, loss_db, reflections
from datasets.phantom.tissue import Map, tissue_maps

_ELEMENTS: Final = 128
_SPEED_M_S: Final = 1540.0
_SOFT_TISSUE: Final = 0.75
"""dB/cm/MHz, as what lies under the probe loses on average."""
_TAILS_MM: Final = (0.05, 0.2)


@dataclass(frozen=True, slots=True)
class Array:
    """The simulated array: plane waves at `angles` (radians), scatterers a resolution cell, receive F-number."""

    angles: tuple[float, ...] = tuple(np.radians((-8.0, 0.0, 8.0)))
    per_cell: float = 4.0
    f_number: float = 1.6
    bandwidth_percent: float = 70.0


def wave_envelope(scene: Scene, probe: Probe, array: Array, rng: Generator) -> Map:
    """The envelope (ROWS, LINES) of a scene under a linear probe. Raises ValueError for a curvilinear one."""
    if probe.radius_mm:
        raise ValueError("the wave simulator is set up for linear probes")
    points, strength = _scatterers(scene, probe, array, rng)
    param = _param(probe, array)
    formed = np.zeros((ROWS, LINES), np.complex64)
    x, z = np.meshgrid(
        np.linspace(-probe.width_mm / 2, probe.width_mm / 2, LINES) * 1e-3,
        np.linspace(probe.row_mm, probe.depth_mm, ROWS) * 1e-3,
    )
    for angle in array.angles:
        delays = pymust.txdelay(param, float(angle))
        options = pymust.utils.Options()
        options.dBThresh, options.ElementSplitting, options.ParPool = -40, 1, False
        signal, _ = pymust.simus(points[:, 0], points[:, 1], strength, delays, param, options)
        iq = pymust.rf2iq(signal, param.fs, param.fc)
        matrix = pymust.dasmtx(1j * np.array(iq.shape), x, z, delays, param)
        formed += (matrix @ iq.flatten(order="F")).reshape(x.shape, order="F")
    return np.abs(formed).astype(np.float32)


def _param(probe: Probe, array: Array) -> Any:
    param = pymust.utils.Param()
    param.fc = probe.frequency_mhz * 1e6
    param.pitch = probe.width_mm * 1e-3 / _ELEMENTS
    param.kerf = 0.1 * param.pitch
    param.width = 0.9 * param.pitch
    param.Nelements = _ELEMENTS
    param.bandwidth = array.bandwidth_percent
    param.radius = np.inf
    param.fs = 4 * param.fc
    param.c = _SPEED_M_S
    param.fnumber = array.f_number
    return param


def _scatterers(
    scene: Scene, probe: Probe, array: Array, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (N, 2) in metres and reflection coefficients (N,) with loss on the way already in them."""
    maps = tissue_maps(scene, probe, rng)
    wavelength = 1.54 / probe.frequency_mhz
    cell = wavelength * wavelength * array.f_number
    count = int(array.per_cell * probe.width_mm * probe.depth_mm / cell)
    at = rng.uniform([-probe.width_mm / 2, 0.5], [probe.width_mm / 2, probe.depth_mm], (count, 2))
    amplitude = 10 ** (maps.level_db / 20) + 3 * reflections(maps, probe, _TAILS_MM)
    loss = loss_db(maps, Insonation(probe))
    # What a scanner's time gain takes back is left out from the start.
    usual = np.linspace(0, 2 * _SOFT_TISSUE * probe.frequency_mhz * probe.depth_mm / 10, ROWS)[:, None]
    heard = amplitude * 10 ** (-np.clip(loss - usual, -60, 60) / 20)
    line, row = probe.to_beams(at).T
    strength = map_coordinates(heard, [row, line], order=1, mode="nearest") * rng.standard_normal(count)
    kept = np.abs(strength) > 1e-4 * np.abs(strength).max()
    return at[kept] * 1e-3, strength[kept]
