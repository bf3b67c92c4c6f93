"""Flow told from tints and graphics, and its measured share against the drawn one."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.doppler import find_flow, measure_flow
from model.frame import Frame, Region
from tests.model import flow_pictures as pictures
from tests.model.flow_pictures import CYAN, GREEN, WHITE, YELLOW, heat, sepia, with_calipers, with_doppler, with_label

HIPS = 5


@pytest.fixture(scope="module")
def hips():
    return pictures.hips(9_300_000, HIPS)


def fraction(hip, rgb, **told):
    """The measured fraction of flow in the recess, None where no Doppler picture is seen."""
    flow = find_flow(Frame(rgb, **told), hip.sector)
    return None if flow is None else measure_flow(flow, hip.found).fraction


@settings(max_examples=40)
@given(which=st.integers(0, HIPS - 1), share=st.floats(0.01, 0.5), seed=st.integers(0, 10_000))
def test_the_drawn_fraction_is_measured(which, share, seed, hips):
    rgb, drawn = with_doppler(hips[which], share, np.random.default_rng(seed))
    assert fraction(hips[which], rgb) == pytest.approx(drawn, abs=0.015)


@settings(max_examples=20)
@given(which=st.integers(0, HIPS - 1), share=st.floats(0.02, 0.4), seed=st.integers(0, 10_000))
def test_compression_leaves_the_fraction(which, share, seed, hips):
    rgb, drawn = with_doppler(hips[which], share, np.random.default_rng(seed))
    for quality in (95, 80):
        got = fraction(hips[which], pictures.through_jpeg(rgb, quality))
        assert got == pytest.approx(drawn, abs=0.02 + 0.15 * drawn)


@pytest.mark.parametrize("ink", [YELLOW, GREEN, CYAN, WHITE])
@pytest.mark.parametrize("tint", [0.0, 1.0], ids=["grey", "sepia"])
def test_everything_at_once_leaves_the_fraction(ink, tint, hips):
    for seed, hip in enumerate(hips):
        rng = np.random.default_rng(seed)
        rgb, drawn = with_doppler(hip, 0.1, rng, sepia(hip.plain, tint))
        rgb = with_label(with_calipers(rgb, hip, rng, ink), hip, ink)
        assert fraction(hip, rgb) == pytest.approx(drawn, abs=0.03)


@pytest.mark.parametrize("ink", [YELLOW, GREEN, CYAN, (255, 0, 0), WHITE])
@pytest.mark.parametrize("quality", [None, 90])
def test_graphics_on_a_plain_picture_are_no_doppler_picture(ink, quality, hips):
    for seed, hip in enumerate(hips):
        rgb = with_calipers(hip.plain, hip, np.random.default_rng(seed), ink)
        rgb = with_label(rgb, hip, GREEN)
        assert fraction(hip, rgb if quality is None else pictures.through_jpeg(rgb, quality)) is None


@pytest.mark.parametrize(
    "tint", [lambda hip: sepia(hip.plain), lambda hip: sepia(hip.plain, 0.4), lambda h: heat(h.grey)]
)
def test_a_tint_is_no_doppler_picture(tint, hips):
    for hip in hips:
        tinted = tint(hip)
        assert fraction(hip, tinted) is None
        assert fraction(hip, with_calipers(tinted, hip, np.random.default_rng(3))) is None
        assert fraction(hip, pictures.through_jpeg(tinted, 85)) is None


def test_box_or_bar_without_flow_is_no_flow_rather_than_no_picture(hips):
    for seed, hip in enumerate(hips):
        rng = np.random.default_rng(seed)
        framed, _ = with_doppler(hip, 0, rng)
        assert fraction(hip, framed) == 0
        assert fraction(hip, with_calipers(framed, hip, rng)) == 0


@pytest.mark.parametrize("steered", [0, 25, -25])
def test_a_coloured_box_alone_tells_a_doppler_picture(steered, hips):
    for hip in hips:
        x0, y0, x1, y1 = pictures.box_around(hip)
        corners = np.array([(x0 + steered, y0), (x1 + steered, y0), (x1, y1), (x0, y1)])
        rgb = hip.plain
        cv2.polylines(rgb, [corners], True, YELLOW, 1)
        assert fraction(hip, rgb) == 0


def test_an_outlined_area_is_no_colour_box(hips):
    for hip in hips:
        x, y, width, height = cv2.boundingRect(hip.recess)
        rgb = hip.plain
        cv2.ellipse(rgb, ((x + width / 2, y + height / 2), (width, height), 10), YELLOW, 1, cv2.LINE_AA)
        assert fraction(hip, rgb) is None


def test_the_source_may_tell_that_doppler_was_on(hips):
    hip = hips[0]
    flow_region = Region(*pictures.box_around(hip), shows_flow=True)
    assert fraction(hip, hip.plain, regions=(Region(*hip.sector), flow_region)) == 0
    assert fraction(hip, hip.plain, regions=(Region(*hip.sector),)) is None


def test_flow_outside_the_told_region_does_not_count(hips):
    hip = hips[0]
    rgb, drawn = with_doppler(hip, 0.2, np.random.default_rng(1))
    x, y, _, height = cv2.boundingRect(hip.recess)
    coloured = np.ptp(rgb.astype(int), axis=2) > 40
    middle = int(np.median(np.nonzero(coloured & (hip.recess > 0))[1]))
    left = Region(x, y, middle, y + height, shows_flow=True)
    assert fraction(hip, rgb, regions=(Region(*hip.sector), left)) == pytest.approx(drawn / 2, rel=0.25)


@pytest.mark.parametrize("below_px", [0, 30])
def test_flow_beside_the_recess_or_under_the_bone_counts_nothing(below_px, hips):
    for hip in hips:
        rgb, _ = with_doppler(hip, 0, np.random.default_rng(2))
        rows, columns = np.nonzero(hip.recess)
        if below_px:
            at = (int(columns.mean()), int(rows.max()) + below_px)
        else:
            at = (int(np.mean(hip.sector[::2])), int(rows.min()) - 30)
        cv2.circle(rgb, at, 12, (200, 60, 20), -1)
        cv2.circle(rgb, at, 6, (250, 180, 40), -1)
        flow = find_flow(Frame(rgb), hip.sector)
        assert flow[at[1], at[0]] == 1, "it is flow"
        assert measure_flow(flow, hip.found).fraction == 0


@pytest.mark.parametrize(
    ("rim", "core"),
    [((120, 10, 0), (255, 200, 0)), ((0, 0, 140), (0, 200, 255)), ((110, 0, 110), (240, 150, 230))],
    ids=["power", "away", "lilac"],
)
def test_every_map_of_flow_is_flow(rim, core, hips):
    hip = hips[0]
    rgb, _ = with_doppler(hip, 0, np.random.default_rng(2))
    rows, columns = np.nonzero(hip.recess)
    at = (int(columns.mean()), int(rows[np.abs(columns - columns.mean()) < 2].mean()))
    for radius in range(8, 0, -1):
        share = 1 - radius / 8
        cv2.circle(rgb, at, radius, tuple(int(a + share * (b - a)) for a, b in zip(rim, core, strict=True)), -1)
    inside = cv2.circle(np.zeros_like(hip.recess), at, 8, 1, -1) & hip.recess
    assert fraction(hip, rgb) == pytest.approx(inside.sum() / hip.recess.sum(), rel=0.1)


def test_spots_are_counted_by_their_share_of_the_recess():
    flow = np.zeros((100, 200), np.uint8)
    flow[40:50, 20:30] = flow[40:60, 60:100] = flow[80:82, 20:22] = flow[10:14, 10:190] = 1
    recess = SimpleNamespace(contours=(np.array([(10.0, 20.0), (189, 20), (189, 89), (10, 89)]),))
    told = measure_flow(flow, recess)
    assert (told.single_spots, told.confluent_spots) == (1, 1)
    assert told.fraction == pytest.approx((100 + 800) / (180 * 70))


def test_a_grey_frame_shows_no_doppler():
    assert find_flow(Frame(np.zeros((64, 64), np.uint8)), (0, 0, 63, 63)) is None
