"""How a dataset lies on disk: the names in its folder, and the description that tells its format version."""

from pathlib import Path
from typing import Any, Final

import orjson

from datasets.sample import VESSEL, VESSEL_ID
from model.anatomy import LANDMARK_NAMES, STRUCTURES, VIEWS

FORMAT: Final = "hipsono-dataset"
FORMAT_VERSION: Final = 1
DESCRIPTION, RECORDS, FRAMES, MASKS = "dataset.json", "records.jsonl", "frames", "masks"


def read_description(folder: Path) -> dict[str, Any]:
    """The content of `dataset.json`. Raises ValueError where it is missing, broken or of another version."""
    path = folder / DESCRIPTION
    if not path.is_file() or not (folder / RECORDS).is_file():
        raise ValueError(
            f"{folder} is no dataset: {DESCRIPTION} and {RECORDS} were expected; was its writing cut short?"
        )
    try:
        description = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe a {FORMAT}")
    if description.get("version") != FORMAT_VERSION:
        raise ValueError(f"{path} has format version {description.get('version')}, this program reads {FORMAT_VERSION}")
    return description


def describe(provenance: str, licence: str, count: int) -> dict[str, Any]:
    """The content of `dataset.json` for that many frames."""
    drawn = [{"id": s.id, "name": s.name, "colour": s.colour} for s in STRUCTURES]
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "licence": licence,
        "provenance": provenance,
        "frames": count,
        "views": VIEWS,
        "structures": [*drawn, {"id": VESSEL_ID, "name": VESSEL}],
        "landmarks": LANDMARK_NAMES,
    }
