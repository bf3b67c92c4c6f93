"""An archive graded: planned, read, put together; begun, gone on with, or begun afresh."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from datasets.inputs import EXPECTED, Failure, Why
from datasets.whole import unfinished
from model.reading import SCHEMA
from model.runtime import STARTER, Execution, Session
from serving.archive.note import Begun, alone_in, may_take, name_of, programs, write_note
from serving.archive.page import write_page
from serving.archive.parts import Changes, Parts
from serving.archive.plan import Plan, Study, again, make_plan
from serving.archive.pool import Died, Done, Setup, read_all
from serving.archive.results import Result
from serving.archive.study import Asked
from serving.archive.tables import FAILURES, HIPS, READINGS, HipRow, failures_table, hips_table, write_table
from serving.deidentify.release import PARTS, PRIVATE, list_withheld, release_decided, write_crosswalk

PLANNING_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for. `workers` processes read, or a Ray cluster at an address ("auto" for the one at hand).

    With `forget` the archive as it is now is all there is: what was read and is not in it is dropped.
    """

    archive: str | Path
    out: Path
    model: Path = STARTER
    workers: int = os.cpu_count() or 1
    resume: bool = False
    asked: Asked = field(default_factory=Asked)
    ray: str | None = None
    forget: bool = False
    execution: Execution = field(default_factory=Execution)

    @property
    def inner(self) -> Path:
        """What names inputs and holds what is not ready: OUT, or OUT/private where OUT is to be given away."""
        return self.out if self.asked.identities is None else self.out / PRIVATE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: rows in all, frames read now, and the inputs with something wrong."""

    frames: int
    hips: int
    failures: int
    wrong: int
    read_now: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: parts (studies, or portions of large ones) and frames done, of those to do now, and the seconds
    since it began to read.
    """

    parts: int
    of_parts: int
    frames: int
    seconds: float

    @property
    def line(self) -> str:
        """Done, rate, and the time left at that rate."""
        rate = self.frames / max(self.seconds, 1e-9)
        left = self.seconds * (self.of_parts - self.parts) / max(self.parts, 1)
        return f"{self.parts} of {self.of_parts} parts, {rate:.1f} frames/s, {_clock(left)} left"


