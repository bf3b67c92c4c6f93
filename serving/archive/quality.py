"""How well a hip is shown: 0 where nothing can be graded, 1 where everything a grade stands on is sure."""

from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from model.anatomy import View
from model.reading import Reading

STANDS_ON: Final = ("anterior_recess", "femoral_neck", "head_neck_junction", "capsule_insertion")
"""The structures and landmarks that a grade needs, beside the view."""


def frame_quality(reading: Reading) -> float | None:
    """The least confidence among the view and what a grade stands on; None for a frame of another view.

    0 where the picture is empty or saturated, or where one of them was not found. That grades are hard to tell
    apart is no fault of the picture and lowers nothing.
    """
    if reading.view.name is not View.LONGITUDINAL:
        return None
    if not reading.solar.gsus.probabilities:
        return 0.0
    found = {one.name: one.confidence for one in reading.structures}
    found |= {one.name: one.confidence for one in reading.landmarks}
    return float(min(reading.view.confidence, *(found.get(name, 0.0) for name in STANDS_ON)))


def hip_qualities(folder: Path) -> dict[tuple[str, str], float]:
    """By study and hip the mean over its frames of the view, those that cannot be graded counted as 0.

    `folder` is what `hipsono grade` wrote. A hip without a frame of the view is left out, and so are all where the
    table is not there or of a version that did not tell.
    """
    path = folder / "readings.parquet"
    if not path.is_file() or "quality" not in pq.read_schema(path).names:
        return {}
    readings = pq.read_table(path, columns=["study", "laterality", "quality"])
    means = readings.group_by(["study", "laterality"], use_threads=False).aggregate([("quality", "mean")]).to_pylist()
    return {(row["study"], row["laterality"]): row["quality_mean"] for row in means if row["quality_mean"] is not None}
