"""The scanner as drawn values: probe geometry, acoustics, processing and display; and the map between mm and beams."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.geometry import Points

LINES: Final = 208
ROWS: Final = 512


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear (`radius_mm` 0) or curvilinear probe. Beams are LINES wide and ROWS deep, evenly spaced."""

    kind: str
    width_mm: float
    radius_mm: float
    half_angle: float
    depth_mm: float
    frequency_mhz: float

    def to_beams(self, points_mm: Points) -> Points:
        """(x, z) in mm, z from the skin, to (line, row) positions in beam space."""
        x, z = points_mm[:, 0], points_mm[:, 1]
        if self.radius_mm == 0:
            line = (x / self.width_mm + 0.5) * (LINES - 1)
            return np.stack([line, z / self.depth_mm * (ROWS - 1)], axis=1)
        reach = np.hypot(x, z + self.radius_mm) - self.radius_mm
        line = (np.arctan2(x, z + self.radius_mm) / self.half_angle + 1) / 2 * (LINES - 1)
        return np.stack([line, reach / self.depth_mm * (ROWS - 1)], axis=1)

    def beam_direction(self, points_mm: Points) -> Points:
        """Unit vector (N, 2) of the beam through each point."""
        if self.radius_mm == 0:
            return np.broadcast_to(np.array([0.0, 1.0]), points_mm.shape)
        out = points_mm + [0.0, self.radius_mm]
        return out / np.hypot(out[:, 0], out[:, 1])[:, None]

    def line_pitch_mm(self) -> NDArray[np.float64]:
        """Distance between neighbouring lines at each row, (ROWS,)."""
        if self.radius_mm == 0:
            return np.full(ROWS, self.width_mm / (LINES - 1))
        return (self.radius_mm + np.linspace(0, self.depth_mm, ROWS)) * 2 * self.half_angle / (LINES - 1)

    @property
    def row_mm(self) -> float:
        return self.depth_mm / (ROWS - 1)

    def extent_mm(self) -> tuple[float, float, float, float]:
        """(x0, z0, x1, z1) of the insonated area."""
        if self.radius_mm == 0:
            return -self.width_mm / 2, 0.0, self.width_mm / 2, self.depth_mm
        half = (self.radius_mm + self.depth_mm) * np.sin(self.half_angle)
        top = self.radius_mm * (np.cos(self.half_angle) - 1)
        return -half, top, half, self.depth_mm


@dataclass(frozen=True, slots=True)
class Beam:
    """The point spread function and what stands beside it. Levels in dB of the main lobe or of median tissue."""

    focus_share: float
    f_transmit: float
    f_receive: float
    bandwidth: float
    axial_stretch: float
    side_lobe_db: float
    noise_db: float
    haze_db: float
    looks: int


@dataclass(frozen=True, slots=True)
class Aperture:
    """A synthetic aperture: half `angle` in radians, window, floors in dB; `fill_*` light shadows from their sides."""

    angle: float
    apodisation: float
    bandwidth: float
    side_lobe_db: float
    noise_db: float
    repeat_mm: float
    repeat_db: float
    fill_lines: float
    fill_share: float
    looks: int


@dataclass(frozen=True, slots=True)
class Array:
    """The wave simulator's array: steering angles in radians, scatterers to a resolution cell, receive F-number."""

    angles: tuple[float, ...] = (-0.14, 0.0, 0.14)
    per_cell: float = 4.0
    f_number: float = 1.6
    bandwidth_percent: float = 70.0
    noise_db: float = -30.0


