"""What an operator may set: defaults, then HIPSONO_* environment variables, then the command line."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from model.runtime import STARTER, Provider

_PREFIX: Final = "HIPSONO_"
_ALMOST: Final = 0.87


class Settings(BaseSettings):
    """Frozen once read. `queue_depth` requests may wait beside those being worked on; more are refused with 503.

    What is left open of provider, threads and workers is as `hipsono bench --tune` chose it on this machine, else the
    processor, all its cores, and two frames at once (serving.tuning).
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    model: Path = STARTER
    provider: Provider | None = Field(None, description="what runs the network")
    threads: int | None = Field(None, ge=1, description="threads of the network for a frame that is alone")
    workers: int | None = Field(None, ge=1, description="frames worked on at once")
    tuned: Path = Field(Path(typer.get_app_dir("hipsono")) / "tuned.json", description="what bench --tune chose")
    tensorrt_half: bool = Field(False, description="TensorRT computes in half precision")
    tensorrt_engines: Path = Field(Path(typer.get_app_dir("hipsono")) / "engines", description="what TensorRT built")
    looks: int = Field(1, ge=1, le=2, description="at a frame that was posted; streams have time for one")
    queue_depth: int = Field(2, ge=0, description="a frame that waits behind more is late: it is refused instead")
    max_streams: int = Field(16, ge=1, description="open at once; each gets its share of the processor")
    max_viewers: int = Field(16, ge=1, description="of a watched source, at once")
    max_upload_mb: float = Field(256, gt=0)
    max_bodies_mb: float = Field(1024, gt=0, description="of all uploads in memory, until they are answered")
    max_frame_mb: float = Field(16, gt=0, description="a message of a stream")
    deadline_ms: float = Field(30_000, gt=0, description="for an answer, and for the next part of a body")
    origins: tuple[str, ...] = Field((), description="other sites whose pages may send frames, https://name:port")
    hosts: tuple[str, ...] = Field((), description="names this server goes by, beside localhost and addresses")
    demo: bool = False


def settings(**told: Any) -> Settings:
    """Settings of the environment and what is told. Raises ValueError naming the variable, in plain words."""
    try:
        return Settings(**told)
    except ValidationError as error:
        wrong = (f"{_called(e['loc'], told)}: {e['msg'].lower()}, got {e['input']!r}" for e in error.errors())
        raise ValueError("; ".join(wrong)) from error
    except SettingsError as error:
        raise ValueError(f"{error}; lists are JSON, such as HIPSONO_HOSTS='[\"hip.example\"]'") from error


def _called(place: tuple[int | str, ...], told: dict[str, Any]) -> str:
    name = str(place[0])
    return f"--{name.replace('_', '-')}" if name in told else f"{_PREFIX}{name.upper()}"


def mistyped(environment: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable that is no setting but almost: it would be passed over."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(environment):
        near = get_close_matches(name.upper(), known, n=1, cutoff=_ALMOST)
        if name.upper().startswith(_PREFIX) and name.upper() not in known and near:
            yield f"{name} is no setting and is not heeded; {near[0]} is one"
