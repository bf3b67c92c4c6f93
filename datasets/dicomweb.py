"""An archive behind DICOMweb: found by QIDO-RS, fetched by WADO-RS one instance at a time.

dicomweb://host:8042/dicom-web?StudyDate=20250101-20251231      (dicomwebs:// over TLS; the query narrows the search)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pydicom
from dicomweb_client.api import DICOMwebClient
from requests import Session

from datasets.inputs import Input, Told

SCHEMES: Final = {"dicomweb": "http", "dicomwebs": "https"}
_PAGE: Final = 500
_ANY_SYNTAX: Final = (("application/dicom", "*"),)
_FIELDS: Final = ["Modality", "Manufacturer", "NumberOfFrames"]
_STUDY, _SERIES, _SOP_CLASS, _SOP = "0020000D", "0020000E", "00080016", "00080018"
_MODALITY, _MANUFACTURER, _FRAMES = "00080060", "00080070", "00280008"


@dataclass(frozen=True, slots=True)
class Remote(Input):
    """An instance on a server; its name is its study's and its own UID."""

    address: str
    series_uid: str
    instance: Told

    @property
    def told(self) -> Told:
        """What QIDO-RS said of it."""
        return self.instance

    def source(self) -> bytes:
        """The instance as it is stored there. Raises OSError where the server does not give it."""
        of = self.instance
        told = _client(self.address).retrieve_instance(of.study_uid, self.series_uid, of.sop_uid, _ANY_SYNTAX)
        buffer = BytesIO()
        told.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def head(self) -> bytes:
        """Nothing is fetched to tell the kind: a DICOMweb server holds DICOM."""
        return b"\0" * 128 + b"DICM"


def list_remote(archive: str) -> Iterator[Remote]:
    """Every instance that the search finds, study by study. Raises OSError where the server cannot be asked."""
    address, filters = _parsed(archive)
    client = _client(address)
    for study in _pages(client.search_for_studies, search_filters=filters):
        uid = _first(study, _STUDY)
        for told in _pages(client.search_for_instances, study_instance_uid=uid, fields=_FIELDS):
            sop = _first(told, _SOP)
            instance = Told(
                study_uid=uid,
                sop_class_uid=_first(told, _SOP_CLASS),
                sop_uid=sop,
                modality=_first(told, _MODALITY),
                manufacturer=_first(told, _MANUFACTURER),
                frames=int(_first(told, _FRAMES) or 1),
            )
            yield Remote(f"{uid}/{sop}", 0, 0, address, _first(told, _SERIES), instance)


def _pages(search: Any, **asked: Any) -> Iterator[dict[str, Any]]:
    """All results of a search, however many a server gives at once."""
    offset = 0
    while page := search(limit=_PAGE, offset=offset, **asked):
        yield from page
        offset += len(page)
        if len(page) < _PAGE:
            return


def _first(told: dict[str, Any], tag: str) -> str:
    values = told.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _parsed(archive: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(archive)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise ValueError(f"a DICOMweb archive is dicomweb://HOST[:PORT]/PATH, got {archive}")
    filters = dict(parse_qsl(parts.query))
    for name in filters:
        if pydicom.datadict.tag_for_keyword(name) is None:
            raise ValueError(f"{name} is no DICOM keyword: filters are like StudyDate=20250101-20251231")
    return f"{SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}", filters


@lru_cache(maxsize=4)
def _client(address: str) -> DICOMwebClient:
    """Name and password go into the session: a URL is told in every error."""
    parts = urlsplit(address)
    session = Session()
    if parts.username is not None:
        session.auth = unquote(parts.username), unquote(parts.password or "")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    client = DICOMwebClient(bare, session=session, timeout=60)
    client.set_http_retry_params(max_attempts=4)
    return client
