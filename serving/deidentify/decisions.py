"""What a person said of each withheld file: one line a decision, the last one holds."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from serving.deidentify.pixels import Box


class Verdict(StrEnum):
    """What is to become of a file."""

    CLEARED = "cleared"
    KEPT_BACK = "kept back"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what of a file, and the boxes (x0, y0, x1, y1) to be blanked before it goes out."""

    uid: str
    verdict: Verdict
    boxes: tuple[Box, ...]
    by: str
    at: str

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise ValueError("a decision needs the name of who decided")
        for x0, y0, x1, y1 in self.boxes:
            if not (0 <= x0 <= x1 and 0 <= y0 <= y1):
                raise ValueError(f"a box is (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got {(x0, y0, x1, y1)}")


def decide(uid: str, verdict: Verdict, boxes: tuple[Box, ...], by: str) -> Decision:
    """A decision of now."""
    return Decision(uid, verdict, boxes, by, datetime.now(UTC).isoformat(timespec="seconds"))


def load_decisions(path: Path) -> dict[str, Decision]:
    """The decision that holds, by the file's UID. A line that was cut short by a crash was never made."""
    decisions: dict[str, Decision] = {}
    if not path.exists():
        return decisions
    for line in path.read_text().splitlines():
        try:
            told = json.loads(line)
            boxes = tuple((*map(int, box),) for box in told["boxes"])
            made = Decision(told["uid"], Verdict(told["verdict"]), boxes, told["by"], told["at"])  # type: ignore[arg-type]
        except (ValueError, KeyError, TypeError):
            continue
        decisions[made.uid] = made
    return decisions


def write_down(decision: Decision, path: Path) -> None:
    """Appends a decision; it is on the disk when this returns."""
    line = json.dumps(asdict(decision)) + "\n"
    broken_off = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write("\n" + line if broken_off else line)
        file.flush()
        os.fsync(file.fileno())
