"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real ultrasound data, named by HIPSONO_DATA; its tests are skipped where it is absent."""
    folder = os.environ.get("HIPSONO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data not found: set HIPSONO_DATA to the folder that holds ultrasound-dicom/ and the others")
    return Path(folder)
