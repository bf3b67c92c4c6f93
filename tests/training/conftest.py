"""A data set, one labelled in part, and a whole tiny run on both: made once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.phantom.generate import phantoms
from datasets.sample import VESSEL, VESSEL_ID, Truth
from datasets.store import write_store
from model.anatomy import View
from training import loop
from training.loop import train
from training.recipe import load_recipe
from training.run_folder import Sources

TINY = load_recipe(Path(loop.__file__).parent / "recipes" / "tiny.toml")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    write_store(phantoms(range(6_000_000, 6_000_040), workers=2), folder, provenance="phantoms", licence="none")
    return folder


@pytest.fixture(scope="session")
def vessels(tmp_path_factory):
    """A set labelled for vessels only, as scans of another study come."""
    folder = tmp_path_factory.mktemp("data") / "vessels"
    partly = []
    for sample in phantoms(range(6_100_000, 6_100_006), View.INFEROMEDIAL, workers=1):
        mask = np.where(np.isin(sample.truth.mask, (4, 5)), VESSEL_ID, 0).astype(np.uint8)
        truth = Truth(View.OTHER, mask, np.full((9, 2), np.nan), labelled=(VESSEL,))
        partly.append(replace(sample, truth=truth))
    write_store(partly, folder, provenance="phantoms", licence="none")
    return folder


@pytest.fixture(scope="session")
def run(data, vessels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(TINY, Sources(data, (vessels,)), folder)
    return folder
