"""hipsono: one program, one verb per job. Each room has its own verbs; a room's work is imported when its verb is used.

Exit 0 done, 1 some inputs failed (they are listed), 2 the call was wrong. Results go to stdout or files, talk goes
to stderr.
"""

import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent))

import typer

import datasets.verbs
import serving.archive.verbs
import serving.cohort.verbs
import serving.verbs
import training.verbs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (serving.verbs, serving.archive.verbs, serving.cohort.verbs, datasets.verbs, training.verbs):
    app.add_typer(room.app)


def _tell_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"hipsono {metadata.version('hipsono')}\n")
        raise SystemExit(0)


@app.callback()
def _begin(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    """Reads hip ultrasound: structures, landmarks, targets and SOLAR grades. Research use; not a medical device."""


def main() -> None:
    """The entry point: what a user can mend is told in one line, without a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"hipsono: {error}\n")
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
