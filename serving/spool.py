"""A folder that a thread empties: what is put there is on disk, and is taken up again after a restart."""

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final

from datasets.whole import write_whole

RETRY_S: Final = 20.0
_PATIENCE_S: Final = 30.0


class Spool:
    """A folder and the work on it: done at the start, when there is news, and every `retry_s` seconds.

    Nothing that happens in the work ends it: the next round begins with what is in the folder by then.
    """

    def __init__(self, folder: Path, work: Callable[[], None], retry_s: float = RETRY_S) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder, self._work, self._retry_s = folder, work, retry_s
        self._news, self._stopped = Event(), Event()
        self._thread = Thread(target=self._work_until_stopped, name=folder.name, daemon=True)

    @property
    def is_stopped(self) -> bool:
        """Whether the work is to end after what is at hand."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Begins with what an earlier run left."""
        self._thread.start()

    def wake(self) -> None:
        """There is news in the folder."""
        self._news.set()

    def stop(self) -> None:
        """Ends after what is at hand."""
        self._stopped.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_PATIENCE_S)

    def set_aside(self, path: Path, reason: str) -> None:
        """Moves a file that cannot be worked on out of the way, to where a person finds it beside the reason."""
        broken = self.folder / "broken"
        broken.mkdir(exist_ok=True)
        write_whole(broken / f"{path.stem}.txt", f"{reason}\n")
        path.replace(broken / f"{path.stem}.dcm")
        say(f"{path.name} is set aside in {broken}: {reason}")

    def _work_until_stopped(self) -> None:
        while not self.is_stopped:
            try:
                self._work()
            except Exception as error:  # what is still in the folder is not given up for what went wrong once
                say(f"{self.folder} waits: {type(error).__name__}: {error}")
            self._news.wait(self._retry_s)
            self._news.clear()


def say(text: str) -> None:
    """A line for who looks after it."""
    sys.stderr.write(f"hipsono: {text}\n")
    sys.stderr.flush()
