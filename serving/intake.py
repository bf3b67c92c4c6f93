"""A request's bytes -> Frame or DICOM cine, or the right refusal: 413 too large, 415 unknown, 422 not decodable."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from datasets.dicom import DicomCine, read_dicom
from datasets.files import FileKind, FrameOptions, decode_picture, kind_of, parse_spacing
from datasets.picture import UnreadableFile
from model.anatomy import Laterality
from model.frame import Frame
from serving.problems import Problem

TAKEN: Final = "image/jpeg, image/png or application/dicom as the raw body, or multipart/form-data with a field 'file'"
_RAW: Final = {"image/jpeg", "image/png", "application/dicom", "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's file, and what its query says of it."""

    data: bytes
    options: FrameOptions
    frame_index: int | None = None


async def receive(request: Request, limit_bytes: int) -> bytes:
    """The uploaded file's bytes. Raises Problem 413, 415 or 422."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    if kind == "multipart/form-data" and "content-length" not in request.headers:
        raise Problem(411, "a multipart upload needs a Content-Length: send it, or send the file as the raw body")
    if kind == "multipart/form-data":
        data = await _from_form(request, limit_bytes)
    elif kind in _RAW:
        data = await _from_body(request, limit_bytes)
    else:
        raise Problem(415, f"content type {kind or 'missing'}: send {TAKEN}")
    if not data:
        raise Problem(422, f"the upload is empty: send {TAKEN}")
    return data


async def _from_body(request: Request, limit_bytes: int) -> bytes:
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > limit_bytes:
            raise _too_large(limit_bytes)
        parts.append(part)
    return b"".join(parts)


async def _from_form(request: Request, limit_bytes: int) -> bytes:
    try:
        form = await request.form()
    except (Problem, ClientDisconnect):
        raise
    except Exception as error:
        raise Problem(422, f"the multipart body cannot be read ({error}): send one field 'file'") from error
    names, upload = [name for name, _ in form.multi_items()], form.get("file")
    if names != ["file"] or not isinstance(upload, UploadFile):
        told = f"the multipart body has {', '.join(map(repr, names)) or 'no field'}: send one file as the field 'file'"
        raise Problem(422, f"{told}, and what is known of it in the query (?spacing_mm=0.08,0.08)")
    data = await upload.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise _too_large(limit_bytes)
    return data


def _too_large(limit_bytes: int) -> Problem:
    return Problem(413, f"the upload is over {limit_bytes / 1e6:g} MB: send less, or raise HIPSONO_MAX_UPLOAD_MB")


def parse_options(spacing_mm: str | None, laterality: str | None, age_years: float | None) -> FrameOptions:
    """The query's values. Raises Problem 422 for impossible ones."""
    try:
        spacing = parse_spacing(spacing_mm) if spacing_mm else None
        side = _side(laterality) if laterality else Laterality.UNKNOWN
        return FrameOptions(spacing, side, age_years)
    except ValueError as error:
        raise Problem(422, str(error)) from error


def _side(text: str) -> Laterality:
    if text not in list(Laterality):
        raise ValueError(f"laterality is {', '.join(Laterality)}; got {text!r}")
    return Laterality(text)


def decode(upload: Upload) -> Frame:
    """One frame of an upload. Raises Problem 415 or 422."""
    kind = kind_of(upload.data[:1024])
    try:
        if kind is FileKind.DICOM:
            return upload.options.apply(_one_of(read_dicom(upload.data, "upload"), upload.frame_index))
        if kind in (FileKind.JPEG, FileKind.PNG):
            if upload.frame_index:
                raise Problem(422, f"frame {upload.frame_index} was asked for, a {kind.name} is one: leave frame out")
            return upload.options.apply(decode_picture(upload.data, "upload"))
    except (UnreadableFile, ValueError) as error:
        raise Problem(422, str(error)) from error
    raise Problem(415, "by its content this is neither JPEG, PNG nor DICOM: send one of these")


def open_cine(data: bytes) -> DicomCine:
    """A DICOM cine. Raises Problem 415 or 422."""
    if kind_of(data[:1024]) is not FileKind.DICOM:
        raise Problem(415, "a cine is a DICOM file; single pictures go to /v1/frames")
    try:
        return read_dicom(data, "upload")
    except (UnreadableFile, ValueError) as error:
        raise Problem(422, str(error)) from error


def _one_of(cine: DicomCine, index: int | None) -> Frame:
    if index is None and len(cine) > 1:
        told = f"the file has {len(cine)} frames: post it to /v1/cines, or to /v1/frames with ?frame=0..{len(cine) - 1}"
        raise Problem(422, told)
    index = index or 0
    if not 0 <= index < len(cine):
        raise Problem(422, f"frame {index} was asked for, the file has frames 0..{len(cine) - 1}")
    return cine.frame(index)
