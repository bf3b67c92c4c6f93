"""The third image formation, a wave simulator: the yardstick for transfer, never training data.

SIMUS (Garcia 2022, "SIMUS: an open-source simulator for medical ultrasound imaging") sounds point scatterers with
plane waves from an array's elements, and delay-and-sum forms the picture: none of the training renderers' point spread.
Pulse, array and beamforming are PyMUST's, a development dependency (LGPL). SIMUS's sums are matrix products here, all
transmits at once and within the processor's cache: seconds a frame where PyMUST takes minutes. Shadows and enhancement
are baked into the scatterers' amplitudes: SIMUS knows no attenuation that differs from place to place.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pymust
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from datasets.phantom.scanner import LINES, ROWS, Array, Probe
from datasets.phantom.sounding import SOUND_MM_US, Insonation, complex_noise, loss_db, median_echo, reflections
from datasets.phantom.tissue import Map, TissueMaps

Places = NDArray[np.float64]
_ELEMENTS: Final = 128
_SOFT_TISSUE: Final = 0.75
"""dB/cm/MHz, as what lies under the probe loses on average."""
_TAILS_MM: Final = (0.05, 0.2)
_THRESHOLD_DB: Final = -40
_CACHED: Final = 800
"""Scatterers at a time: their waves to all elements fit a core's cache."""
_PULSE_S: Final = 1e-6


def echo(maps: TissueMaps, sounding: Insonation, array: Array, rng: Generator) -> Map:
    """The envelope (ROWS, LINES) before time gain. Raises ValueError for a curvilinear probe."""
    probe = sounding.probe
    if probe.radius_mm:
        raise ValueError("the wave simulator is set up for linear probes: draw another seed")
    points, strength = _scatterers(maps, sounding, array, rng)
    param = array_param(probe, array)
    across = np.linspace(-probe.width_mm / 2, probe.width_mm / 2, LINES) * 1e-3
    x, z = np.meshgrid(across, np.linspace(probe.row_mm, probe.depth_mm, ROWS) * 1e-3)
    formed = np.zeros((ROWS, LINES), np.complex128)
    delays = [pymust.txdelay(param, angle) for angle in array.angles]
    for signal, delay in zip(signals(points, strength, delays, param), delays, strict=True):
        iq = pymust.rf2iq(signal, param.fs, param.fc)
        matrix = pymust.dasmtx(1j * np.array(iq.shape), x, z, delay, array_param(probe, array))
        formed += (matrix @ iq.flatten(order="F")).reshape(x.shape, order="F")
    usual = _usual_loss_db(probe)
    return np.asarray(np.abs(formed) / np.abs(formed).mean() * 10 ** (-usual / 20), np.float32)


def signals(points: Places, strength: Places, delays: list[Places], param: Any) -> NDArray[np.float32]:
    """What each element of a linear array receives (transmits, time, elements), sampled at `param.fs`.

    As PyMUST's simus with one segment an element and its directivity at the centre frequency. Points (N, 2) in metres.
    """
    xe = param.getElementPositions()[0].ravel()
    late = np.concatenate(delays)
    reach = np.hypot(np.abs(points[:, 0]).max() + np.abs(xe).max(), points[:, 1].max())
    samples = int(np.ceil((2 * reach / param.c + late.max() + _PULSE_S) * param.fs))
    step = param.fs / samples
    frequency = np.arange(int(2 * param.fc / step) + 1) * step
    one_way = param.getProbeFunction()(2 * np.pi * frequency)
    response = param.getPulseSpectrumFunction(None)(2 * np.pi * frequency) * one_way**2
    band = np.flatnonzero(np.abs(response) > 10 ** (_THRESHOLD_DB / 20) * np.abs(response).max())
    heard = frequency[band[0] : band[-1] + 1]
    phases = np.exp(2j * np.pi * heard[:, None, None] * late.T).astype(np.complex64)
    spectrum = np.zeros((len(frequency), len(delays), len(xe)), np.complex64)
    for some in np.array_split(np.arange(len(points)), max(len(points) // _CACHED, 1)):
        waves = _waves(points[some], xe, heard, param)
        weights = strength[some, None].astype(np.float32)
        for k, (wave, phase) in enumerate(zip(waves, phases, strict=True), int(band[0])):
            spectrum[k] += ((wave @ phase) * weights).T @ wave
    spectrum *= response[:, None, None]
    return np.fft.irfft(spectrum.conj(), samples, axis=0).swapaxes(0, 1).astype(np.float32)


def _waves(points: Places, xe: Places, frequency: Places, param: Any) -> Iterator[NDArray[np.complex64]]:
    """The wave (N, elements) between each point and element at each frequency, evenly spaced; one array, reused."""
    across = points[:, :1] - xe
    far = np.maximum(np.hypot(across, points[:, 1:]), param.c / param.fc / 2)
    sine = across / far
    loud = np.sinc(param.fc / param.c * param.width * sine) * np.sqrt(1 - sine**2) / np.sqrt(far)
    wave = (loud * np.exp(2j * np.pi * frequency[0] / param.c * far)).astype(np.complex64)
    onward = np.exp(2j * np.pi * (frequency[1] - frequency[0]) / param.c * far).astype(np.complex64)
    for _ in frequency:
        yield wave
        wave *= onward


def with_floors(envelope: Map, array: Array, maps: TissueMaps, rng: Generator) -> Map:
    """Electronic noise, relative to the median echo of soft tissue at depth."""
    noise = np.abs(complex_noise(rng)) * median_echo(envelope, maps) * 10 ** (array.noise_db / 20)
    return np.asarray(np.sqrt(envelope**2 + noise**2), np.float32)


def _usual_loss_db(probe: Probe) -> Places:
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


def array_param(probe: Probe, array: Array) -> Any:
    """PyMUST's parameters of a linear array as wide as the probe."""
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
