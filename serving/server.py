"""Every server of this program: how it is run, what it logs, and that it stops."""

import gc
import logging
from contextlib import suppress
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from serving.heads import prompt_within
from serving.settings import Settings

_STOP_S: Final = 8
"""For what is under way when it is told to stop; a container is killed after ten."""
_LOG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"timed": {"format": "%(asctime)s %(levelname)s %(message)s", "datefmt": "%Y-%m-%dT%H:%M:%S%z"}},
    "filters": {"faults": {"()": "serving.server.NoFault"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "timed", "filters": ["faults"]}},
    "loggers": {"uvicorn": {"handlers": ["stderr"], "propagate": False}, "hipsono": {"handlers": ["stderr"]}},
}


class NoFault(logging.Filter):
    """Leaves out what uvicorn takes for a fault of ours: a WebSocket's handshake that was refused, with a reason."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing handshake" not in str(record.msg)


def run_until_stopped(server: uvicorn.Server) -> None:
    """Serves until it is told to stop; Ctrl-C is no error."""
    with suppress(KeyboardInterrupt):
        server.run()


def server_of(app: FastAPI, settings: Settings, log_level: str = "warning") -> uvicorn.Server:
    """What costs time on every frame (access log, packing of pictures) is left out."""
    # What is there now stays: without this the collector walks it all while frames wait, some 50 ms each time.
    gc.collect()
    gc.freeze()
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=prompt_within(settings.deadline_ms / 1000),
            log_config=_LOG,
            log_level=log_level,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
            ws_max_size=int(settings.max_frame_mb * 1e6),
            ws_per_message_deflate=False,
        )
    )
