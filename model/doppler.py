"""Colour flow: whether a picture is a Doppler picture, where its flow is, and how much of it lies within the recess."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.colour import hues_apart_deg, is_coloured, is_warm, pick_flow, split_colour, untinted
from model.findings import FoundStructure
from model.frame import Frame
from model.preprocess import Box

_SPOT_SHARE: Final = 3e-4
_SPOT_PX: Final = 9
_CONFLUENT_SHARE: Final = 0.03
_AROUND_PX: Final = 8
_SURE_PX: Final = 7
_SURE_SHARE: Final = 5e-4
_BOX_SIDE_SHARE: Final = 0.12
_BOX_FILLED: Final = 0.6
_BOX_FIT: Final = 0.9
_BOX_GAP_PX: Final = 9
_BOX_CORNER_SHARE: Final = 0.04
_BAR_LENGTH_SHARE: Final = 0.04
_BAR_WIDTH_PX: Final = 4
_BAR_FIT: Final = 0.7
_BAR_RIM_SHARE: Final = 0.15
_BAR_RANGE: Final = 40
_BAR_ROUGHNESS: Final = 8
_BAR_HUES_DEG: Final = 5.0
_BAR_WARM: Final = 0.3
"""Every map of flow has red in it, on one side of its baseline at least; a green word of a JPEG has none."""

_Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Flow:
    """Flow within the recess: colour fraction 0..1 of its area, and how many spots are single or confluent."""

    fraction: float
    single_spots: int
    confluent_spots: int


def find_flow(frame: Frame, sector: Box) -> _Picture | None:
    """(H, W) of the frame: 1 where flow is. None without a sign of a Doppler picture: grades are then absent, not 0.

    Signs are the source's word (a region that shows flow), flow itself, a colour box in the sector or a colour bar
    beside it.
    """
    if frame.colour is None:
        return None
    ycc = split_colour(frame.colour)
    coloured = is_coloured(ycc)
    if cv2.countNonZero(coloured):
        ycc = untinted(ycc, ycc[sector[1] : sector[3] + 1, sector[0] : sector[2] + 1])
        coloured = is_coloured(ycc)
    told = [(r.x0, r.y0, r.x1, r.y1) for r in frame.regions if r.shows_flow]
    flow = _flow_within(ycc, coloured, told or [sector])
    if told or _is_sure(ycc, flow, sector) or _is_framed(ycc, coloured, sector):
        return flow
    return None


def measure_flow(flow: _Picture, recess: FoundStructure) -> Flow:
    """Flow (H, W) inside the recess's outline; flow outside it does not count, nor do specks."""
    outline = [np.round(part).astype(np.int32) for part in recess.contours]
    x, y, width, height = cv2.boundingRect(np.concatenate(outline))
    left, top = int(np.clip(x, 0, flow.shape[1] - 1)), int(np.clip(y, 0, flow.shape[0] - 1))
    seen = flow[top : max(y + height, top + 1), left : max(x + width, left + 1)]
    inside = np.zeros(seen.shape, np.uint8)
    cv2.fillPoly(inside, outline, 1, offset=(-left, -top))
    recess_px = max(int(inside.sum()), 1)
    count, _, stats, _ = cv2.connectedComponentsWithStats(seen & inside)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    shares = areas[areas >= max(_SPOT_PX, _SPOT_SHARE * recess_px)] / recess_px
    confluent = int((shares >= _CONFLUENT_SHARE).sum())
    return Flow(float(shares.sum()), len(shares) - confluent, confluent)


def _flow_within(ycc: _Picture, coloured: _Picture, boxes: list[Box]) -> _Picture:
    allowed, flow = np.zeros_like(coloured), np.zeros_like(coloured)
    for x0, y0, x1, y1 in boxes:
        allowed[y0 : y1 + 1, x0 : x1 + 1] = 1
    x, y, width, height = cv2.boundingRect(coloured & allowed)
    if width:
        near = np.s_[max(y - _AROUND_PX, 0) : y + height + _AROUND_PX, max(x - _AROUND_PX, 0) : x + width + _AROUND_PX]
        flow[near] = pick_flow(ycc[near]) & allowed[near]
    return flow


