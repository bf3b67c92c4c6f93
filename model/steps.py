"""The steps from a frame to its reading: what one hands to the next, so that several frames take each together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.findings import Findings
from model.frame import Frame
from model.preprocess import Box, Look
from model.runtime import Maps
from model.spec import StripSpec

CAREFUL: Final = 2
"""Looks at a frame where nobody waits for it: archives, files, exams."""
_PACK: Final = 8
"""Frames read stage by stage: of 4, 8 and 24 none is faster than 8, which takes half of what is not the network's."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame as the network will see it, and how long that took."""

    frame: Frame
    look: Look
    took_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What the network answered, and how long picture and answer took."""

    frame: Frame
    look: Look
    maps: Maps
    took_s: tuple[float, float]
    looks: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a first look found, how long finding took, the box of a closer look where there is to be one, its answer."""

    first: Answered
    findings: Findings
    box: Box | None
    took_s: float
    near: Answered | None = None


def graded_by_both(first: Answered, near: Answered, temperature: float) -> Answered:
    """The first look's answer with the mean of both looks' grade probabilities, at a temperature of its own: two looks
    that agree are surer than either.
    """
    return _regraded(first, near.maps.gsus, 0.5, temperature)


def graded_along(answered: Answered, gsus: NDArray[np.float32], strip: StripSpec) -> Answered:
    """The answer with its grade probabilities averaged with those of a strip along the neck."""
    return _regraded(answered, gsus, strip.gsus_share, strip.gsus_temperature)


def _regraded(answered: Answered, gsus: NDArray[np.float32], share: float, temperature: float) -> Answered:
    mean = (1 - share) * np.asarray(answered.maps.gsus, np.float64) + share * gsus
    sharpened = mean ** (1 / temperature)
    told = np.asarray(sharpened / sharpened.sum(axis=-1, keepdims=True), np.float32)
    return replace(answered, maps=replace(answered.maps, gsus=told))


def taken_twice(answered: Answered, took_s: tuple[float, float] = (0.0, 0.0)) -> Answered:
    """The answer of a frame that was looked at once more, in so many seconds for picture and network."""
    preprocess_s, network_s = answered.took_s
    return replace(answered, took_s=(preprocess_s + took_s[0], network_s + took_s[1]), looks=CAREFUL)


def packs(frames: Iterable[Frame]) -> Iterator[tuple[Frame, ...]]:
    """A few frames at a time. Where the next frame cannot be had, the last few come first."""
    pack: list[Frame] = []
    try:
        for frame in frames:
            pack.append(frame)
            if len(pack) == _PACK:
                yield tuple(pack)
                pack.clear()
    except Exception:
        if pack:
            yield tuple(pack)
        raise
    if pack:
        yield tuple(pack)
