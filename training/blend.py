"""Runs of one network averaged weight by weight: what an early run knew of foreign pictures is not all forgotten.

python -m training.blend runs/starter=0.25 runs/served=0.75 -o runs/blend
python -m training.blend model/weights/starter.onnx=0.5 runs/mine=0.5 -o runs/both

Weights of a run and of one that went on from it lie in one valley, so that their average is a network too (Wortsman et
al. 2022, "Robust fine-tuning of zero-shot models"). Batch statistics belong to none of them and are settled anew. The
folder is a run like any other, of the last run's recipe, split and sources: `hipsono export` takes it.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from datasets.split import read_split
from datasets.store import open_store
from training.feed import SETTLING_FRAMES, Mix
from training.loop import load_mix, settle
from training.recipe import Recipe
from training.run_folder import BEST, RECIPE, SOURCES, SPLIT, Sources, load_run, save_whole
from training.run_state import gone_on


def blend(shares: dict[Path, float], out: Path) -> None:
    """Writes the average of runs by their shares; all but the last may be exported files.

    Raises ValueError where shares or networks do not fit together.
    """
    if abs(sum(shares.values()) - 1) > 1e-6 or len(shares) < 2:
        raise ValueError(f"shares of two runs or more make 1, got {list(shares.values())}")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: give a new folder")
    last = list(shares)[-1]
    recipe, network = load_run(last)
    mix = _few_of(last, recipe)
    states = [_state(one, recipe, mix) for one in shares]
    network.load_state_dict(_averaged(states, list(shares.values())))
    settle(network, mix, recipe.batch_size, torch.device("cpu"))
    out.mkdir(parents=True, exist_ok=True)
    for name in (RECIPE, SOURCES, SPLIT):
        shutil.copy(last / name, out / name)
    save_whole({"network": network.state_dict(), "epoch": 0}, out / BEST)


def _few_of(run: Path, recipe: Recipe) -> Mix:
    """Enough of what the run learnt from to settle statistics on."""
    sources = Sources.of(run)
    store = open_store(sources.data)
    return load_mix(store, read_split(run / SPLIT, store).train, sources.extra, replace(recipe, frames=SETTLING_FRAMES))


def _state(path: Path, recipe: Recipe, mix: Mix) -> dict[str, Tensor]:
    """Weights of a run or an exported file, of the network that is averaged."""
    if path.is_file():
        return gone_on(replace(recipe, pretrained=False), path, mix).state_dict()
    other, network = load_run(path)
    kinds = {(one.network, one.input_px) for one in (recipe, other)}
    if len(kinds) > 1:
        raise ValueError(f"the runs are of different networks or input sizes: {sorted(kinds)}")
    return network.state_dict()


def _averaged(states: list[dict[str, Tensor]], shares: list[float]) -> dict[str, Tensor]:
    """Counters are the last one's."""
    rows = list(zip(shares, states, strict=True))
    return {
        name: sum((share * state[name] for share, state in rows), torch.zeros_like(last))
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=SHARE")
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    pairs = [text.rpartition("=") for text in told.runs]
    blend({Path(run): float(share) for run, _, share in pairs}, told.out)


if __name__ == "__main__":
    main()
