"""The bench's rows as a picture: how long each way takes, and how many frames it answers."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from serving.bench.figures import Report, Row

_OURS, _OTHERS, _FLOOR = "#1b6ca8", "#9aa5b1", "#3a3f45"


def draw(report: Report, path: Path) -> None:
    """Left: latency of one frame at a time, median to 99th percentile. Right: frames a second of eight clients."""
    alone = [row for row in report.rows if row.ratio is not None and "stream" not in row.name]
    crowd = [row for row in report.rows if row.name.endswith("eight clients")]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 0.45 * max(len(alone), 4) + 1.4), layout="constrained")
    _latencies(left, alone)
    _rates(right, crowd)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _latencies(axes: Axes, rows: list[Row]) -> None:
    names = [row.name for row in rows]
    axes.barh(names, [row.p50 for row in rows], color=[_colour(row) for row in rows])
    axes.hlines(names, [row.p50 for row in rows], [row.p99 for row in rows], color="black", linewidth=1.2)
    axes.plot([row.p99 for row in rows], names, "|", color="black", markersize=9)
    axes.axvline(rows[0].p50, color=_FLOOR, linewidth=0.8, linestyle=":")
    axes.set_title("one client: ms a frame, median (bar) to 99th percentile (line)", fontsize=9, loc="left")
    axes.invert_yaxis()
    _plain(axes)


def _rates(axes: Axes, rows: list[Row]) -> None:
    names = [row.name.removesuffix(", eight clients") for row in rows]
    rates = [row.per_second or 0.0 for row in rows]
    bars = axes.barh(names, rates, color=[_colour(row) for row in rows])
    axes.bar_label(bars, [f"{rate:.0f}" for rate in rates], padding=3, fontsize=8)
    axes.set_title("eight clients: frames answered a second", fontsize=9, loc="left")
    axes.invert_yaxis()
    _plain(axes)


def _colour(row: Row) -> str:
    if row.name.startswith("floor"):
        return _FLOOR
    return _OURS if row.name.startswith(("hipsono", "Reader")) else _OTHERS


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
