"""Splits a dataset by patient: no patient, and no look-alike of a patient's frame, lies on two sides."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from datasets.likeness import Likeness, likeness, look_alikes
from datasets.palette import decode_frame
from datasets.record import Record
from datasets.sample import Sample
from datasets.store import Store
from datasets.whole import write_whole
from model.frame import Frame

SPLIT_FORMAT: Final = "hipsono-split"
SPLIT_VERSION: Final = 1
DEFAULT_FRACTIONS: Final = (0.8, 0.1, 0.1)

_Stratum = tuple[tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into a store's records, disjoint, ascending. `fractions` and `seed` tell how it was drawn."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    calibration: tuple[int, ...]
    seed: int = 0
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS

    def __post_init__(self) -> None:
        everything = (*self.train, *self.validation, *self.calibration)
        if len(set(everything)) != len(everything) or any(index < 0 for index in everything):
            raise ValueError("the parts of a split are disjoint indices from 0 on; an index is negative or used twice")


def parse_fractions(text: str) -> tuple[float, float, float]:
    """The three shares of "0.8,0.1,0.1". Raises ValueError."""
    parts = text.split(",")
    try:
        train, validation, calibration = map(float, parts)
    except ValueError as error:
        raise ValueError(f"fractions are three shares as 0.8,0.1,0.1, got {text!r}") from error
    return train, validation, calibration


def split_patients(store: Store, fractions: tuple[float, float, float] = DEFAULT_FRACTIONS, seed: int = 0) -> Split:
    """Splits by patient, evenly over views and grades, in parts of about `fractions` of the frames.

    Patients who share a look-alike frame go together. The same store, fractions and seed give the same split. Raises
    ValueError for fractions that do not sum to 1, or a frame that cannot be read.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions are three shares that sum to 1, got {fractions}")
    groups = group_frames(store.records, look_alikes(_likenesses(store)))
    parts = _assign(groups, store.records, fractions, np.random.default_rng(seed))
    train, validation, calibration = (tuple(sorted(part)) for part in parts)
    return Split(train, validation, calibration, seed, fractions)


def group_frames(records: Sequence[Record], alike: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """The frames that must stay together: those of one patient, and of patients linked by look-alikes."""
    root = list(range(len(records)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    first_of: dict[str, int] = {}
    same_patient = [(first_of.setdefault(record.patient_id, i), i) for i, record in enumerate(records)]
    for one, other in (*same_patient, *alike):
        low, high = sorted((find(one), find(other)))
        root[high] = low
    groups = defaultdict(list)
    for i in range(len(records)):
        groups[find(i)].append(i)
    return tuple(tuple(group) for group in groups.values())


def write_split(split: Split, path: Path) -> None:
    """Writes a split as JSON; `read_split` gives it back."""
    fields = {"format": SPLIT_FORMAT, "version": SPLIT_VERSION, **asdict(split)}
    write_whole(path, orjson.dumps(fields, option=orjson.OPT_INDENT_2))


def read_split(path: Path, store: Store) -> Split:
    """The split in a file. Raises ValueError where it is no split of that store's frames."""
    try:
        raw = orjson.loads(path.read_bytes())
        if (raw["format"], raw["version"]) != (SPLIT_FORMAT, SPLIT_VERSION):
            raise ValueError(
                f"format {raw['format']} version {raw['version']}, expected {SPLIT_FORMAT} {SPLIT_VERSION}"
            )
        train, validation, calibration = (tuple(raw[name]) for name in ("train", "validation", "calibration"))
        split = Split(train, validation, calibration, raw["seed"], tuple(raw["fractions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no split: {error}") from error
    count = len(split.train) + len(split.validation) + len(split.calibration)
    if count != len(store) or max((*split.train, *split.validation, *split.calibration), default=-1) >= len(store):
        raise ValueError(f"{path} splits {count} frames, the dataset {store.folder} has {len(store)}: split it again")
    return split


PARTS: Final = ("train", "validation", "calibration")


def part_samples(store: Store, split: Split, part: str) -> Iterator[Sample]:
    """The samples of one part of a split. Raises ValueError for an unknown part."""
    if part not in PARTS:
        raise ValueError(f"a part is one of {', '.join(PARTS)}, got {part!r}")
    indices: tuple[int, ...] = getattr(split, part)
    return (store.sample(i) for i in indices)


def _likenesses(store: Store) -> tuple[Likeness, ...]:
    def of(record: Record) -> Likeness:
        path = store.folder / record.file
        try:
            return likeness(Frame(decode_frame(path.read_bytes())).grey)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}; run `hipsono data check` on the folder") from error

    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(of, store.records))


def _assign(
    groups: Sequence[tuple[int, ...]],
    records: Sequence[Record],
    fractions: tuple[float, float, float],
    rng: np.random.Generator,
) -> tuple[list[int], list[int], list[int]]:
    """Hands out each stratum's groups, the large first, to the part that lacks most of its share."""
    strata: dict[_Stratum, list[tuple[int, ...]]] = defaultdict(list)
    for group in groups:
        strata[_stratum(group, records)].append(group)
    share = np.array(fractions)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    handed_out, have = 0, np.zeros(3)
    for stratum in sorted(strata):
        members = [strata[stratum][i] for i in rng.permutation(len(strata[stratum]))]
        total, have_here = sum(map(len, members)), np.zeros(3)
        handed_out += total
        for group in sorted(members, key=len, reverse=True):
            # What all strata lack decides where a stratum is too small to be split by itself.
            lack = (share * total - have_here) + (share * handed_out - have)
            part = int(np.argmax(np.where(share > 0, lack, -np.inf)))
            parts[part].extend(group)
            have[part] += len(group)
            have_here[part] += len(group)
    return parts


def _stratum(group: tuple[int, ...], records: Sequence[Record]) -> _Stratum:
    grades = [grade for grade in (records[i].gsus for i in group) if grade is not None]
    return tuple(sorted({str(records[i].view) for i in group})), max(grades, default=-1)
