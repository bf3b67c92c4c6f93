"""The dataset on disk: what is written comes back exactly, and what cannot be written is refused."""

from pathlib import Path

import cv2
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets.palette import decode_mask, encode_mask
from datasets.sample import VESSEL, VESSEL_ID, Acquisition, Sample, Truth
from datasets.store import open_store, write_store
from model.anatomy import GRADES, LANDMARK_NAMES, STRUCTURE_NAMES, STRUCTURES, Laterality, View
from model.frame import MIN_SIDE_PX, Frame, Region, whole_frame

IDS = [0, *(s.id for s in STRUCTURES), VESSEL_ID]
TEXT = st.text(max_size=12)
SIDES = st.integers(MIN_SIDE_PX, MIN_SIDE_PX + 20)
NUMBER = st.none() | st.floats(-1e6, 1e6)


@st.composite
def regions_in(draw, height: int, width: int):
    spacing = st.none() | st.tuples(st.floats(1e-3, 5.0), st.floats(1e-3, 5.0))
    if draw(st.booleans()):
        return whole_frame(width, height, draw(spacing))
    boxes = draw(st.lists(st.tuples(st.integers(0, width - 1), st.integers(0, height - 1)), max_size=3))
    return tuple(Region(x, y, width - 1, height - 1, draw(spacing), draw(st.booleans())) for x, y in boxes)


@st.composite
def landmark_arrays(draw):
    points = draw(hnp.arrays(np.float64, (len(LANDMARK_NAMES), 2), elements=st.floats(-1e4, 1e4)))
    points[draw(hnp.arrays(np.bool_, len(LANDMARK_NAMES)))] = np.nan
    return points


@st.composite
def samples(draw):
    height, width = draw(SIDES), draw(SIDES)
    shape = draw(st.sampled_from([(height, width), (height, width, 3)]))
    frame = Frame(
        draw(hnp.arrays(np.uint8, shape)),
        draw(regions_in(height, width)),
        draw(st.none() | st.sampled_from(["phantom", "dicom-region"])),
        draw(TEXT),
        draw(st.integers(0, 10**6)),
        draw(st.sampled_from(Laterality)),
        draw(st.none() | st.floats(0, 130)),
        tuple(draw(st.lists(TEXT, max_size=2))),
    )
    mask = draw(st.none() | hnp.arrays(np.uint8, (height, width), elements=st.sampled_from(IDS)))
    grade = st.none() | st.sampled_from(GRADES)
    truth = Truth(
        draw(st.sampled_from(View)),
        mask,
        draw(landmark_arrays()),
        draw(grade),
        draw(grade),
        *(draw(NUMBER) for _ in range(4)),
        labelled=tuple(draw(st.lists(st.sampled_from([*STRUCTURE_NAMES, VESSEL]), unique=True))),
    )
    taken = Acquisition(draw(TEXT), *(draw(NUMBER) for _ in range(4)), flipped=draw(st.none() | st.booleans()))
    return Sample(frame, truth, draw(st.text(min_size=1, max_size=9)), draw(TEXT), draw(TEXT), taken)


def assert_same(got: Sample, expected: Sample) -> None:
    np.testing.assert_array_equal(got.frame.pixels, expected.frame.pixels, strict=True)
    np.testing.assert_array_equal(got.truth.landmarks_xy, expected.truth.landmarks_xy, strict=True)
    if expected.truth.mask is None:
        assert got.truth.mask is None
    else:
        np.testing.assert_array_equal(got.truth.mask, expected.truth.mask, strict=True)
    arrays = {"pixels", "landmarks_xy", "mask"}
    for value, other in ((got.frame, expected.frame), (got.truth, expected.truth)):
        for name in set(value.__dataclass_fields__) - arrays:
            assert getattr(value, name) == getattr(other, name), name
    for name in ("patient_id", "study_id", "reader_id", "acquisition"):
        assert getattr(got, name) == getattr(expected, name)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(written=st.lists(samples(), max_size=3))
