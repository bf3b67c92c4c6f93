"""Colour in a scanner's picture: what goes beyond its tint, and flow told from what is drawn over it.

Pictures are Y, Cr, Cb (H, W, 3) uint8: grey adds nothing to Cr and Cb, so a line keeps its hue however it was blended
with the tissue under it or blurred by a JPEG.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_NEUTRAL: Final = 128
_MIN_CHROMA: Final = 20
_PALE_CHROMA: Final = 5
_COMPRESSED_SHARE: Final = 0.5
"""Pale pixels per pixel of colour's rim from which chroma was compressed: lossless pictures have 0.3 at most, JPEGs of
quality 98 and less 0.7 and more, phantoms and real ones alike.
"""
_EDGE: Final = 0.45
"""Where flow ends in a compressed picture, as a share of the strongest chroma beside it: keeps the area it had."""
_BLEED_PX: Final = 7
_SAMPLE_STEP: Final = 8
_LEVEL_STEP: Final = 16
_MIN_SAMPLE: Final = 10
_LIT_LEVEL: Final = 32
_MIN_TINT: Final = 3
_TINTED_SHARE: Final = 0.6
_THINNEST_FLOW_PX: Final = 3
_STROKE_HALF_PX: Final = 4.5
_ONE_HUE_DEG: Final = 2.0
_MAP_END_DEG: Final = 8.0
_MAP_ENDS_DEG: Final = (171.0, -71.0)
"""Yellow and cyan, where maps of flow end: a vessel as thin as a stroke has weaker flow, of another hue, at its rim."""
_MAP_END_REACH_DEG: Final = 12.0

_Picture = NDArray[np.uint8]
_Plane = NDArray[np.float32]


def split_colour(rgb: _Picture) -> _Picture:
    """The RGB picture as Y, Cr, Cb."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)


def untinted(ycc: _Picture, tissue: _Picture) -> _Picture:
    """A picture of Y, Cr, Cb without its tint: the colour that `tissue`, a part of it, has at each brightness."""
    tint = _tint(tissue[::_SAMPLE_STEP, ::_SAMPLE_STEP].reshape(-1, 3))
    if tint is None:
        return ycc
    luma, *chroma = cv2.split(ycc)
    chroma = [cv2.addWeighted(c, 1, cv2.LUT(luma, t), -1, _NEUTRAL) for c, t in zip(chroma, tint, strict=True)]
    return np.asarray(cv2.merge([luma, *chroma]), dtype=np.uint8)


def is_coloured(ycc: _Picture) -> _Picture:
    """(H, W): 255 where there is colour, 0 elsewhere."""
    low, high = _NEUTRAL - _MIN_CHROMA, _NEUTRAL + _MIN_CHROMA
    return np.asarray(cv2.bitwise_not(cv2.inRange(ycc, (0, low, low), (255, high, high))), dtype=np.uint8)


def is_warm(ycc: _Picture) -> _Picture:
    """(H, W): 255 where colour has red in it, as flow away from a colour bar must have to be known for flow."""
    return np.asarray(cv2.inRange(ycc, (0, _NEUTRAL + _MIN_CHROMA, 0), (255, 255, 255)), dtype=np.uint8)


def pick_flow(ycc: _Picture) -> _Picture:
    """(H, W): 1 where colour is flow, which is not green, no thinner than 3 pixels and no stroke of one hue."""
    red, blue = (plane.astype(np.float32) - _NEUTRAL for plane in cv2.split(ycc)[1:])
    strength = np.asarray(cv2.magnitude(red, blue), dtype=np.float32)
    coloured = np.asarray(strength >= _MIN_CHROMA, dtype=np.uint8)
    if _is_compressed(strength, coloured):
        coloured &= strength >= _EDGE * cv2.dilate(strength, _square(_BLEED_PX))
    green = (red < -_MIN_CHROMA / 2) & (blue < 0)
    flow = np.asarray(coloured & ~green, dtype=np.uint8)
    thick = cv2.morphologyEx(flow, cv2.MORPH_OPEN, _square(_THINNEST_FLOW_PX))
    flow &= np.asarray(cv2.dilate(thick, _square(_THINNEST_FLOW_PX)), dtype=np.uint8)
    return _without_strokes(flow, (red, blue))


