"""What a person said of each withheld file: one line a decision. The last verdict holds, and every box."""

import json
import os
from dataclasses import asdict, dataclass, replace
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
    """Who decided what of a file, and the boxes (x0, y0, x1, y1) to be blanked before it goes out.

    `seen` is the digest of the picture that was looked at; older versions wrote none, and it is empty.
    """

    uid: str
    seen: str
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


def decide(uid: str, seen: str, verdict: Verdict, boxes: tuple[Box, ...], by: str) -> Decision:
    """A decision of now. Raises ValueError for a box that is none, or without a name."""
    return Decision(uid, seen, verdict, boxes, by, datetime.now(UTC).isoformat(timespec="seconds"))


def load_decisions(path: Path) -> dict[str, Decision]:
    """The decision that holds, by the file's UID, with the boxes of all before it: what was blanked stays blank.

    A line that was cut short by a crash was never made.
    """
    decisions: dict[str, Decision] = {}
    if not path.exists():
        return decisions
    for line in path.read_text().splitlines():
        made = _read(line)
        if made is not None:
            before = decisions[made.uid].boxes if made.uid in decisions else ()
            decisions[made.uid] = replace(made, boxes=tuple(sorted({*before, *made.boxes})))
    return decisions


def write_down(decision: Decision, path: Path) -> None:
    """Appends a decision; it is on the disk when this returns."""
    line = json.dumps(asdict(decision)) + "\n"
    broken_off = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write("\n" + line if broken_off else line)
        file.flush()
        os.fsync(file.fileno())


def _read(line: str) -> Decision | None:
    try:
        told = json.loads(line)
        boxes = tuple((*map(int, box),) for box in told["boxes"])
        return Decision(**told | {"seen": told.get("seen", ""), "verdict": Verdict(told["verdict"]), "boxes": boxes})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
