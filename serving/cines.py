"""A cine's readings: those of a file as lines, each sent as it is ready, then a summary; those of one that runs."""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import orjson

from datasets.dicom import DicomCine
from datasets.files import FrameOptions
from datasets.picture import UnreadableFile
from model.cine import CineGrade
from model.frame import Frame
from model.reading import Reader, Reading
from model.tracking import Track, continued, gone_on
from serving.bodies import Body, cine_body, encode_reading
from serving.engine import Engine
from serving.overlay import encode_jpeg


@dataclass(slots=True)
class RunningCine:
    """What is remembered of frames that come one after another; `steady` lets those before tell of the next.

    `number` counts the cines: a cut or a pause ends one and begins the next, whose grade knows nothing of it.
    """

    reader: Reader
    steady: bool = True
    number: int = 0
    track: Track | None = None
    grade: CineGrade = field(default_factory=CineGrade)

    def read(self, frame: Frame, seq: int, at_s: float | None = None) -> Reading:
        """The reading of the frame numbered `seq`, taken at `at_s` on any clock that runs forward.

        Without `at_s` the frames are those of one file, which is one cine whatever it shows, and are not steadied.
        """
        reading = self.reader.read(frame) if at_s is None else self._follow(frame, at_s)
        self.grade = self.grade.seen(reading.solar.gsus, seq)
        return reading

    def body(self) -> Body:
        """What the running cine says so far, with its number."""
        return cine_body(self.grade) | {"number": self.number}

    def _follow(self, frame: Frame, at_s: float) -> Reading:
        before = self.track
        reading, self.track = self.reader.follow(frame, before if self.steady else None, at_s)
        if not self.steady and (same := continued(before, self.track.look, at_s)) is not None:
            self.track = gone_on(self.track, same)
        if before is not None and not self.track.goes_on:
            self.number += 1
            self.grade = CineGrade()
        return reading


async def readings_of(engine: Engine, cine: DicomCine, options: FrameOptions, pictures: bool) -> AsyncIterator[bytes]:
    """One JSON line a frame; a frame that cannot be decoded ends the cine with its reason in the summary."""
    frames: Iterator[Frame] = cine.frames()
    running = RunningCine(engine.reader)
    grades: Counter[int] = Counter()
    views: Counter[str] = Counter()
    count, fault = 0, None
    while True:
        try:
            answered = await engine.run_admitted(lambda: _next(running, frames, options))
        except (UnreadableFile, ValueError) as error:
            fault = str(error)
            break
        if answered is None:
            break
        frame, reading = answered
        views[str(reading.view.name)] += 1
        if reading.solar.gsus.grade is not None and reading.solar.gsus.review is None:
            grades[reading.solar.gsus.grade] += 1
        extra = {"picture": data_uri(frame)} if pictures else {}
        yield encode_reading(reading, seq=count, cine=cine_body(running.grade), **extra) + b"\n"
        count += 1
    summary = {
        "frames": count,
        "expected_frames": len(cine),
        "frame_time_ms": cine.frame_time_ms,
        "views": dict(views),
        "grades": {str(one): grades[one] for one in sorted(grades)},
        "cine": cine_body(running.grade),
        "error": fault,
    }
    yield orjson.dumps({"summary": summary}) + b"\n"


def data_uri(frame: Frame) -> str:
    """The frame as a JPEG data URI: for a page that cannot decode DICOM."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(frame)).decode()


def _next(cine: RunningCine, frames: Iterator[Frame], options: FrameOptions) -> tuple[Frame, Reading] | None:
    frame = next(frames, None)
    if frame is None:
        return None
    known = options.apply(frame)
    return known, cine.read(known, known.index)
