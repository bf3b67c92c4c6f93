"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` when the block ends well; after an error `path` is as it was before."""
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def write_whole(path: Path, content: bytes | str) -> None:
    """Bytes, or text as UTF-8, into a file."""
    with unfinished(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
