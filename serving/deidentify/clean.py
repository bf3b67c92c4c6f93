"""One DICOM file -> its de-identified twin, withheld until a person has seen it."""

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from datasets.dicom import DicomCine, read_dicom
from datasets.dicom_header import read_header
from datasets.picture import UnreadableFile
from serving.deidentify.header import CAPTURES_OF_FRAMES, clean_header, identifying_words, residue
from serving.deidentify.layouts import Layouts, layout_of
from serving.deidentify.pixels import describe, digest_of, keep_mask, kept_frames, overview, pack
from serving.deidentify.pseudonyms import Pseudonyms
from serving.deidentify.search import Found, TextSearch

_REMEDY: Final = "it is neither read nor let out"


@dataclass(frozen=True, slots=True)
class Identities:
    """What a run de-identifies with: the key, and what is blanked on known screens."""

    pseudonyms: Pseudonyms
    layouts: Layouts = field(default_factory=Layouts)


@dataclass(frozen=True, slots=True)
class Crossing:
    """An instance by its names before and after: what leads back to a patient, and stays where the key is."""

    file: str
    patient_id: str
    patient: str
    study_uid: str
    study: str
    sop_uid: str
    uid: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know of a withheld file; it stays where the key is.

    `picture` is the digest of its pixels: a decision is on these. Notes of older versions do not tell it.
    """

    crossing: Crossing
    layout: str
    has_regions: bool
    frames: int
    found: tuple[Found, ...]
    picture: str = ""

    @property
    def uid(self) -> str:
        """The file's new SOP Instance UID: its name in the queue."""
        return self.crossing.uid

    def as_json(self) -> dict[str, Any]:
        """As numbers and texts."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Note":
        """What `as_json` told."""
        found = tuple(Found(tuple(one["box"]), one["text"], one["frame"], one["is_named"]) for one in told["found"])
        return cls(**{**told, "found": found, "crossing": Crossing(**told["crossing"])})


@dataclass(frozen=True, slots=True, eq=False)
class Withheld:
    """A de-identified file's bytes, and what a person should know before it is let out."""

    data: bytes
    note: Note


class Cleaner:
    """Cleans file after file; the text search is loaded once."""

    def __init__(self, identities: Identities) -> None:
        self._identities, self._search = identities, TextSearch()

    def clean(self, source: Path | bytes, name: str) -> Withheld:
        """The file's twin. Raises UnreadableFile where it cannot be read, or something of the original is left."""
        cine = read_dicom(source, name)
        header = read_header(source)
        try:
            cleaned = clean_header(header, self._identities.pseudonyms)
        except (ValueError, AttributeError) as error:
            raise UnreadableFile(name, f"it cannot be de-identified: {error}", _REMEDY) from error
        words = identifying_words(header)
        if left := residue(cleaned, words):
            raise UnreadableFile(name, f"something of the original is left in {', '.join(left)}", _REMEDY)
        layout = layout_of(header)
        frames = self._blanked(cine, layout)
        _tell_class(cleaned, frames[0].ndim == 3)
        _tell_frames(cleaned, len(frames))
        describe(cleaned, pack(frames), frames[0].shape, _was_lossy(header, cine))
        found = self._search.search(frames, words)
        crossing, picture = _crossing(header, cleaned, name), digest_of(cleaned)
        note = Note(crossing, layout, bool(cine.regions), len(frames), found, picture)
        return Withheld(_as_file(cleaned), note)

    def _blanked(self, cine: DicomCine, layout: str) -> list[Any]:
        seen = overview(cine)
        kept = keep_mask(seen, cine.regions, self._identities.layouts.of(layout))
        return list(kept_frames(cine, kept, seen.is_coloured))


def _crossing(header: Dataset, cleaned: Dataset, name: str) -> Crossing:
    return Crossing(
        file=name,
        patient_id=str(header.get("PatientID") or ""),
        patient=str(cleaned.PatientID),
        study_uid=str(header.StudyInstanceUID),
        study=str(cleaned.StudyInstanceUID),
        sop_uid=str(header.SOPInstanceUID),
        uid=str(cleaned.SOPInstanceUID),
    )


def _tell_class(cleaned: Dataset, is_coloured: bool) -> None:
    """Of captures with several frames there is a class a kind of pixels; ours are 8 bits, grey or RGB."""
    if cleaned.SOPClassUID not in CAPTURES_OF_FRAMES:
        return
    if is_coloured:
        cleaned.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
        return
    cleaned.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    cleaned.PresentationLUTShape = "IDENTITY"
    cleaned.RescaleIntercept, cleaned.RescaleSlope, cleaned.RescaleType = 0, 1, "US"


def _tell_frames(cleaned: Dataset, count: int) -> None:
    if count > 1 or "Multi-frame" in cleaned.SOPClassUID.name:
        cleaned.NumberOfFrames = count
    if count == 1 and cleaned.SOPClassUID != UltrasoundMultiFrameImageStorage:
        return
    times = cleaned.get("FrameTimeVector")
    if times is not None and len(times) == count:
        cleaned.FrameIncrementPointer = 0x00181065
        return
    cleaned.pop("FrameTimeVector", None)
    if "FrameTime" in cleaned:
        cleaned.FrameIncrementPointer = 0x00181063


def _was_lossy(header: Dataset, cine: DicomCine) -> bool:
    lossless = ("Lossless" in UID(cine.transfer_syntax).name) or not UID(cine.transfer_syntax).is_compressed
    return header.get("LossyImageCompression") == "01" or not lossless


def _as_file(cleaned: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = cleaned.SOPClassUID, cleaned.SOPInstanceUID
    meta.TransferSyntaxUID = RLELossless
    whole = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    whole.update(cleaned)
    buffer = io.BytesIO()
    whole.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
