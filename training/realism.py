"""How far phantoms lie from real frames, and real frames from each other: measured, beside one another.

python -m training.realism data/tune data/real/regional data/real/leg -o runs/realism

Of each frame, seen as the network sees it: the grey histogram, how grey varies within small patches, and how far
speckle reaches down and across. A classifier then tells sets apart two by two (area under its curve, cross-validated):
0.5 is no difference, and two real scanners are the measure of how much difference is natural.
"""

import argparse
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datasets.store import Store, open_store
from model.preprocess import find_sector, letterbox

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SIDE: Final = 256
_PATCH: Final = 24
_LAGS: Final = 6
_BINS: Final = 16
_FEW: Final = 10
_FLAT: Final = 1.0

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame: grey `histogram` (16,), `contrast` (3,) quantiles of patch SD over mean, `reach` (2,) in pixels."""

    histogram: NDArray[np.float64]
    contrast: NDArray[np.float64]
    reach: NDArray[np.float64]

    @property
    def features(self) -> NDArray[np.float64]:
        return np.concatenate([self.histogram, self.contrast, self.reach])


@dataclass(frozen=True, slots=True)
class Distance:
    """How well two sets are told apart: area under the curve, 0.5 not at all."""

    one: str
    other: str
    auc: float


def look_at(picture: Picture) -> Look:
    """The look of a letterboxed frame (SIDE, SIDE); a patch without texture has no speckle to measure."""
    lit = picture > 0
    histogram = np.histogram(picture[lit], bins=_BINS, range=(1, 256))[0] / max(int(lit.sum()), 1)
    corners = range(0, SIDE - _PATCH, _PATCH)
    patches = [picture[y : y + _PATCH, x : x + _PATCH].astype(np.float64) for y in corners for x in corners]
    whole = [p for p in patches if (p > 0).mean() > 0.98 and p.mean() > 12 and p.std() > _FLAT]
    if len(whole) < _FEW:
        return Look(histogram, np.zeros(3), np.zeros(2))
    contrast = np.quantile([p.std() / p.mean() for p in whole], (0.1, 0.5, 0.9))
    return Look(histogram, contrast, np.median([_reach(p) for p in whole], axis=0))


def _reach(patch: NDArray[np.float64]) -> tuple[float, float]:
    """Full width at half maximum of the autocorrelation, down and across, in pixels, its slow shading removed."""
    fine = patch - cv2.GaussianBlur(patch, (0, 0), 4)
    power = np.abs(np.fft.fft2(fine)) ** 2
    correlation = np.fft.ifft2(power).real / max(power.mean(), 1e-9)
    return _half(correlation[:_LAGS, 0]), _half(correlation[0, :_LAGS])


def _half(falling: NDArray[np.float64]) -> float:
    below = np.flatnonzero(falling < 0.5)
    if below.size == 0:
        return 2.0 * _LAGS
    k = int(below[0])
    return float(2 * (k - 1 + (falling[k - 1] - 0.5) / max(falling[k - 1] - falling[k], 1e-9)))


def looks(store: Store) -> tuple[Look, ...]:
    """The looks of a data set's frames."""
    frames = (store.sample(i).frame for i in range(len(store)))
    return tuple(look_at(letterbox(frame, find_sector(frame), SIDE, SIDE)[0]) for frame in frames)


def distance(one: tuple[Look, ...], other: tuple[Look, ...]) -> float:
    """Cross-validated area under the curve of a classifier between two sets."""
    features = np.stack([look.features for look in (*one, *other)])
    truth = np.repeat([0, 1], [len(one), len(other)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, class_weight="balanced"))
    return float(cross_val_score(classifier, features, truth, cv=5, scoring="roc_auc").mean())


def compare(folders: tuple[Path, ...], out: Path) -> tuple[Distance, ...]:
    """Writes realism.json and realism.png of data sets, and returns how far apart each two lie."""
    sets = {folder.name: looks(open_store(folder)) for folder in folders}
    told = tuple(
        Distance(one, other, round(distance(sets[one], sets[other]), 3))
        for one, other in itertools.combinations(sets, 2)
    )
    out.mkdir(parents=True, exist_ok=True)
    means = {name: {"contrast": _mean(of, "contrast"), "reach_px": _mean(of, "reach")} for name, of in sets.items()}
    record = {"distances": [asdict(d) for d in told], "means": means}
    (out / "realism.json").write_text(json.dumps(record, indent=1))
    _draw(sets, out / "realism.png")
    return told


def _mean(of: tuple[Look, ...], name: str) -> list[float]:
    return [round(float(v), 3) for v in np.mean([getattr(look, name) for look in of], axis=0)]


def _draw(sets: dict[str, tuple[Look, ...]], path: Path) -> None:
    figure, (grey, contrast, reach) = plt.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    for name, of in sets.items():
        grey.plot(np.arange(_BINS) * 16 + 8, np.mean([look.histogram for look in of], axis=0), label=name)
        contrast.hist(
            [look.contrast[1] for look in of], bins=30, range=(0, 1), density=True, histtype="step", label=name
        )
        reach.scatter(*np.array([look.reach for look in of]).T, s=5, label=name)
    grey.set(xlabel="grey level", ylabel="share of pixels")
    contrast.set(xlabel="SD over mean in a patch, median of the frame", ylabel="density")
    reach.set(xlabel="speckle reach down, pixels", ylabel="speckle reach across, pixels")
    grey.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    for one in compare(tuple(told.folders), told.out):
        print(f"{one.one:20} {one.other:20} {one.auc:.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
