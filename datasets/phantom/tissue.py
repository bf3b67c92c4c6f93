"""Scene + probe -> tissue maps in beam space: level and attenuation of each cell, and reflecting lines.

Rows are depth, columns are lines. Every renderer starts from these.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantom.scanner import LINES, ROWS, Probe
from datasets.phantom.scene import Interface, Patch, Scene, Texture
from model.geometry import Points

Map = NDArray[np.float32]
_SHIFT = 4

Shift = tuple[float, float]
"""(rows, lines) by which tissue has moved since its scatterers were drawn: speckle moves with it."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueMaps:
    """Per beam-space cell (ROWS, LINES): level in dB, attenuation in dB/cm/MHz, line amplitudes; what is under bone."""

    level_db: Map
    attenuation: Map
    lines: Map
    bone_lines: Map
    under_bone: NDArray[np.bool_]


def tissue_maps(scene: Scene, probe: Probe, rng: Generator, shift: Shift = (0.0, 0.0)) -> TissueMaps:
    """Paints the scene's patches and interfaces into beam space."""
    level = np.full((ROWS, LINES), scene.background_db, np.float32)
    attenuation = np.full((ROWS, LINES), 0.7, np.float32)
    under_bone = np.zeros((ROWS, LINES), np.bool_)
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
        if patch.bone:
            under_bone[top:bottom] |= share > 0.5
    lines, bone_lines = np.zeros_like(level), np.zeros_like(level)
    for interface in scene.interfaces:
        for part in _parts(interface.line_mm):
            _deposit(replace(interface, line_mm=part), probe, bone_lines if interface.bone else lines)
    for patch in scene.patches:
        # No fascia runs through a vessel's lumen.
        cover = _cover(patch, probe) if patch.flow else None
        if cover is not None:
            lines[cover[0] : cover[1]] *= 1 - cover[2]
    return TissueMaps(level, attenuation, lines, bone_lines, under_bone)


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


def _parts(line_mm: Points) -> list[Points]:
    """The unbroken parts of a line, which NaN points interrupt."""
    there = np.isfinite(line_mm).all(axis=1)
    runs = np.split(line_mm, np.flatnonzero(np.diff(there)) + 1)
    return [run for run in runs if len(run) > 1 and np.isfinite(run[0]).all()]


def _deposit(interface: Interface, probe: Probe, out: Map) -> None:
    """Dense points along a line, stronger where the beam meets it at a right angle: anisotropy comes by itself."""
    line = interface.line_mm
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


def _carried(texture: Map, shift: Shift) -> Map:
    if shift == (0.0, 0.0):
        return texture
    move = np.array([[1.0, 0.0, shift[1]], [0.0, 1.0, shift[0]]])
    size = (texture.shape[1], texture.shape[0])
    return np.asarray(cv2.warpAffine(texture, move, size, borderMode=cv2.BORDER_REFLECT), np.float32)
