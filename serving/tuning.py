"""How the network is run: what an operator set, else what `hipsono bench --tune` chose on this machine."""

import hashlib
import json
import logging
import os
import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import onnxruntime

from model.runtime import Execution, Provider, Session
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """How the network is run: what runs it, by how many threads a frame that is alone, and how many frames at once."""

    provider: Provider = Provider.CPU
    threads: int = os.cpu_count() or 1
    workers: int = 2


def store_choice(choice: Choice, model: Path, path: Path) -> None:
    """Keeps a choice with what it was measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"measured_on": measured_on(model), **asdict(choice)}, indent=1) + "\n")


def choice_of(settings: Settings) -> Choice:
    """What is set; what is left open as it was stored, where that was measured on this machine, else the defaults."""
    stored = _stored(settings.model, settings.tuned) or Choice()
    return Choice(
        settings.provider or stored.provider, settings.threads or stored.threads, settings.workers or stored.workers
    )


def open_session(settings: Settings, choice: Choice | None = None) -> Session:
    """The network as `choice` runs it; without one as it is set or was tuned, for one frame after another.

    Raises what Session raises.
    """
    choice = choice or replace(choice_of(settings), workers=1)
    return Session(settings.model, choice.threads, execution_of(settings, choice.provider), choice.workers > 1)


def execution_of(settings: Settings, provider: Provider) -> Execution:
    """A provider with what is set for it."""
    return Execution(provider, settings.tensorrt_half, settings.tensorrt_engines)


def measured_on(model: Path) -> str:
    """Machine, runtime and network that a choice holds for. Raises FileNotFoundError where there is no network."""
    if not model.is_file():
        raise FileNotFoundError(f"no model at {model}: give --model FILE, or export one with `hipsono export`")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    return f"{platform.machine()}, {os.cpu_count()} cores, onnxruntime {onnxruntime.__version__}, model {digest}"


def _stored(model: Path, path: Path) -> Choice | None:
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text())
        choice = Choice(Provider(told["provider"]), int(told["threads"]), int(told["workers"]))
        fits = told["measured_on"] == measured_on(model)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _warn(f"{path} cannot be read ({error})")
        return None
    if not fits:
        _warn(f"{path} was measured on something else ({told['measured_on']})")
    return choice if fits else None


def _warn(what: str) -> None:
    logging.getLogger("hipsono").warning("%s and is not used: run `hipsono bench --tune` again", what)
