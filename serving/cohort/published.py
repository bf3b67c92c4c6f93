"""A file of printed summaries, each checked: can whole numbers have it, and what did this trial measure in its place?

Columns group, visit, outcome, n, mean, spread; optional kind (sd, sem) as the paper says it, and scale ("0-3").
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from datasets.csv_file import read_csv
from serving.cohort.plausible import Plausibility, Printed, check, parse_scale
from serving.cohort.summaries import Summary

REQUIRED: Final = ("group", "visit", "outcome", "n", "mean", "spread")
KINDS: Final = ("", "sd", "sem")
_SCALES: Final = MappingProxyType({"solar": (0, 3), "tenderness": (0, 3), "vas": (0, 10)})


@dataclass(frozen=True, slots=True)
class Published:
    """A printed summary, whether it is possible, and this trial's of the same name where it has one."""

    group: str
    week: float
    outcome: str
    kind: str
    plausibility: Plausibility
    ours: Summary | None

    @property
    def verdict(self) -> str:
        """`possible`, `not as said` or `impossible`: the spread as the kind the paper says, SD where it does not."""
        found = self.plausibility
        if self.kind == "sem":
            as_said, otherwise = found.as_sem is not None, found.can_be_sd
        else:
            as_said, otherwise = found.can_be_sd, found.as_sem is not None
        return "possible" if as_said else "not as said" if otherwise else "impossible"


def read_published(path: Path, ours: tuple[Summary, ...]) -> tuple[Published, ...]:
    """Every row, checked. Raises ValueError that names the row and column of what is wrong."""
    heads, rows = read_csv(path)
    missing = [name for name in REQUIRED if name not in heads]
    if missing:
        raise ValueError(f"{path}: column {', '.join(missing)} is missing; expected {', '.join(REQUIRED)}")
    by_place = {(one.group.casefold(), one.week, one.outcome): one for one in ours}
    return tuple(_row(number, row, by_place) for number, row in rows if any(row.values()))


def _row(number: int, row: dict[str, str], ours: dict[tuple[str, float, str], Summary]) -> Published:
    try:
        week, n = float(row["visit"]), int(row["n"])
    except ValueError:
        raise ValueError(f"row {number}: visit {row['visit']!r} and n {row['n']!r} must be numbers") from None
    kind = row.get("kind", "").lower()
    if kind not in KINDS:
        raise ValueError(f"row {number}, column kind: {kind!r}; expected sd, sem or nothing")
    scale = parse_scale(row["scale"]) if row.get("scale") else _SCALES.get(row["outcome"])
    if scale is None:
        raise ValueError(
            f"row {number}: what whole numbers has {row['outcome']!r}? Give the column scale, such as 0-100"
        )
    try:
        found = check(Printed(n, row["mean"], row["spread"], scale))
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from None
    place = (row["group"].casefold(), week, row["outcome"])
    return Published(row["group"], *place[1:], kind, found, ours.get(place))
