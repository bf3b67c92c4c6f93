"""Latencies and rates as rows; only ratios within one run compare between machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

_QUANTILES = (50, 95, 99, 99.9, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """One way of reading frames. Latencies in ms; `ratio` is the median's to the floor's median.

    `per_second`, `cpu_ms` (its processor time a frame, a server's without its clients') and `memory_mb` are None where
    they were not measured.
    """

    name: str
    p50: float
    p95: float
    p99: float
    p999: float
    worst: float
    ratio: float | None = None
    per_second: float | None = None
    cpu_ms: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its goal; `holds` None where there is no goal."""

    name: str
    value: float
    goal: str
    holds: bool | None


def at_most(name: str, value: float, goal: float) -> Figure:
    """A figure that holds up to its goal."""
    return Figure(name, round(value, 3), f"<= {goal:g}", value <= goal)


def at_least(name: str, value: float, goal: float) -> Figure:
    """A figure that holds from its goal on."""
    return Figure(name, round(value, 3), f">= {goal:g}", value >= goal)


@dataclass(frozen=True, slots=True)
class Report:
    """One run: rows, figures, and what it ran on."""

    machine: str
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def markdown(self) -> str:
        """Two tables for docs/benchmarks.md."""
        heads = ("", "p50 ms", "p95", "p99", "p99.9", "max", "/ floor", "frames/s", "CPU ms a frame", "MB")
        rows = [
            (r.name, r.p50, r.p95, r.p99, r.p999, r.worst, r.ratio, r.per_second, r.cpu_ms, r.memory_mb)
            for r in self.rows
        ]
        figures = [(f.name, f.value, f.goal, {True: "yes", False: "**no**", None: ""}[f.holds]) for f in self.figures]
        return (
            f"{self.machine}\n\n{_table(heads, rows)}\n\n{_table(('figure', 'measured', 'goal', 'holds'), figures)}\n"
        )


def row(name: str, taken_ms: Sequence[float], floor_ms: float | None = None) -> Row:
    """A row of latencies, with their median's ratio to the floor where that is given."""
    p50, p95, p99, p999, worst = (round(float(v), 2) for v in np.percentile(taken_ms, _QUANTILES))
    return Row(name, p50, p95, p99, p999, worst, None if floor_ms is None else round(p50 / floor_ms, 3))


def weighed(told: Row, cpu_s: float, memory_mb: float | None = None, per_second: float | None = None) -> Row:
    """The row with the processor seconds that a frame took, and more where it was measured."""
    memory = None if memory_mb is None else round(memory_mb)
    rate = told.per_second if per_second is None else round(per_second, 1)
    return replace(told, cpu_ms=round(1e3 * cpu_s, 2), memory_mb=memory, per_second=rate)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |" for line in lines)
