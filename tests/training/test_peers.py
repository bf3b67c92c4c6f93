"""The peers take what ours takes, and a comparison ends in a table."""

import pytest
import torch

from datasets.phantom.generate import phantoms
from datasets.store import write_store
from model.network.hipnet import CLASSES
from training.networks import OURS, PEERS, build_network
from training.peers import compare
from training.run_folder import Sources


@pytest.mark.parametrize("name", [OURS, *PEERS])
def test_every_network_answers_in_the_same_shapes(name):
    network = build_network(name).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 1, 96, 96) * 255)
    assert logits.structures.shape == (2, CLASSES, 48, 48)
    assert logits.view.shape == (2, 4)
    assert logits.heat.shape == (2, 6, 24, 24)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="one of hipnet"):
        build_network("resnet-9000")


def test_a_comparison_writes_its_table(tmp_path, monkeypatch):
    write_store(phantoms(range(6_200_000, 6_200_040), workers=1), tmp_path / "set", provenance="p", licence="none")
    monkeypatch.setattr("training.peers.PEERS", {"lraspp": PEERS["lraspp"]})
    monkeypatch.setattr("training.peers._EPOCHS", 1)
    rows = compare(Sources(tmp_path / "set"), tmp_path / "set", 0.01, tmp_path / "out")
    assert [row.network for row in rows] == [OURS, "lraspp"]
    assert all(0 <= row.dice <= 1 and row.ms > 0 and row.steps >= 1 for row in rows)
    table = (tmp_path / "out" / "peers.md").read_text().splitlines()
    assert len(table) == 4
    assert table[0].count("|") == table[3].count("|")
