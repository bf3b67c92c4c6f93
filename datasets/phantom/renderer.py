"""The two image formations of everyday phantoms, by name."""

from enum import StrEnum


class Renderer(StrEnum):
    """Focused beams, or plane waves compounded over a synthetic aperture."""

    FOCUSED = "focused"
    APERTURE = "aperture"
