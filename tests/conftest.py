"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real ultrasound data, named by HIPSONO_DATA; its tests are skipped where it is absent."""
    folder = os.environ.get("HIPSONO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data not found: set HIPSONO_DATA to the folder that holds ultrasound-dicom/ and the others")
    return Path(folder)
