"""A run's folder: what lies in it, written whole or not at all, and read back.

recipe.json, sources.json and split.json say what was done; last.pt is everything needed to go on, best.pt the network,
metrics.jsonl and curves.png how it went.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from datasets.whole import unfinished
from training.networks import build_network
from training.recipe import LossWeights, Recipe

LAST: Final = "last.pt"
BEST: Final = "best.pt"
SPLIT: Final = "split.json"
RECIPE: Final = "recipe.json"
SOURCES: Final = "sources.json"


@dataclass(frozen=True, slots=True)
class Sources:
    """The data set a run is trained and validated on, others of which a share is mixed in, what it starts from, and the
    runs that teach it."""

    data: Path
    extra: tuple[Path, ...] = ()
    weights: Path | None = None
    teachers: tuple[Path, ...] = ()

    def to_json(self) -> str:
        held = {
            "data": str(self.data.resolve()),
            "extra": [str(folder.resolve()) for folder in self.extra],
            "weights": self.weights and str(self.weights.resolve()),
            "teachers": [str(folder.resolve()) for folder in self.teachers],
        }
        return json.dumps(held, indent=1)

    @classmethod
    def of(cls, run: Path) -> "Sources":
        """What a run was made of."""
        raw = json.loads((run / SOURCES).read_text())
        teachers = tuple(map(Path, raw.get("teachers", ())))
        return cls(Path(raw["data"]), tuple(map(Path, raw["extra"])), raw["weights"] and Path(raw["weights"]), teachers)


def read_recipe(run: Path) -> Recipe:
    """The recipe a run was begun with."""
    raw = json.loads((run / RECIPE).read_text())
    return Recipe(**{**raw, "losses": LossWeights(**raw["losses"])})


def load_run(run: Path) -> tuple[Recipe, torch.nn.Module]:
    """A run's recipe and its best network. Raises ValueError where the folder holds no run."""
    if not (run / BEST).is_file():
        raise ValueError(f"{run} holds no trained network ({BEST}): train one with `hipsono train`")
    recipe = read_recipe(run)
    network = build_network(recipe.network)
    network.load_state_dict(torch.load(run / BEST, map_location="cpu", weights_only=True)["network"])
    return recipe, network.eval()


def open_folder(run: Path, *, resume: bool) -> bool:
    """Makes a run's folder, and tells whether a run was begun in it. Raises ValueError where one was that is not to be
    gone on with.
    """
    run.mkdir(parents=True, exist_ok=True)
    begun = (run / LAST).exists()
    if begun and not resume:
        raise ValueError(f"{run} holds a run already: go on with --resume, or give another folder")
    return begun


def hold_recipe(recipe: Recipe, run: Path) -> None:
    """Writes the recipe down. Raises ValueError where the folder was begun with another."""
    path = run / RECIPE
    if path.exists() and read_recipe(run) != recipe:
        raise ValueError(f"{run} was begun with another recipe: give another folder, or the recipe it was begun with")
    path.write_text(json.dumps(asdict(recipe), indent=1, sort_keys=True))


def save_whole(content: dict[str, Any], path: Path) -> None:
    """The file appears whole or not at all."""
    with unfinished(path) as partial:
        torch.save(content, partial)
