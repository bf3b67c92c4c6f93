"""A running application on the starter model, and pictures to send it."""

import cv2
import pytest
from fastapi.testclient import TestClient

from datasets.phantom.cine import cine
from serving.app import create_app
from serving.settings import Settings
from tests import known_hips
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="session")
def app():
    return create_app(Settings(max_upload_mb=8, deadline_ms=1e3 * PATIENCE_S, hosts=("testserver",)))


@pytest.fixture(scope="session")
def client(app):
    with TestClient(app) as opened:
        yield opened


@pytest.fixture(scope="session")
def samples():
    """A phantom of each hip view that the starter model grades or locates."""
    return {view: next(iter(cine(seed, view, 1))) for view, seed in known_hips.BY_VIEW.items()}


def encoded(sample, kind=".jpg"):
    pixels = sample.frame.pixels
    shown = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(kind, shown)[1].tobytes()
