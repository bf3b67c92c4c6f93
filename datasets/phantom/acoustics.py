"""Scene + probe -> echo amplitudes in beam space: scatterers, interfaces, point spread, attenuation, noise.

Scatterers are circular complex Gaussian times 10^(level/20) (Goodman); sparse tissue is K-distributed. The lateral
point spread is applied per row in one FFT over the lines; rows are depth, columns are lines.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from datasets.phantom.scanner import LINES, ROWS, Beam, Disturbance, Probe
from datasets.phantom.scene import Interface, Patch, Scene, Texture

Map = NDArray[np.float32]
SOUND_MM_US = 1.54
_SHIFT = 4


@dataclass(frozen=True, slots=True, eq=False)
class TissueMaps:
    """Per beam-space cell (ROWS, LINES): level in dB, attenuation in dB/cm/MHz, line amplitudes."""

    level_db: Map
    attenuation: Map
    lines: Map
    bone_lines: Map


Shift = tuple[float, float]
"""(rows, lines) by which tissue has moved since its scatterers were drawn: speckle moves with it."""


def tissue_maps(scene: Scene, probe: Probe, rng: Generator, shift: Shift = (0.0, 0.0)) -> TissueMaps:
    """Paints the scene's patches and interfaces into beam space."""
    level = np.full((ROWS, LINES), scene.background_db, np.float32)
    attenuation = np.full((ROWS, LINES), 0.7, np.float32)
    fibres = _carried(_fibre_noise(probe, rng), shift)
    sparse = (10 * np.log10(np.maximum(rng.gamma(rng.uniform(0.5, 3), size=(ROWS, LINES)), 1e-3))).astype(np.float32)
    sparse = _carried(sparse, shift)
    for patch in scene.patches:
        cover = _cover(patch, probe)
        if cover is None:
            continue
        top, bottom, share = cover
        values = patch.level_db + _texture(patch, fibres, sparse, slice(top, bottom))
        level[top:bottom] += share * (values - level[top:bottom])
        attenuation[top:bottom] += share * (patch.attenuation - attenuation[top:bottom])
    lines, bone_lines = np.zeros_like(level), np.zeros_like(level)
    for interface in scene.interfaces:
        _deposit(interface, probe, bone_lines if interface.bone else lines)
    for patch in scene.patches:
        # No fascia runs through a vessel's lumen.
        cover = _cover(patch, probe) if patch.flow else None
        if cover is not None:
            lines[cover[0] : cover[1]] *= 1 - cover[2]
    return TissueMaps(level, attenuation, lines, bone_lines)


@dataclass(frozen=True, slots=True)
class Insonation:
    """How tissue is sounded: the probe, its beam, what stands in the way, and how far the tissue has moved."""

    probe: Probe
    beam: Beam
    disturbances: tuple[Disturbance, ...] = ()
    shift: Shift = (0.0, 0.0)


def echo(maps: TissueMaps, sounding: Insonation, rng: Generator) -> Map:
    """Envelope (ROWS, LINES) before time gain, averaged over the compounded looks."""
    probe, beam = sounding.probe, sounding.beam
    amplitude = 10 ** (maps.level_db / 20)
    lines = _with_tail(maps.lines, 0.18, probe) + _with_tail(maps.bone_lines, 0.7, probe)
    loss_db = _loss(maps.attenuation, probe) + _disturbed(sounding.disturbances)
    gain = 10 ** (-loss_db / 20)
    total = np.zeros_like(amplitude)
    for _ in range(beam.looks):
        scatterers = _drifted(_complex_noise(rng), sounding.shift)
        field = (amplitude + lines * 0.7) * scatterers + lines * 0.45
        total += np.abs(_spread(field * gain, probe, beam))
    return np.asarray(total / beam.looks, np.float32)