def grade(job: Job, say: Callable[[str], None], heard: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Grades an archive into `job.out`.

    Raises FileNotFoundError without archive or model, or where an archive that held studies holds none, ValueError
    where the folder holds another run, lies within the archive or has a run at work in it, or a process finds another
    network, OSError where a result cannot be written; everything else that goes wrong is a row in failures.parquet.
    """
    _check_apart(job)
    begun = _begun(job)
    may_take(job.out, begun, job.resume, job.forget, say)
    with alone_in(job.out):
        return _grade(job, begun, say, heard)


def _check_apart(job: Job) -> None:
    """Inside the archive the run's own pictures would be taken for studies by the next."""
    remote = isinstance(job.archive, str) and "://" in job.archive
    if not remote and job.out.resolve().is_relative_to(Path(job.archive).resolve()):
        raise ValueError(f"{job.out} lies within {job.archive}: give an output folder outside the archive")


def _grade(job: Job, begun: Begun, say: Callable[[str], None], heard: Callable[[Progress], None]) -> Outcome:
    began = time.monotonic()
    plan = make_plan(job.archive, _now_and_then(say))
    say(plan.line)
    parts = Parts(job.inner / PARTS, begun.digest)
    if not plan.studies and not parts.is_empty() and not job.forget:
        raise FileNotFoundError(
            f"no study in {job.archive}, where some were read before: see that it is mounted, or add --forget"
        )
    write_note(job.out, begun, None)
    names = {parts.name(study): study for study in _in_order(plan.studies, job.asked)}
    changes = parts.line_up(names, plan.names)
    if job.forget:
        parts.forget()
    _tell(changes, parts, say)
    left = [study for name, study in names.items() if not parts.has(name)]
    if len(left) < len(plan.studies):
        say(f"{len(plan.studies) - len(left)} of {len(plan.studies)} parts are done already")
    network = begun.settings["model"]["sha256"]
    setup = Setup(job.model.resolve(), parts.folder, begun.digest, job.asked, network, programs(), job.execution)
    read_now, died = _read(_readers(left, setup, job), len(left), heard)
    failures = _all_failures(plan, parts, names, died)
    hips = tuple(parts.hips(names, job.asked.rules))
    counts = _put_together(job, parts.rows("readings", filter(parts.has, names)), (row for row, _ in hips), failures)
    outcome = Outcome(
        counts["readings"],
        counts["hips"],
        len(failures),
        sum(one.why not in EXPECTED for one in failures),
        read_now,
        round(time.monotonic() - began, 1),
    )
    if job.asked.identities is None:
        _hand_out(job.out, parts, names, job.asked.results)
    else:
        write_crosswalk(job.out, (waiting.note.crossing for waiting in list_withheld(job.out).values()))
        _tell_taken_back(release_decided(job.out), job.out, say)
    write_page(job.out, hips, failures, begun.settings)
    write_note(job.out, begun, asdict(outcome))
    return outcome


def _tell_taken_back(count: int, out: Path, say: Callable[[str], None]) -> None:
    if count:
        say(
            f"{count} pictures that were out are taken back: their files are gone, or others by now and cleared by "
            f"nobody; look at what waits with `hipsono clear {out}`"
        )


def _in_order(studies: tuple[Study, ...], asked: Asked) -> Iterable[Study]:
    """As they stand in the tables: by the names they have there. The originals' are mostly in the order of time, which
    would tell how much further one patient's days are shifted than another's.
    """
    if asked.identities is None:
        return studies
    pseudonyms = asked.identities.pseudonyms
    return sorted(studies, key=lambda study: pseudonyms.uid(study.name))


def _begun(job: Job) -> Begun:
    session, identities = Session(job.model, 1, job.execution), job.asked.identities
    settings = {
        "schema": SCHEMA,
        "model": {"name": session.spec.name, "version": session.spec.version, "sha256": session.sha256},
        "trained_on": session.spec.trained_on,
        "provider": session.provider,
        "tensorrt_half": job.execution.tensorrt_half,
        "rules": asdict(job.asked.rules),
        "known": asdict(job.asked.known),
        "results": sorted(job.asked.results),
        "looks": job.asked.looks,
        "deidentified": None if identities is None else identities.pseudonyms.digest,
        "layouts": None if identities is None else identities.layouts.digest,
        **programs(),
    }
    return Begun(name_of(job.archive, None if identities is None else identities.pseudonyms), settings)


def _now_and_then(say: Callable[[str], None]) -> Callable[[int], None]:
    """Tells of planning, which may take long over a share."""
    last = time.monotonic()

    def heard(count: int) -> None:
        nonlocal last
        if time.monotonic() - last > PLANNING_EVERY_S:
            last = time.monotonic()
            say(f"{count} files looked at")

    return heard


def _tell(changes: Changes, parts: Parts, say: Callable[[str], None]) -> None:
    """What of an earlier run is not taken up, and why."""
    if changes.changed:
        say(f"{changes.changed} studies are read again: their files have changed")
    if changes.again:
        say(f"{changes.again} studies are read again: they were not wholly within reach")
    if changes.gone:
        say(f"{changes.gone} studies that were read are not in the archive now")
    count, size_bytes = parts.kept()
    if count:
        say(
            f"{count} parts read of other files or by other settings, {size_bytes / 1e6:.0f} MB, lie in {parts.aside}: "
            "they are taken up where those are back, and --forget drops them"
        )


def _readers(left: list[Study], setup: Setup, job: Job) -> Iterator[Done | Died]:
    if job.ray is None:
        return read_all(left, setup, job.workers)
    from serving.archive.cluster import read_all_on_ray

    return read_all_on_ray(left, setup, job.ray)


def _read(
    read: Iterator[Done | Died], of_parts: int, heard: Callable[[Progress], None]
) -> tuple[int, tuple[Study, ...]]:
    frames, died, began = 0, [], time.monotonic()
    for count, one in enumerate(read, start=1):
        if isinstance(one, Done):
            frames += one.frames
        else:
            died.append(one.study)
        heard(Progress(count, of_parts, frames, time.monotonic() - began))
    return frames, tuple(died)


def _all_failures(plan: Plan, parts: Parts, names: dict[str, Study], died: tuple[Study, ...]) -> list[Failure]:
    """Of planning, of reading, of files that are gone, and of files that killed their process; sorted by name."""
    told = list(plan.unread)
    gone = "it was read before and is not in the archive now: bring it back and --resume, or --forget it"
    told += [Failure(name, Why.MISSING, gone) for name in parts.missing(plan.names)]
    for table in parts.rows("failures", (name for name, study in names.items() if study not in died)):
        told += [Failure(row["name"], Why(row["why"]), row["reason"]) for row in table.to_pylist()]
    reason = "the process that read it, or others of its study, died: read them one by one with `hipsono read`"
    items = [item for study in died for item in study.items]
    told += [Failure(item.input.name, Why.CRASHED, reason) for item in items]
    told += [again(copy, item.input) for item in items for copy in item.copies]
    return sorted(told, key=lambda one: (one.name, one.why))


def _put_together(
    job: Job, readings: Iterator[pa.Table], hips: Iterable[HipRow], failures: list[Failure]
) -> dict[str, int]:
    """The three tables, each whole or as it was before; how many rows each has."""
    sources: dict[str, tuple[pa.Schema, Iterator[pa.Table]]] = {
        "readings": (READINGS, readings),
        "hips": (HIPS, iter((hips_table(hips),))),
        "failures": (FAILURES, iter((failures_table(failures),))),
    }
    counts = {}
    for table, (schema, rows) in sources.items():
        folder = job.inner if table == "failures" else job.out
        with unfinished(folder / f"{table}.parquet") as partial:
            counts[table] = write_table(rows, schema, partial)
    return counts


def _hand_out(out: Path, parts: Parts, names: Iterable[str], results: frozenset[Result]) -> None:
    """The objects for a PACS in a folder a kind, and no others there: links to where the parts keep them."""
    names = tuple(names)
    for kind in Result:
        folder = out / kind
        if kind in results:
            folder.mkdir(exist_ok=True)
        found = (path for name in names for path in parts.results(name, kind)) if kind in results else ()
        current = {path.name: path for path in found}
        for path in folder.glob("*.dcm"):
            if path.name not in current or not path.samefile(current[path.name]):
                path.unlink()
        for name, path in current.items():
            if not (folder / name).exists():
                _linked(path, folder / name)
        if folder.is_dir() and kind not in results and not any(folder.iterdir()):
            folder.rmdir()


def _linked(path: Path, other: Path) -> None:
    """The same file under another name, or a copy where the disk knows no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
