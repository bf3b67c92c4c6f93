"""`hipsono grade` from the command line: progress on the way, a summary at the end, what went wrong by name."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from rich.console import Console

from datasets.files import FrameOptions, parse_spacing
from datasets.inputs import EXPECTED
from model.steps import CAREFUL
from serving.archive.note import RUN
from serving.archive.results import Result
from serving.archive.run import Job, Outcome, Progress, grade
from serving.archive.study import Asked
from serving.deidentify.clean import Identities
from serving.deidentify.layouts import load_layouts
from serving.deidentify.pseudonyms import keep_key
from serving.deidentify.release import KEY, LAYOUTS, PRIVATE

Known = tuple[str | None, float | None]
"""What the call says of every frame: spacing "ROW,COL", age in years."""

_PLAIN_EVERY_S: Final = 10.0
_NAMED: Final = 20


def asked_of(
    known: Known, results: frozenset[Result], identities: Identities | None = None, looks: int = CAREFUL
) -> Asked:
    """What the call asks of every study. Raises ValueError for a spacing that is none."""
    spacing, age_years = known
    return Asked(
        FrameOptions(parse_spacing(spacing) if spacing else None, age_years=age_years),
        results=results,
        identities=identities,
        looks=looks,
    )


def grade_archive(job: Job, say: Callable[[str], None]) -> int:
    """Grades and says so; 0 where every input was read or was none of ours, 1 where something is wrong with one."""
    try:
        outcome = grade(job, say, _Meter(say))
    except KeyboardInterrupt:
        say("stopped: what was read is kept, --resume goes on from there")
        return 1
    _sum_up(job, outcome, say)
    return 1 if outcome.wrong else 0


def identities_for(out: Path, earlier: Path | None) -> Identities:
    """What to de-identify with: the key of an earlier run's private folder and what was blanked there, or a new key.

    Raises ValueError or ModuleNotFoundError where that is not to be had.
    """
    import rapidocr  # noqa: F401 - said now, and not by every process

    private = out / PRIVATE
    _check_new(out, private / KEY if earlier is None else private)
    if earlier is not None:
        _check_own(earlier)
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    if earlier is None:
        return Identities(keep_key(private / KEY))
    return Identities(keep_key(earlier / KEY), load_layouts(earlier / LAYOUTS))


def _check_new(out: Path, mark: Path) -> None:
    """Nothing is begun beside what a de-identified run did not leave: a key made there would be taken for the run's."""
    if (
        not mark.exists()
        and out.exists()
        and any(path.name[0] != "." and path.name != PRIVATE for path in out.iterdir())
    ):
        raise ValueError(
            f"{out} is not empty and has no {mark.relative_to(out)}: a run in it has the originals' names, or those of "
            "another folder's key. Give the same --identity to go on with it, or a new folder"
        )


def _check_own(earlier: Path) -> None:
    """A private folder is worth the key that its run was made with."""
    if not (earlier / KEY).is_file():
        raise ValueError(f"{earlier} holds no key: give the private folder of an earlier de-identified run")
    note = earlier.parent / RUN
    if not note.exists():
        return
    made_with = json.loads(note.read_text())["settings"].get("deidentified")
    if made_with != keep_key(earlier / KEY).digest:
        raise ValueError(
            f"the key in {earlier} is not the key of the run beside it: give the private folder that was its --identity"
        )


class _Meter:
    """Progress: a line that renews itself on a terminal, a plain one now and then elsewhere."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._console = Console(stderr=True)
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        ended = progress.parts == progress.of_parts
        if self._console.is_terminal:
            self._console.print(progress.line, end="\n" if ended else "\r", highlight=False)
        elif ended or time.monotonic() - self._last > _PLAIN_EVERY_S:
            self._last = time.monotonic()
            self._say(progress.line)


def _sum_up(job: Job, outcome: Outcome, say: Callable[[str], None]) -> None:
    say(
        f"{outcome.frames} frames, {outcome.hips} hips, {outcome.failures} inputs without a frame or cut short, "
        f"{outcome.wrong} of them with something wrong; {outcome.read_now} frames read now in {outcome.seconds:g} s"
    )
    rows = pq.read_table(job.inner / "failures.parquet").to_pylist()
    wrong = [row for row in rows if row["why"] not in EXPECTED]
    for row in wrong[:_NAMED]:
        say(f"  {row['name']}: {row['reason']}")
    if len(wrong) > _NAMED:
        say(f"  and {len(wrong) - _NAMED} more in failures.parquet")
    say(f"{job.out / 'index.html'} shows it all")
    if job.asked.identities is not None:
        say(f"{job.inner} stays here; a person clears pictures for release by  hipsono clear {job.out} --by NAME")