@dataclass(frozen=True, slots=True)
class Display:
    """Time gain, compression and grey curve. `curve` are the heights of a monotone grey map at even steps.

    `power` compresses by that power of the amplitude instead of its logarithm; 0 is the logarithm.
    """

    tgc_slope: float
    tgc_errors_db: tuple[float, ...]
    range_db: float
    median_level: float
    curve: tuple[float, ...]
    black_lift: float
    smoothing: str
    power: float = 0.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A shadow or lost contact: a span of lines (shares of the width) weakened below a depth share."""

    middle: float
    width: float
    from_depth: float
    loss_db: float


def draw_probe(reach_mm: tuple[float, float], rng: Generator) -> Probe:
    """A probe whose picture holds a (width, depth): linear where one is wide enough, curvilinear otherwise."""
    wide, deep = reach_mm
    depth = float(np.clip(deep * rng.uniform(1.03, 1.7), 22, 120))
    frequency = float(np.clip(rng.uniform(260, 430) / depth, 3, 14))
    wanted = wide * rng.uniform(0.85, 1.6)
    if depth > 66 or wanted > 58 or rng.random() < 0.15:
        radius = rng.uniform(38, 62)
        needed = np.arcsin(min(wanted / 2 / (radius + 0.55 * depth), 0.65))
        half_angle = float(np.clip(max(needed, np.radians(rng.uniform(20, 34))), 0, np.radians(38)))
        return Probe("curvilinear", 0, radius, half_angle, depth, min(frequency, 6.5))
    return Probe("linear", float(np.clip(wanted, 28, 56)), 0, 0, depth, frequency)


def draw_beam(rng: Generator) -> Beam:
    """Focusing, bandwidth and floors from clean to as poor as real pictures get."""
    return Beam(
        focus_share=rng.uniform(0.4, 0.9),
        f_transmit=rng.uniform(2.2, 8.0),
        f_receive=rng.uniform(1.3, 4.5),
        bandwidth=rng.uniform(0.4, 0.75),
        axial_stretch=rng.uniform(1, 1.8),
        side_lobe_db=rng.uniform(-44, -16),
        noise_db=rng.uniform(-44, -16),
        haze_db=rng.uniform(-40, -14),
        looks=int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2])),
    )


def draw_aperture(rng: Generator) -> Aperture:
    """Plane-wave imaging from a clean window to a bare one, from quiet to as noisy as real pictures get."""
    return Aperture(
        angle=np.radians(rng.uniform(4, 16)),
        apodisation=rng.uniform(0, 1),
        bandwidth=rng.uniform(0.3, 0.8),
        side_lobe_db=rng.uniform(-32, -12),
        noise_db=rng.uniform(-34, -10),
        repeat_mm=rng.uniform(2, 14),
        repeat_db=rng.uniform(-40, -16),
        fill_lines=rng.uniform(4, 24),
        fill_share=10 ** (rng.uniform(-40, -12) / 20),
        looks=int(rng.choice([1, 2, 3, 5], p=[0.4, 0.25, 0.2, 0.15])),
    )


def draw_array(rng: Generator) -> Array:
    """Three plane waves, sparse to dense scatterers, a quiet to a noisy receiver."""
    steer = np.radians(rng.uniform(5, 12))
    angles = (-float(steer), 0.0, float(steer))
    return Array(angles, rng.uniform(2, 6), rng.uniform(1.2, 2.2), rng.uniform(50, 80), rng.uniform(-40, -18))


def draw_display(rng: Generator, by_power: bool = False) -> Display:
    """A deliberately wrong TGC, a dynamic range or a power, a random monotone grey curve, a smoothing."""
    steps = rng.dirichlet(np.full(7, rng.uniform(2.0, 12.0)))
    return Display(
        tgc_slope=rng.uniform(0.48, 0.78),
        tgc_errors_db=tuple(float(v) for v in rng.normal(0, rng.uniform(0.5, 3.0), 8)),
        range_db=rng.uniform(36, 80),
        median_level=rng.uniform(0.1, 0.6),
        curve=tuple(float(v) for v in np.concatenate([[0.0], np.cumsum(steps)])),
        black_lift=rng.choice([0.0, rng.uniform(0, 0.06)]),
        smoothing=str(rng.choice(["none", "blur", "median", "bilateral", "sharp"], p=[0.35, 0.2, 0.15, 0.15, 0.15])),
        power=rng.uniform(0.2, 0.5) if by_power else 0.0,
    )


def draw_disturbances(rng: Generator) -> tuple[Disturbance, ...]:
    """None in most frames; gas, gel gaps and hair in the others."""
    count = int(rng.choice([0, 1, 2], p=[0.6, 0.28, 0.12]))
    return tuple(
        Disturbance(
            rng.uniform(0, 1), rng.uniform(0.02, 0.12), rng.choice([0.0, rng.uniform(0, 0.4)]), rng.uniform(4, 22)
        )
        for _ in range(count)
    )
