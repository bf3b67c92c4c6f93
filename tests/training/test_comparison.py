"""The peers take what ours takes, and a comparison ends in a table."""

from dataclasses import replace

import pytest
import torch

from datasets.phantom.generate import phantoms
from datasets.store import write_store
from model.network.hipnet import CLASSES
from training.comparison import Exams, candidates, compare
from training.networks import OURS, PEERS, build_network
from training.run_folder import Sources


@pytest.mark.parametrize("name", [*OURS, *PEERS])
def test_every_network_answers_in_the_same_shapes(name):
    network = build_network(name).eval()
    with torch.no_grad():
        logits = network(torch.rand(1, 1, 64, 64) * 255)
    assert logits.structures.shape == (1, CLASSES, 32, 32)
    assert logits.view.shape == (1, 4)
    assert logits.heat.shape == (1, 6, 16, 16)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="one of hipnet"):
        build_network("resnet-9000")


def test_a_comparison_writes_its_table(tmp_path, monkeypatch):
    write_store(phantoms(range(6_200_000, 6_200_040), workers=1), tmp_path / "set", provenance="p", licence="none")
    monkeypatch.setattr("training.comparison._EPOCHS", 1)
    chosen = (candidates("trade")[0], candidates("peers")[3])
    small = tuple(replace(one, recipe=replace(one.recipe, input_px=64)) for one in chosen)
    exams = Exams(tmp_path / "set", tmp_path / "set")
    rows = compare(small, Sources(tmp_path / "set"), exams, 0.005, tmp_path / "out")
    assert [row.name for row in rows] == ["hipnet", "lraspp"]
    assert all(0 <= row.dice <= 1 and row.ms > 0 and row.steps >= 1 for row in rows)
    assert rows[0].view is not None and rows[1].view is None
    assert [row.foreign for row in rows] == [row.dice for row in rows]
    assert rows[0].foreign_view == rows[0].view and rows[0].foreign_by_structure == rows[0].by_structure
    table = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len(table) == 4
    assert table[0].count("|") == table[3].count("|")


def test_an_ablation_leaves_out_one_part_each():
    whole, *rest = candidates("ablation")
    assert all(getattr(whole.recipe, part) > 0 for part in ("veil_share", "bend_share", "style_share", "fade_share"))
    for one in rest:
        gone = [part for part in ("veil", "bend", "style", "fade") if getattr(one.recipe, f"{part}_share") == 0]
        assert one.name == f"no-{(gone or ['real'])[0]}"
        assert len(gone) + (not one.extras) == 1
    assert len({one.folder for one in (whole, *rest)}) == 6


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="peers, trade, amount or ablation"):
        candidates("speed")