def _is_sure(ycc: _Picture, flow: _Picture, sector: Box) -> bool:
    """Whether flow alone tells a Doppler picture: some of it is warm and wider than any stroke."""
    x, y, width, height = cv2.boundingRect(flow)
    near = np.s_[y : y + height, x : x + width]
    if not width:
        return False
    wide = cv2.morphologyEx(flow[near] & is_warm(ycc[near]), cv2.MORPH_OPEN, np.ones((_SURE_PX, _SURE_PX), np.uint8))
    area = (sector[2] + 1 - sector[0]) * (sector[3] + 1 - sector[1])
    return cv2.countNonZero(wide) >= _SURE_SHARE * area


def _is_framed(ycc: _Picture, coloured: _Picture, sector: Box) -> bool:
    """Whether a colour box or a colour bar is drawn."""
    left, top, width, height = cv2.boundingRect(coloured)
    if not width:
        return False
    seen = coloured[top : top + height, left : left + width]
    outlines, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(left, top))
    bar_px = _BAR_LENGTH_SHARE * max(coloured.shape)
    box_px = _BOX_SIDE_SHARE * (sector[2] - sector[0]), _BOX_SIDE_SHARE * (sector[3] - sector[1])
    for outline in outlines:
        x, y, width, height = cv2.boundingRect(outline)
        part = np.s_[y : y + height, x : x + width]
        filled = cv2.countNonZero(coloured[part]) / (width * height)
        if filled >= _BAR_FIT and max(width, height) >= bar_px and _is_bar(ycc[part]):
            return True
        if filled <= _BOX_FILLED and width >= box_px[0] and height >= box_px[1] and _is_box(outline):
            return True
    return False


def _is_bar(patch: _Picture) -> bool:
    """Whether a rectangle of Y, Cr, Cb runs smoothly through brightness and hue along one side, even across it."""
    if min(patch.shape[:2]) < _BAR_WIDTH_PX:
        return False
    rim_y, rim_x = (int(np.ceil(_BAR_RIM_SHARE * side)) for side in patch.shape[:2])
    inner = patch[rim_y:-rim_y, rim_x:-rim_x]
    if hues_apart_deg(inner) < _BAR_HUES_DEG or cv2.countNonZero(is_warm(inner)) < _BAR_WARM * inner[..., 0].size:
        return False
    levels = inner.astype(np.float32)
    for across in (0, 1):
        along = levels.mean(axis=across, keepdims=True)
        rough = np.abs(levels - along).mean()
        if rough <= _BAR_ROUGHNESS and np.ptp(along[..., 0]) >= _BAR_RANGE:
            return True
    return False


def _is_box(outline: NDArray[np.integer | np.floating]) -> bool:
    """Whether a line, given as its outline, encloses four corners: an upright box, a steered one, a slice of a fan."""
    x, y, width, height = cv2.boundingRect(outline)
    line = np.zeros((height + 2 * _BOX_GAP_PX, width + 2 * _BOX_GAP_PX), np.uint8)
    cv2.drawContours(line, [outline], -1, 1, offset=(_BOX_GAP_PX - x, _BOX_GAP_PX - y))
    whole = cv2.morphologyEx(line, cv2.MORPH_CLOSE, np.ones((_BOX_GAP_PX, _BOX_GAP_PX), np.uint8))
    around = max(cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    hull = cv2.convexHull(around)
    corners = cv2.approxPolyDP(hull, _BOX_CORNER_SHARE * cv2.arcLength(hull, True), True)
    least = _BOX_FIT * cv2.contourArea(hull)
    return len(corners) == 4 and cv2.contourArea(around) >= least and cv2.contourArea(corners) >= least
