"""Split a data set by patient, stratified by view and grade, with look-alike frames kept on one side.

Look-alikes are frames whose 256-bit perceptual hashes (signs of the low DCT coefficients of the sector) differ in
few bits; patients who share one are split together.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.record import Record
from datasets.store import Store
from model.frame import Frame
from model.preprocess import find_sector, letterbox

ALIKE_BITS: Final = 26
_HASH_SIDE: Final = 16
_PICTURE_SIDE: Final = 64


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of a data set's records, each on one side only."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    calibration: tuple[int, ...]


def split_patients(store: Store, fractions: tuple[float, float, float] = (0.9, 0.05, 0.05), seed: int = 0) -> Split:
    """Train, validation and calibration by patient, so that each side holds its fraction of every view and grade.

    Raises ValueError for fractions that are not three shares of 1.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions are three shares that add up to 1, got {fractions}")
    groups = _groups(store)
    rng = np.random.default_rng(seed)
    strata: dict[tuple[str, int], list[list[int]]] = {}
    for members in groups:
        strata.setdefault(_stratum([store.records[i] for i in members]), []).append(members)
    sides: tuple[list[int], list[int], list[int]] = ([], [], [])
    for key in sorted(strata):
        _deal(strata[key], fractions, sides, rng)
    return Split(*(tuple(sorted(side)) for side in sides))


def write_split(split: Split, path: Path) -> None:
    """The split as a JSON file."""
    path.write_text(json.dumps(asdict(split)))


def read_split(path: Path) -> Split:
    """The split in a JSON file. Raises ValueError where it is none."""
    try:
        raw = json.loads(path.read_text())
        return Split(**{name: tuple(int(i) for i in indices) for name, indices in raw.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no split: {error}; write one with `hipsono data split`") from error


def perceptual_hash(frame: Frame) -> NDArray[np.uint64]:
    """256 bits as four uint64: which low DCT coefficients of the sector lie above their median."""
    picture, _ = letterbox(frame, find_sector(frame), _PICTURE_SIDE, _PICTURE_SIDE)
    spectrum = cv2.dct(picture.astype(np.float32))[:_HASH_SIDE, :_HASH_SIDE].ravel()
    return np.packbits(spectrum > np.median(spectrum)).view(np.uint64)


def alike(hashes: NDArray[np.uint64], within_bits: int = ALIKE_BITS) -> tuple[tuple[int, int], ...]:
    """Pairs (i < j) of hashes (N, 4) that differ in at most that many bits."""
    pairs: list[tuple[int, int]] = []
    for i in range(len(hashes) - 1):
        differing = np.bitwise_count(hashes[i + 1 :] ^ hashes[i]).sum(axis=1)
        pairs.extend((i, i + 1 + int(k)) for k in np.flatnonzero(differing <= within_bits))
    return tuple(pairs)


def _groups(store: Store) -> list[list[int]]:
    """Records that must stay together: one patient's, and those that look like them."""
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(lambda i: perceptual_hash(store.sample(i).frame), range(len(store))))
    parent = list(range(len(store)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, record in enumerate(store.records):
        parent[root(i)] = root(first.setdefault(record.patient_id, i))
    for i, j in alike(np.stack(hashes)) if hashes else ():
        parent[root(i)] = root(j)
    together: dict[int, list[int]] = {}
    for i in range(len(store)):
        together.setdefault(root(i), []).append(i)
    return list(together.values())


def _stratum(records: list[Record]) -> tuple[str, int]:
    """A group's most telling view and its highest grade."""
    grades = [record.gsus for record in records if record.gsus is not None]
    return min(str(record.view) for record in records), max(grades, default=-1)


def _deal(
    groups: list[list[int]],
    fractions: tuple[float, float, float],
    sides: tuple[list[int], list[int], list[int]],
    rng: np.random.Generator,
) -> None:
    """Each group goes to the side that lacks most of its share; ties are broken by the draw's order."""
    total = sum(len(group) for group in groups)
    held = [0.0, 0.0, 0.0]
    for k in rng.permutation(len(groups)):
        lacking = [fractions[s] * total - held[s] for s in range(3)]
        side = int(np.argmax(lacking))
        sides[side].extend(groups[k])
        held[side] += len(groups[k])
