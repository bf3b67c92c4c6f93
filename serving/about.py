"""Versions, providers, model and thresholds, as `hipsono info` tells them."""

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any, Final

import onnxruntime

from model.anatomy import LANDMARK_NAMES, STRUCTURE_NAMES, VIEWS
from model.grade import GradeRules
from model.reading import NOTICE
from serving.settings import Settings
from serving.tuning import choice_of, open_session

VERSION: Final = metadata.version("hipsono")


def about(settings: Settings) -> dict[str, Any]:
    """Everything a report of a fault should carry. Raises what Session raises."""
    choice = choice_of(settings)
    session = open_session(settings, choice)
    spec = session.spec
    return {
        "hipsono": VERSION,
        "notice": NOTICE,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "run_by": {"provider": session.provider, "threads": choice.threads, "frames_at_once": choice.workers},
        "model": {"file": str(session.path), "name": spec.name, "version": spec.version, "sha256": session.sha256},
        "trained_on": spec.trained_on,
        "follows_capsules": spec.strip is not None,
        "input": [spec.input_height, spec.input_width],
        "thresholds": asdict(spec.thresholds),
        "temperatures": {**asdict(spec.temperatures), "gsus_of_two": spec.gsus_of_two},
        "grade_rules": asdict(GradeRules()),
        "views": [str(view) for view in VIEWS],
        "structures": list(STRUCTURE_NAMES),
        "landmarks": list(LANDMARK_NAMES),
    }
