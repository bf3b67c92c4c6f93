"""A cut is noticed between hips that look alike, and not within a cine that moves, however its picture is set."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datasets.phantom.cine import Motion, draw_motion, filmed
from datasets.phantom.generate import draw_phantom
from model.anatomy import View
from model.cuts import likeness
from model.findings import find
from model.frame import Frame
from model.preprocess import find_sector, look_at
from model.tracking import continued, follow
from tests.model.maps import SPEC, UNMOVED, maps_of

FRAME_S = 1 / 30
HIP, OTHERS = 960_100, range(962_001, 962_041)
FAST = Motion(5.0, 40, 1.0, 60, 0.1, 20, 0.3)
"""As much as a millimetre from one frame to the next."""


def seen(grey):
    frame = Frame(grey)
    return look_at(frame, find_sector(frame), 288, 288)


def pictures(drawn, indices, motion=None):
    motion = motion or draw_motion(np.random.default_rng(drawn.seed))
    return [sample.frame.grey for sample in filmed(drawn, motion, indices)]


@pytest.fixture(scope="module", params=[View.ILIOPECTINEAL, View.INFEROMEDIAL, View.LONGITUDINAL])
def hips(request):
    """A hip and another under the same scanner, as drawn, whose whole pictures do not tell them apart."""
    hip = draw_phantom(HIP, request.param)
    (grey,) = pictures(hip, [2])
    scanner = {name: getattr(hip, name) for name in ("probe", "beam", "display", "screen")}
    others = (replace(draw_phantom(seed, request.param), **scanner) for seed in OTHERS)
    return hip, next(other for other in others if correlation(grey, *pictures(other, [0])) > 0.5)


@pytest.fixture(scope="module")
def hip(hips):
    """Three pictures of the first."""
    return pictures(hips[0], range(3))


def begun(greys):
    """At which of the pictures a cine begins anew."""
    track, began = None, []
    for k, grey in enumerate(greys):
        look, maps = seen(grey), maps_of(np.zeros((288, 288), np.uint8), View.OTHER)
        track = continued(track, look, k * FRAME_S)
        if track is None and k:
            began.append(k)
        _, track = follow(find(maps, UNMOVED, SPEC), maps, track, look, k * FRAME_S)
    return began


def correlation(one, other):
    small = [cv2.resize(seen(grey).picture, (48, 48), interpolation=cv2.INTER_AREA) for grey in (one, other)]
    return cv2.matchTemplate(*small, cv2.TM_CCOEFF_NORMED)[0, 0]


def test_a_cut_to_a_hip_that_looks_alike_is_noticed(hips, hip):
    other = pictures(hips[1], range(3))
    assert begun(hip + other) == [3]
    assert begun(other + hip) == [3]


def test_a_moving_cine_is_one(hips):
    assert begun(pictures(hips[0], range(6), FAST)) == []


def test_frames_that_were_dropped_are_no_cut(hips):
    assert begun(pictures(hips[0], range(0, 20, 5))) == []


@pytest.mark.parametrize("step", [-25, 25])
def test_a_turned_knob_is_no_cut(hip, step):
    turned = [np.where(grey > 0, np.clip(grey.astype(int) + step, 1, 255), 0).astype(np.uint8) for grey in hip]
    assert begun(hip + turned) == []


def test_a_sector_that_is_found_smaller_moves_no_tissue(hip):
    frame = Frame(hip[0])
    x0, y0, x1, y1 = find_sector(frame)
    whole, part = (look_at(frame, box, 288, 288) for box in ((x0, y0, x1, y1), (x0, y0, x1, y1 - (y1 - y0) // 8)))
    assert likeness(whole, part) > 0.8
    assert likeness(part, whole) > 0.8


def test_an_empty_picture_is_like_an_empty_one_only(hip):
    full, empty = seen(hip[0]), seen(np.zeros((480, 640), np.uint8))
    assert likeness(empty, empty) == 1
    assert likeness(full, empty) <= 0.1
    assert likeness(empty, full) <= 0.1
