"""How well a frame shows a hip: 0 where nothing can be graded, 1 where everything a grade stands on is sure."""

from typing import Final

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