def test_what_is_written_comes_back_exactly(written, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "data"
    assert write_store(iter(written), folder, provenance="drawn", licence="CC0-1.0") == len(written)
    store = open_store(folder)
    assert len(store) == len(written)
    assert (store.provenance, store.licence) == ("drawn", "CC0-1.0")
    for i, sample in enumerate(written):
        assert_same(store.sample(i), sample)
        assert store.records[i].view is sample.truth.view
    assert not list(folder.rglob("*.part"))


@settings(max_examples=25)
@given(mask=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from(IDS)))
def test_masks_are_palette_pictures_in_the_colours_of_the_anatomy(mask):
    data = encode_mask(mask)
    np.testing.assert_array_equal(decode_mask(data), mask)
    seen = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    for structure in STRUCTURES:
        assert (seen[mask == structure.id] == structure.colour).all()
    assert (seen[mask == 0] == 0).all()


def plain_sample(**truth) -> Sample:
    fields = {"view": View.OTHER, "mask": None, "landmarks_xy": np.full((len(LANDMARK_NAMES), 2), np.nan), **truth}
    return Sample(Frame(np.zeros((40, 50), np.uint8)), Truth(**fields), "p1", "s1")


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="not empty"):
        write_store([plain_sample()], tmp_path, provenance="", licence="")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_half_a_landmark_is_refused(tmp_path: Path):
    landmarks = np.full((len(LANDMARK_NAMES), 2), np.nan)
    landmarks[0, 0] = 3.0
    with pytest.raises(ValueError, match="half a point"):
        write_store([plain_sample(landmarks_xy=landmarks)], tmp_path / "d", provenance="", licence="")


def test_an_interrupted_writing_is_no_dataset(tmp_path: Path):
    def broken():
        yield plain_sample()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_store(broken(), tmp_path / "d", provenance="", licence="")
    with pytest.raises(ValueError, match="cut short"):
        open_store(tmp_path / "d")


def test_a_record_of_another_hand_may_give_one_spacing_only(tmp_path: Path):
    write_store([plain_sample()], tmp_path / "d", provenance="", licence="")
    path = tmp_path / "d" / "records.jsonl"
    record = orjson.loads(path.read_bytes()) | {"spacing_mm": [0.1, 0.2]}
    path.write_bytes(orjson.dumps(record))
    store = open_store(tmp_path / "d")
    assert store.records[0].spacing_mm == (0.1, 0.2)
    assert store.sample(0).frame.regions == whole_frame(50, 40, (0.1, 0.2))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"view": "sideways"}, "sideways"),
        ({"file": "../../secret.png"}, "inside its own folder"),
        ({"patient_id": None}, "patient_id"),
        ({"landmarks": {"nose": [1, 2]}}, "nose"),
        ({"spacing_mm": [0, 1]}, "spacing"),
    ],
)
def test_a_bad_record_is_named_with_its_line(tmp_path: Path, change, reason):
    write_store([plain_sample(), plain_sample()], tmp_path / "d", provenance="", licence="")
    path = tmp_path / "d" / "records.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(first + b"\n" + orjson.dumps(orjson.loads(second) | change))
    with pytest.raises(ValueError, match=rf"line 2.*{reason}"):
        open_store(tmp_path / "d")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_masks_of_other_programs_with_few_bits_are_read_as_indices(depth: int):
    import struct
    import zlib

    ids = np.arange(2**depth, dtype=np.uint8)[None].repeat(3, axis=0)
    bits = np.unpackbits(ids[..., None], axis=2)[..., -depth:].reshape(3, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", ids.shape[1], 3, depth, 3, 0, 0, 0)
    palette = bytes(range(3 * 2**depth))
    picture = (
        chunk(b"IHDR", header) + chunk(b"PLTE", palette) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(decode_mask(b"\x89PNG\r\n\x1a\n" + picture), ids)
