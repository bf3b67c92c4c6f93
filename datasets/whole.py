"""Files that appear whole or not at all: written beside their place under another name, flushed, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends well; after an error `path` is as it was before."""
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        to_disk(partial)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
    to_disk(path.parent)


def write_whole(path: Path, content: bytes | str) -> None:
    """Bytes, or text as UTF-8, into a file."""
    with unfinished(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def to_disk(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk: it is there after a power cut.

    Raises OSError where a file cannot be brought there.
    """
    if not path.is_dir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        return
    with suppress(OSError):  # not every system, nor every share, knows this of folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
