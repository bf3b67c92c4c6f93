"""Names for what must not be named: the same for the same key, so that relations hold; untraceable without it."""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from datasets.whole import unfinished

_KEY_BYTES: Final = 32
_UID_BYTES: Final = 16
_LEAST_DAYS, _MOST_DAYS = 30, 1095


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Made from a secret key by HMAC-SHA-256 (RFC 2104)."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < _KEY_BYTES:
            raise ValueError(f"a key of at least {_KEY_BYTES} bytes is expected, got {len(self.key)}")

    @property
    def digest(self) -> str:
        """Tells keys apart and says nothing of them."""
        return self._of("key", "")[:8].hex()

    def uid(self, original: str) -> str:
        """A UID of the form 2.25.N (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._of('uid', original)[:_UID_BYTES])}"

    def patient(self, patient_id: str, study_uid: str) -> str:
        """A patient's pseudonym; a study is its own patient where the file names none."""
        named = patient_id.strip() or f"study {study_uid}"
        return f"P-{base64.b32encode(self._of('patient', named)[:8]).decode().rstrip('=')}"

    def shifted(self, day: date, patient: str) -> date:
        """The day some months or years earlier: as many for every date of a patient, so that intervals hold."""
        span = _MOST_DAYS - _LEAST_DAYS + 1
        days = _LEAST_DAYS + int.from_bytes(self._of("days", patient)[:8]) % span
        return day - timedelta(days=days)

    def _of(self, kind: str, value: str) -> bytes:
        return hmac.new(self.key, f"{kind}|{value}".encode(), hashlib.sha256).digest()


def keep_key(path: Path) -> Pseudonyms:
    """The key in a file that only its owner may read; a new one where there is none. Raises ValueError for another."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished(path) as partial:
            partial.unlink(missing_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
    try:
        return Pseudonyms(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise ValueError(f"{path} holds no key of {2 * _KEY_BYTES} hexadecimal digits: {error}") from error