def hues_apart_deg(ycc: _Picture) -> float:
    """The standard deviation of a picture's hues, weighted by their strength."""
    red, blue = (plane.astype(np.float64).ravel() - _NEUTRAL for plane in cv2.split(ycc)[1:])
    return float(_hues(np.zeros(red.size, np.intp), red, blue)[1][0])


def _tint(sample: _Picture) -> tuple[_Picture, _Picture] | None:
    """Cr and Cb (256,) of tissue by brightness, out of (N, 3); None where it is grey or colour does not follow."""
    lit = sample[sample[:, 0] >= _LIT_LEVEL]
    luma, chroma = lit[:, 0], lit[:, 1:].astype(np.float32)
    if len(lit) < _MIN_SAMPLE:
        return None
    dim = chroma[luma <= np.median(luma)]
    if np.abs(np.median(dim, axis=0) - _NEUTRAL).max() < _MIN_TINT:
        return None
    # From dark to bright, each step near the one before, so that flow as bright as some tissue is not taken for it.
    known = [(0.0, np.full(2, _NEUTRAL, np.float32))]
    for low in range(_LIT_LEVEL, 256, _LEVEL_STEP):
        here = chroma[(luma >= low) & (luma < low + _LEVEL_STEP)]
        off = np.abs(here - known[-1][1]).max(axis=1, initial=0)
        near = here[off <= _MIN_CHROMA] if len(known) > 1 else here
        if len(near) >= _MIN_SAMPLE:
            known.append((low + _LEVEL_STEP / 2, np.median(near, axis=0)))
    levels, colours = zip(*known, strict=True)
    steps = np.stack(colours)
    tint = [np.rint(np.interp(np.arange(256), levels, steps[:, k])).astype(np.uint8) for k in (0, 1)]
    off = np.maximum(*(np.abs(chroma[:, k] - tint[k][luma]) for k in (0, 1)))
    return (tint[0], tint[1]) if (off <= _MIN_CHROMA).mean() >= _TINTED_SHARE else None


def _is_compressed(strength: _Plane, coloured: _Picture) -> bool:
    rim = cv2.countNonZero(coloured) - cv2.countNonZero(cv2.erode(coloured, _square(3)))
    pale = cv2.countNonZero(cv2.inRange(strength, _PALE_CHROMA, _MIN_CHROMA))
    return pale > _COMPRESSED_SHARE * rim


def _without_strokes(flow: _Picture, chroma: tuple[_Plane, _Plane]) -> _Picture:
    """Without calipers, letters and borders: thin, and of one hue, or of no hue but that at the end of a map."""
    count, labels = cv2.connectedComponents(flow)
    where = np.nonzero(flow)
    at = labels[where].astype(np.intp)
    hue, apart = _hues(at, *(plane[where] for plane in chroma))
    half_width = np.zeros(count)
    np.maximum.at(half_width, at, cv2.distanceTransform(flow, cv2.DIST_L2, 3)[where])
    to_end = np.min([np.abs(hue - end) for end in _MAP_ENDS_DEG], axis=0)
    one_hue = apart < np.where(to_end < _MAP_END_REACH_DEG, _MAP_END_DEG, _ONE_HUE_DEG)
    stroke = one_hue & (half_width <= _STROKE_HALF_PX)
    flow[where] = ~stroke[at]
    return flow


def _hues(
    at: NDArray[np.intp], red: NDArray[np.floating], blue: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean hue and its standard deviation, in degrees, of each part that pixels (N,) of Cr and Cb lie `at`."""
    sums = [np.bincount(at, weights=w) for w in (red, blue, np.hypot(red, blue))]
    straight = np.hypot(sums[0], sums[1]) / np.maximum(sums[2], 1e-9)
    return np.degrees(np.arctan2(sums[0], sums[1])), np.degrees(np.sqrt(2 * np.clip(1 - straight, 0, 1)))


def _square(side: int) -> _Picture:
    return np.ones((side, side), np.uint8)
