"""Where words lie on an annotated picture, and what is drawn beside them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datasets.phantom.generate import phantom
from model.anatomy import HIP_VIEWS, View
from model.frame import Frame, whole_frame
from model.grade import Combined, Gsus, Pdus, Solar
from model.reading import paint_mask
from serving.labels import Room
from serving.lettering import lettering, ruler_of
from serving.overlay import draw_overlay
from tests import known_hips

SEEDS = (known_hips.ILIOPECTINEAL, known_hips.INFEROMEDIAL, 3_000_044, known_hips.LONGITUDINAL)
WIDTHS = (320, None, 1600)
NO_FLOW = Pdus(None, None, "no Doppler picture")


@pytest.fixture(scope="module")
def drawn(app):
    """Frames with their readings: each hip view, small, as it comes, and large."""
    reader, frames = app.state.engine.reader, []
    for view in HIP_VIEWS:
        for seed in SEEDS:
            frame = phantom(seed, view).frame
            frames += [frame if width is None else resized(frame, width) for width in WIDTHS]
    return [(frame, reader.read(frame)) for frame in frames]


def resized(frame, width):
    ratio = width / frame.width
    spacing = next((r.spacing_mm for r in frame.regions if r.spacing_mm), None)
    picture = cv2.resize(frame.grey, (width, round(frame.height * ratio)))
    scaled = None if spacing is None else (spacing[0] / ratio, spacing[1] / ratio)
    return Frame(picture, whole_frame(width, picture.shape[0], scaled), "request" if scaled else None)


def shared(one, other):
    sides = [min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0)


def labels_of(reading):
    """The lines that have no place of their own."""
    lines = lettering(reading)
    return lines[len(lettering(replace(reading, landmarks=(), targets=(), measurements=()))) :]


def test_no_words_lie_over_others_or_beyond_the_picture(drawn):
    for frame, reading in drawn:
        boxes = [line.box for line in lettering(reading)]
        most = max(shared(a, b) / min(shared(a, a), shared(b, b)) for k, a in enumerate(boxes) for b in boxes[:k])
        assert most < 0.02, (reading.view.name, frame.width)
        whole = (0, 0, frame.width, frame.height)
        assert all(shared(box, whole) == shared(box, box) for box in boxes), (reading.view.name, frame.width)


def test_labels_leave_the_anatomy_to_be_seen(drawn):
    shares = []
    for _, reading in drawn:
        anatomy = paint_mask(reading) > 0
        for label in labels_of(reading):
            x0, y0, x1, y1 = (round(side) for side in label.box)
            shares.append(anatomy[y0:y1, x0:x1].mean())
    assert len(shares) > 100
    assert np.mean(shares) < 0.03
    assert max(shares) < 0.3


def test_everything_found_is_named(drawn):
    for _, reading in drawn:
        words = [line.text for line in labels_of(reading)]
        assert len(words) >= len(reading.landmarks) + len(reading.targets)


def test_the_banner_tells_both_grades_and_what_asks_for_review(drawn):
    reading = next(one for _, one in drawn if one.solar.gsus.grade is not None and one.solar.gsus.review is None)
    flow = Pdus(1, 2)
    for gsus, combined, told in (
        (reading.solar.gsus, Combined(2), "PDUS 2 (literal 1); combined 2"),
        (reading.solar.gsus, Combined(None, "review: flow"), "PDUS 2 (literal 1); review: flow"),
        (replace(reading.solar.gsus, review="review: shape"), Combined(None, "review: shape"), "review: shape; PDUS 2"),
        (Gsus(None, (), "", "not delineated"), Combined(None, "not delineated"), "not graded: not delineated; PDUS 2"),
    ):
        lines = lettering(replace(reading, solar=Solar(gsus, flow, combined)))
        rows = sorted((line for line in lines if line.at[0] == lines[0].at[0]), key=lambda line: line.at[1])
        assert told in " ".join(line.text for line in rows)
    alone = " ".join(line.text for line in lettering(replace(reading, solar=replace(reading.solar, pdus=NO_FLOW))))
    assert "PDUS" not in alone and "combined" not in alone


def test_a_label_goes_where_there_is_room():
    left = np.array([[0, 0], [200, 0], [200, 400], [0, 400]], np.float64)
    x0, _, x1, _ = Room(400, 400, [left], {}).place("a", (195, 200), (60, 12)).box
    assert x0 >= 200 and x1 <= 280
    room = Room(400, 400, [], {})
    first, second = (room.place(key, (200, 200), (60, 12)).box for key in "ab")
    assert shared(first, second) == 0


def test_a_label_stays_where_it_was_until_another_place_is_much_better():
    before, free = {}, Room(400, 400, [], {}).place("a", (200, 200), (60, 12)).box
    crowded = Room(400, 400, [], before)
    crowded.take(free, words=True)
    moved = crowded.place("a", (200, 200), (60, 12)).box
    assert shared(moved, free) == 0
    assert Room(400, 400, [], before).place("a", (200, 200), (60, 12)).box == moved
    crowded = Room(400, 400, [], before)
    crowded.take(moved, words=True)
    assert shared(crowded.place("a", (200, 200), (60, 12)).box, moved) == 0


@pytest.mark.parametrize("row_mm", [0.05, 0.1, 0.3, 0.7])
def test_the_ruler_is_the_scale(samples, app, row_mm):
    picture = samples[View.LONGITUDINAL].frame.grey
    frame = Frame(picture, whole_frame(picture.shape[1], picture.shape[0], (row_mm, row_mm)), "request")
    reading = app.state.engine.reader.read(frame)
    ruler = ruler_of(reading.frame)
    assert 2 * ruler.step_px * row_mm == pytest.approx(ruler.numbered_mm)
    numbers = {line.text: sum(line.box[1::2]) / 2 for line in lettering(reading) if line.text in {"mm", "10", "50"}}
    if row_mm == 0.1:
        assert numbers["10"] - numbers["mm"] == pytest.approx(100, abs=1.5)
    edge = draw_overlay(frame, reading)[round(ruler.y0 + 2 * ruler.step_px), round(ruler.x) - 5]
    assert edge.min() > 200


def test_without_a_scale_there_is_no_ruler(samples, app):
    reading = app.state.engine.reader.read(Frame(samples[View.LONGITUDINAL].frame.grey))
    assert ruler_of(reading.frame) is None
    assert "mm" not in {line.text for line in lettering(reading)}


@pytest.mark.parametrize("level", [0, 128, 255])
def test_words_can_be_read_on_any_picture(app, level):
    frame = Frame(np.full((300, 400), level, np.uint8))
    reading = app.state.engine.reader.read(frame)
    x0, y0, x1, y1 = (round(side) for side in lettering(reading)[0].box)
    words = draw_overlay(frame, reading)[y0:y1, x0:x1].astype(int)
    assert words.max() > 220
    assert words.min() < 60


def test_the_smallest_picture_is_drawn(app):
    frame = Frame(np.random.default_rng(1).integers(0, 255, (32, 32), np.uint8))
    assert draw_overlay(frame, app.state.engine.reader.read(frame)).shape == (32, 32, 3)
