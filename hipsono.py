"""hipsono: one program, one verb per job. A room is imported only when its verb is used."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
