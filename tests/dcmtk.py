"""dcmtk's programs. pynetdicom puts others of the same names into an environment, found first once it is active."""

import os
import shutil
from pathlib import Path
from typing import Final


def _outside_environments(name: str) -> str | None:
    folders = [
        folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "../pyvenv.cfg").exists()
    ]
    return shutil.which(name, path=os.pathsep.join(folders))


STORESCU: Final = _outside_environments("storescu") or ""
"""Empty where dcmtk is not installed."""
