"""What an operator may set: defaults, then HIPSONO_* environment variables, then the command line."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.runtime import STARTER, Provider


class Settings(BaseSettings):
    """Frozen once read. `queue_depth` requests may wait beside those being worked on; more are refused with 503."""

    model_config = SettingsConfigDict(env_prefix="HIPSONO_", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    model: Path = STARTER
    provider: Provider = Provider.CPU
    threads: int | None = Field(None, ge=1, description="threads of the network; all cores without it")
    workers: int = Field(2, ge=1, description="frames worked on at once")
    queue_depth: int = Field(2, ge=0, description="a frame that waits behind more is late: it is refused instead")
    max_upload_mb: float = Field(256, gt=0)
    deadline_ms: float = Field(30_000, gt=0)
    demo: bool = False
