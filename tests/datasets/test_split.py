"""The split: no patient and no look-alike on two sides, grades spread evenly, the same again from the same seed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.likeness import Likeness, likeness, look_alikes
from datasets.record import Record
from datasets.sample import Sample, Truth
from datasets.split import Split, group_frames, read_split, split_patients, write_split
from datasets.store import Store, open_store, write_store
from model.anatomy import LANDMARK_NAMES, View
from model.frame import Frame

NOWHERE = np.full((len(LANDMARK_NAMES), 2), np.nan)
KNOWN_NEAR_DUPLICATES = (("0003", "0050"), ("0010", "0067"), ("0013", "0080"), ("0113", "0131"))


def scan(seed: int) -> np.ndarray:
    """A smooth random picture with a structure of its own."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.random((14, 14)).astype(np.float32), (160, 120), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture * 200 + rng.normal(0, 6, picture.shape) + 20, 0, 255).astype(np.uint8)


def sample(patient: str, picture: np.ndarray, gsus: int | None = None, index: int = 0) -> Sample:
    view = View.OTHER if gsus is None else View.LONGITUDINAL
    return Sample(Frame(picture, index=index), Truth(view, None, NOWHERE, gsus=gsus), patient, "s")


def stored(samples: list[Sample], folder: Path) -> Store:
    write_store(samples, folder / "d", provenance="", licence="")
    return open_store(folder / "d")


def sides(split: Split) -> dict[int, str]:
    return {i: name for name in ("train", "validation", "calibration") for i in getattr(split, name)}


def test_patients_stay_whole_and_grades_are_spread(tmp_path: Path):
    samples = [sample(f"p{p}", scan(p * 10 + k), gsus=p % 4, index=k) for p in range(80) for k in range(2)]
    split = split_patients(stored(samples, tmp_path))
    side = sides(split)
    assert sorted(side) == list(range(160))
    for p in range(80):
        assert side[2 * p] == side[2 * p + 1]
    assert [len(split.train), len(split.validation), len(split.calibration)] == [128, 16, 16]
    for part in (split.train, split.validation, split.calibration):
        grades = np.bincount([samples[i].truth.gsus for i in part], minlength=4)
        assert np.ptp(grades) == 0, grades


def test_which_of_two_look_alikes_comes_first_says_nothing():
    """Of these pictures and their cuts one pair is alike by the middle of only one of them."""
    cut = [(likeness(scan(seed)), likeness(scan(seed)[6:117, 11:])) for seed in range(40)]
    found = [look_alikes(pair) for pair in cut]
    assert found == [look_alikes(pair[::-1]) for pair in cut] and any(found)


def test_the_seed_decides(tmp_path: Path):
    store = stored([sample(f"p{p}", scan(p)) for p in range(40)], tmp_path)
    assert split_patients(store, seed=3) == split_patients(store, seed=3)
    assert split_patients(store, seed=3).train != split_patients(store, seed=4).train


def test_patients_with_the_same_picture_go_together(tmp_path: Path):
    """The second is brighter, a little cropped and went through JPEG: the same scan to any eye."""
    twin = cv2.convertScaleAbs(scan(0), alpha=1.1, beta=8)[3:-2, 2:-4]
    twin = cv2.imdecode(cv2.imencode(".jpg", twin, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
    samples = [sample(f"p{p}", scan(p)) for p in range(20)] + [sample("other name", twin)]
    store = stored(samples, tmp_path)
    for seed in range(12):
        side = sides(split_patients(store, (0.4, 0.3, 0.3), seed))
        assert side[0] == side[20]


def test_empty_pictures_tie_nobody_together():
    empty = likeness(np.zeros((100, 120), np.uint8))
    assert look_alikes((empty, empty, likeness(scan(1)))) == ()


def test_distinct_phantoms_are_mostly_apart():
    generate = pytest.importorskip("datasets.phantom.generate")
    marks = tuple(likeness(generate.phantom(seed).frame.grey) for seed in range(40))
    assert len(look_alikes(marks)) <= 1


def test_known_near_duplicates_of_real_scans_are_found(shared_data: Path):
    files = sorted((shared_data / "regional-anaesthesia" / "images").glob("*.png"))
    marks = tuple(likeness(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)) for file in files)
    found = {(files[i].stem, files[j].stem) for i, j in look_alikes(marks)}
    assert set(KNOWN_NEAR_DUPLICATES) <= found
    assert len(found) < len(files) / 4, "most of these scans are of different places"


def test_real_scans_of_one_plane_are_apart(shared_data: Path):
    files = sorted((shared_data / "other-anatomy" / "infant-hip").rglob("*.png"))
    marks = tuple(likeness(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)) for file in files)
    assert len(look_alikes(marks)) <= 1


def test_ten_thousand_frames_are_compared_in_seconds():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**63, (10_000, 4), dtype=np.uint64)
    thumbs = rng.standard_normal((10_000, 32, 32), dtype=np.float32) * 9
    marks = [Likeness(bits, thumb) for bits, thumb in zip(words, thumbs, strict=True)]
    marks[9_000] = marks[17]
    assert look_alikes(tuple(marks)) == ((17, 9_000),)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.data())
def test_groups_are_the_closure_of_patients_and_look_alikes(patients, data):
    records = [Record("f", None, 40, 40, f"p{p}", "", 0, View.OTHER, (), ()) for p in patients]
    index = st.integers(0, len(patients) - 1)
    alike = data.draw(st.lists(st.tuples(index, index), max_size=6))
    groups = group_frames(records, alike)
    assert sorted(i for group in groups for i in group) == list(range(len(patients)))
    of = {i: g for g, group in enumerate(groups) for i in group}
    for i, patient in enumerate(patients):
        assert all(of[j] == of[i] for j, other in enumerate(patients) if other == patient)
    assert all(of[i] == of[j] for i, j in alike)
    assert len(groups) >= len(set(patients)) - len(alike), "a look-alike joins two groups at most"


def test_a_split_survives_its_file(tmp_path: Path):
    store = stored([sample(f"p{p}", scan(p)) for p in range(10)], tmp_path)
    split = split_patients(store, (0.6, 0.2, 0.2), seed=5)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json", store) == split


def test_a_split_of_another_dataset_is_refused(tmp_path: Path):
    store = stored([sample(f"p{p}", scan(p)) for p in range(5)], tmp_path)
    write_split(Split((0, 1, 2), (3,), ()), tmp_path / "split.json")
    with pytest.raises(ValueError, match="split it again"):
        read_split(tmp_path / "split.json", store)
    (tmp_path / "split.json").write_text("{}")
    with pytest.raises(ValueError, match="no split"):
        read_split(tmp_path / "split.json", store)


def test_impossible_splits_are_refused(tmp_path: Path):
    store = stored([sample("p", scan(1))], tmp_path)
    with pytest.raises(ValueError, match="sum to 1"):
        split_patients(store, (0.9, 0.3, 0.1))
    with pytest.raises(ValueError, match="disjoint"):
        Split((0, 1), (1,), ())
    store.folder.joinpath(store.records[0].file).write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="data check"):
        split_patients(store)
