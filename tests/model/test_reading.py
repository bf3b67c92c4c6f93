"""Many frames at once are read as each by itself, and nothing that was read is lost when a source breaks off."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom.cine import cine
from model.anatomy import View
from model.frame import Region
from model.reading import NERVE_NOTICE, Reader
from model.runtime import STARTER, Session
from tests import known_hips


@pytest.fixture(scope="module")
def reader():
    return Reader(Session(STARTER, threads=1))


@pytest.fixture(scope="module")
def frames():
    """More than are read at once, and not a multiple of them."""
    few = [sample.frame for sample in cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 3)]
    return [replace(few[k % 3], index=k) for k in range(11)]


def told(reading):
    return reading.id, reading.view, reading.landmarks, reading.solar, reading.frame, reading.warnings


def test_all_are_read_as_each_by_itself(reader, frames):
    together = list(reader.read_all(frames))
    assert [frame.index for frame, _ in together] == list(range(11))
    for frame, reading in together:
        alone = reader.read(frame)
        assert told(reading) == told(alone)
        for one, other in zip(reading.structures, alone.structures, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.contours, other.contours, strict=True))
        assert {timing.stage for timing in reading.timings} == {"preprocess", "network", "interpret"}


@pytest.mark.parametrize("good", [0, 3, 8, 10])
def test_what_came_before_a_break_is_read(reader, frames, good):
    def broken_off():
        yield from frames[:good]
        raise OSError("the file ends here")

    read = []
    with pytest.raises(OSError, match="ends here"):
        list(_noted(reader.read_all(broken_off()), read))
    assert read == list(range(good))


def _noted(readings, read):
    """Each reading, noted as it comes: what a break leaves is what a caller has had."""
    for frame, reading in readings:
        read.append(frame.index)
        yield frame, reading


def test_nothing_is_read_ahead_of_what_is_asked_for(reader, frames):
    handed = []
    readings = reader.read_all(frame for frame in frames if handed.append(frame.index) is None)
    next(readings)
    assert handed == list(range(8))


def test_without_a_doppler_picture_the_reason_says_what_was_missing(reader, frames):
    grey = replace(frames[0], pixels=frames[0].grey, regions=())
    assert reader.read(grey).solar.pdus.reason == "no Doppler picture"
    told = replace(grey, regions=(Region(0, 0, grey.width - 1, grey.height - 1, shows_flow=True),))
    assert "export it in colour" in (reader.read(told).solar.pdus.reason or "")
    plain = np.repeat(grey.grey[..., None], 3, axis=2)
    assert (reader.read(replace(grey, pixels=plain)).solar.pdus.reason or "").startswith("no Doppler picture: no flow")


@pytest.mark.parametrize(
    ("gain", "reason"), [(40.0, "saturated: lower the gain"), (0.05, "empty: check probe contact")]
)
@pytest.mark.parametrize("looks", [1, 2])
def test_nothing_is_located_in_a_picture_that_is_saturated_or_empty(gain, reason, looks):
    reader = Reader(Session(STARTER, threads=1), looks=looks)
    for view, seed in known_hips.BY_VIEW.items():
        frame = next(iter(cine(seed, view, 1))).frame
        spoilt = replace(frame, pixels=np.clip(gain * frame.grey, 0, 255).astype(np.uint8))
        reading = reader.read(spoilt)
        assert (reading.structures, reading.landmarks, reading.targets, reading.measurements) == ((), (), (), ())
        assert reason in reading.solar.gsus.reason and reason in reading.solar.combined.reason


def test_a_target_that_cannot_be_told_has_its_reason_among_the_warnings():
    session = Session(STARTER, threads=1)
    frame = next(iter(cine(known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL, 1))).frame
    whole = Reader(session).read(frame)
    assert whole.targets and NERVE_NOTICE in whole.warnings and len(whole.warnings) == 1
    session.spec = replace(session.spec, thresholds=replace(session.spec.thresholds, structure=1.0))
    reading = Reader(session).read(frame)
    assert reading.targets == ()
    assert reading.warnings == ("no iliopectineal_target: neither femoral_artery nor femoral_vein found",)