def with_floors(envelope: Map, beam: Beam, maps: TissueMaps, rng: Generator) -> Map:
    """Electronic noise and haze, relative to the median echo of soft tissue at depth."""
    soft = maps.attenuation < 2
    reference = float(np.median(envelope[ROWS // 3 :][soft[ROWS // 3 :]])) if soft[ROWS // 3 :].any() else 1.0
    noise = np.abs(_complex_noise(rng)) * reference * 10 ** (beam.noise_db / 20)
    small = cv2.resize(envelope, (24, 32), interpolation=cv2.INTER_AREA)
    haze = cv2.resize(cv2.GaussianBlur(small, (0, 0), 2.5), (LINES, ROWS)) * 10 ** (beam.haze_db / 20)
    haze *= np.abs(_complex_noise(rng))
    return np.asarray(np.sqrt(envelope**2 + noise**2 + haze**2), np.float32)


def _cover(patch: Patch, probe: Probe) -> tuple[int, int, Map] | None:
    at = probe.to_beams(patch.polygon_mm)
    if at[:, 0].max() < 0 or at[:, 0].min() > LINES - 1 or at[:, 1].min() > ROWS - 1:
        return None
    top = int(np.clip(at[:, 1].min() - 8, 0, ROWS - 2))
    bottom = int(np.clip(at[:, 1].max() + 8, top + 2, ROWS))
    at = np.clip(at - [0, top], -4000, 4000)
    mask = np.zeros((bottom - top, LINES), np.uint8)
    cv2.fillPoly(mask, [np.round(at * 2**_SHIFT).astype(np.int32)], 255, shift=_SHIFT)
    soft = patch.softness_mm
    sigma_x, sigma_y = soft / probe.line_pitch_mm()[ROWS // 2], soft / probe.row_mm
    blurred = cv2.GaussianBlur(mask, (0, 0), max(sigma_x, 0.3), sigmaY=max(sigma_y, 0.3))
    return top, bottom, np.asarray(blurred / 255, np.float32)


def _fibre_noise(probe: Probe, rng: Generator) -> Map:
    """Streaks along x on a field larger than beam space, mean 0, SD about 4 dB, with a few bright septa."""
    noise = rng.standard_normal((ROWS * 2, LINES * 2)).astype(np.float32)
    pitch = probe.line_pitch_mm()[ROWS // 2]
    length, height = rng.uniform(1.5, 6.0) / pitch, rng.uniform(0.12, 0.4) / probe.row_mm
    streak = cv2.GaussianBlur(noise, (0, 0), length, sigmaY=height)
    coarse = cv2.GaussianBlur(noise, (0, 0), length * 1.5, sigmaY=height * 5)
    streak, coarse = streak / streak.std(), coarse / coarse.std()
    depth = rng.uniform(1.5, 5.0)
    return np.asarray(
        depth * (0.7 * streak + 0.6 * coarse) + rng.uniform(0, 3) * np.maximum(streak - 1.2, 0), np.float32
    )


def _texture(patch: Patch, fibres: Map, sparse: Map, rows: slice) -> Map | float:
    if patch.texture is Texture.SPARSE:
        return sparse[rows]
    if patch.texture is Texture.PLAIN:
        return 0.0
    turn = cv2.getRotationMatrix2D((LINES, ROWS), -float(np.degrees(patch.fibre_angle)), 1.0)
    turn[:, 2] -= [LINES / 2, ROWS / 2 + rows.start]
    turned = cv2.warpAffine(fibres, turn, (LINES, rows.stop - rows.start), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.float32)


def _deposit(interface: Interface, probe: Probe, out: Map) -> None:
    """Dense points along a line, stronger where the beam meets it at a right angle: anisotropy comes by itself."""
    line = interface.line_mm[np.isfinite(interface.line_mm).all(axis=1)]
    if len(line) < 2:
        return
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0, steps[-1], min(probe.row_mm, 0.12))
    if at.size < 2:
        return
    points = np.stack([np.interp(at, steps, line[:, k]) for k in (0, 1)], axis=1)
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1])[:, None], 1e-9)
    beam = probe.beam_direction(points)
    cosine = np.abs(tangent[:, 0] * beam[:, 1] - tangent[:, 1] * beam[:, 0])
    strength = 10 ** (interface.strength_db / 20) * (interface.floor + (1 - interface.floor) * cosine**10)
    places = np.round(probe.to_beams(points)).astype(int)
    inside = (places >= 0).all(axis=1) & (places[:, 0] < LINES) & (places[:, 1] < ROWS)
    np.maximum.at(out, (places[inside, 1], places[inside, 0]), strength[inside].astype(np.float32))


def _with_tail(lines: Map, tail_mm: float, probe: Probe) -> Map:
    rows = max(tail_mm / probe.row_mm, 0.3)
    kernel = np.exp(-np.arange(int(4 * rows) + 2) / rows).astype(np.float32)
    kernel = np.concatenate([np.zeros(len(kernel) - 1, np.float32), kernel])
    return np.asarray(cv2.filter2D(lines, -1, kernel[::-1, None].copy()), np.float32)


def _loss(attenuation: Map, probe: Probe) -> Map:
    """Two-way loss in dB down each line, its shadow edges softened by the width of the beam."""
    per_row = 2 * attenuation * probe.frequency_mhz * probe.row_mm / 10
    loss = np.minimum(np.cumsum(per_row, axis=0), 160).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(loss, (0, 0), 1.0, sigmaY=0.5), np.float32)


def _disturbed(disturbances: tuple[Disturbance, ...]) -> Map:
    loss = np.zeros((ROWS, LINES), np.float32)
    at, depth = np.linspace(0, 1, LINES), np.linspace(0, 1, ROWS)
    for one in disturbances:
        across = np.exp(-(((at - one.middle) / one.width) ** 4))
        down = 1 / (1 + np.exp(-(depth - one.from_depth) / 0.01))
        loss += (one.loss_db * down[:, None] * across[None]).astype(np.float32)
    return loss


def _carried(texture: Map, shift: Shift) -> Map:
    if shift == (0.0, 0.0):
        return texture
    move = np.array([[1.0, 0.0, shift[1]], [0.0, 1.0, shift[0]]])
    size = (texture.shape[1], texture.shape[0])
    return np.asarray(cv2.warpAffine(texture, move, size, borderMode=cv2.BORDER_REFLECT), np.float32)


def _drifted(field: NDArray[np.complex64], shift: Shift) -> NDArray[np.complex64]:
    """The field moved below a cell's precision by Fourier phase, which keeps its statistics."""
    if shift == (0.0, 0.0):
        return field
    down = np.exp(-2j * np.pi * np.fft.fftfreq(ROWS) * shift[0])[:, None]
    across = np.exp(-2j * np.pi * np.fft.fftfreq(LINES) * shift[1])[None]
    return np.asarray(fft.ifft2(fft.fft2(field) * (down * across).astype(np.complex64)))


def _complex_noise(rng: Generator) -> NDArray[np.complex64]:
    parts = rng.standard_normal((2, ROWS, LINES), dtype=np.float32)
    return np.asarray((parts[0] + 1j * parts[1]) * np.float32(np.sqrt(0.5)), np.complex64)


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
