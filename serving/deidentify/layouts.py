"""What a person blanked on a scanner's screen, remembered for every file that is laid out the same."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset

from datasets.whole import write_whole
from serving.deidentify.pixels import Box


def layout_of(header: Dataset) -> str:
    """A name for scanner, picture size and regions: files of one layout are written over at the same places."""
    told = [str(header.get(name) or "") for name in ("Manufacturer", "ManufacturerModelName", "Rows", "Columns")]
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        told += [str(item.get(f"RegionLocation{end}")) for end in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    return hashlib.sha256("|".join(told).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Layouts:
    """The boxes to blank by layout."""

    blanked: dict[str, tuple[Box, ...]] = field(default_factory=dict)

    def of(self, layout: str) -> tuple[Box, ...]:
        """What is blanked in files of a layout."""
        return self.blanked.get(layout, ())

    def with_box(self, layout: str, box: Box) -> "Layouts":
        """One more box for a layout."""
        return replace(self, blanked=self.blanked | {layout: (*self.of(layout), box)})

    @property
    def digest(self) -> str:
        """Tells memories apart."""
        return hashlib.sha256(json.dumps(self.blanked, sort_keys=True).encode()).hexdigest()[:16]


def load_layouts(path: Path) -> Layouts:
    """The memory in a file, empty where there is none. Raises ValueError for a file that holds something else."""
    if not path.exists():
        return Layouts()
    try:
        told = json.loads(path.read_text())
        return Layouts({name: tuple((*map(int, box),) for box in boxes) for name, boxes in told.items()})  # type: ignore[misc]
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no layouts (name: [[x0, y0, x1, y1], ...]): {error}") from error


def save_layouts(layouts: Layouts, path: Path) -> None:
    """Writes the memory, whole or not at all."""
    write_whole(path, json.dumps(layouts.blanked, indent=1, sort_keys=True) + "\n")
