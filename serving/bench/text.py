"""How much burnt-in text the search of the queue finds: words planted in phantoms, by height and contrast.

python -m serving.bench.text            a table on stdout; some minutes
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.phantom.generate import phantom
from serving.deidentify.search import TextSearch

_WORDS: Final = ("DOE", "Smith John", "J.S.", "AB", "1990-03-12", "M. KOWALSKI", "12.03.1990", "ID 4471", "x7")
_HEIGHTS_PX: Final = (8, 10, 12, 16, 24)
_LEVELS: Final = (140, 200, 255)
_FONTS: Final = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)
_FIRST_SEED: Final = 2_400_000
_PHANTOMS: Final = 60
_LEAST_CONTRAST: Final = 60
"""Grey levels over the tissue below: what is fainter is hardly read by a person either."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A word in a picture (H, W), its box and its height in pixels."""

    picture: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    height_px: int


def main() -> None:
    """Prints, by height, how many were planted and the share found; and how many gave a find as they are."""
    search = TextSearch()
    hits: dict[int, list[bool]] = defaultdict(list)
    untouched = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _PHANTOMS):
        picture = phantom(seed).frame.grey
        untouched.append(bool(search.search((picture,), frozenset())))
        for planted in _planted(picture, np.random.default_rng(seed)):
            found = search.search((planted.picture,), frozenset())
            hits[planted.height_px].append(any(_overlap(one.box, planted.box) for one in found))
    sys.stdout.write("| height, px | planted | found |\n| --- | --- | --- |\n")
    for height, told in sorted(hits.items()):
        sys.stdout.write(f"| {height} | {len(told)} | {100 * np.mean(told):.0f} % |\n")
    share = f"{100 * np.mean(untouched):.0f} % of {len(untouched)}"
    sys.stdout.write(f"phantoms as they are, many with text of their own, with a find: {share}\n")


def _planted(picture: NDArray[np.uint8], rng: np.random.Generator) -> Iterator[Planted]:
    for height_px in _HEIGHTS_PX:
        word, font = str(rng.choice(_WORDS)), int(rng.choice(_FONTS))
        scale = cv2.getFontScaleFromHeight(font, height_px)
        (width, height), _ = cv2.getTextSize(word, font, scale, 1)
        x = int(rng.uniform(0.15, 0.8) * (picture.shape[1] - width))
        y = int(rng.uniform(0.2, 0.8) * picture.shape[0])
        box = (x, y - height, x + width, y)
        level = int(rng.choice(_LEVELS))
        if level - float(picture[box[1] : y, x : box[2]].mean()) < _LEAST_CONTRAST:
            continue
        written = picture.copy()
        cv2.putText(written, word, (x, y), font, scale, level, 1, cv2.LINE_AA)
        yield Planted(written, box, height_px)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


if __name__ == "__main__":
    main()
