"""The peers take what ours takes, and a comparison ends in a table."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.phantom.generate import phantoms
from datasets.store import write_store
from model.anatomy import STRUCTURE_NAMES
from model.network.hipnet import CLASSES, Logits
from training.comparison import Exams, Material, Row, candidates, compare, main
from training.exam import examine_heads, open_exam
from training.feed import POINT_ROWS
from training.networks import NORMALISED, OURS, PEERS, build_network
from training.run_folder import Sources


@pytest.mark.parametrize("name", [*OURS, *NORMALISED, *PEERS])
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
    rows = compare(small, Material(Sources(tmp_path / "set")), exams, 0.005, tmp_path / "out")
    assert [row.name for row in rows] == ["hipnet", "lraspp"]
    assert all(0 <= row.dice <= 1 and row.ms > 0 and row.steps >= 1 for row in rows)
    assert rows[0].view is not None and rows[1].view is None
    assert [row.foreign for row in rows] == [row.dice for row in rows]
    assert rows[0].foreign_view == rows[0].view and rows[0].foreign_by_structure == rows[0].by_structure
    assert rows[0].landmark_mm is not None and 0 < rows[0].landmark_mm < 80 and rows[1].landmark_mm is None
    assert rows[0].gsus_kappa is not None and rows[1].gsus_kappa is None
    table = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len(table) == 4
    assert table[0].count("|") == table[3].count("|")


ROW = Row(
    "n", 64, 0, 1, 1.0, 0.5, dict.fromkeys(STRUCTURE_NAMES, 0.5), None, None, None, None, None, {}, None, None, 1.0, 1.0
)


class Told(torch.nn.Module):
    """Answers with given logits, frame after frame."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.at = logits, 0

    def forward(self, pictures):
        first, self.at = self.at, self.at + len(pictures)
        return Logits(*(part[first : self.at] for part in self.logits))


def test_heads_are_examined_in_millimetres_and_by_kappa(tmp_path):
    write_store(phantoms(range(6_200_000, 6_200_020), workers=1), tmp_path / "set", provenance="p", licence="none")
    exam, stride = open_exam(tmp_path / "set", 128), 4
    count = len(exam.examples)
    heat = torch.full((count, len(POINT_ROWS), 32, 32), -50.0)
    off = []
    for k, example in enumerate(exam.examples):
        for row, (x, y) in enumerate(example.points_xy):
            if not np.isfinite(x):
                continue
            column, line = int(x // stride), int(y // stride)
            heat[k, row, line, min(column + 2, 31)] = 50.0
            told = np.array([(min(column + 2, 31) + 0.5) * stride - 0.5, (line + 0.5) * stride - 0.5])
            off.append(np.linalg.norm((told - (x, y)) * exam.mm_a_pixel[k, row]))
    views = torch.nn.functional.one_hot(torch.tensor([e.view for e in exam.examples]), 4).float()
    thresholds = torch.tensor([[9.0 if e.gsus > t else -9.0 for t in range(3)] for e in exam.examples])
    presence = torch.full((count, len(POINT_ROWS)), 9.0)
    heads = examine_heads(Told((torch.zeros(count, 1, 1, 1), heat, presence, views, thresholds)), exam)
    assert heads.landmark_mm == pytest.approx(np.nanmedian(off), abs=0.05)
    assert 0.5 < heads.landmark_mm < 15
    assert (heads.view, heads.gsus_exact, heads.gsus_kappa) == (1.0, 1.0, 1.0)


def test_the_scale_of_an_exam_is_the_phantoms(tmp_path):
    samples = list(phantoms(range(6_200_000, 6_200_006), workers=1))
    write_store(iter(samples), tmp_path / "set", provenance="p", licence="none")
    small, large = open_exam(tmp_path / "set", 128), open_exam(tmp_path / "set", 256)
    seen = np.isfinite(small.mm_a_pixel)
    assert seen.any()
    np.testing.assert_allclose(small.mm_a_pixel[seen], 2 * large.mm_a_pixel[seen], rtol=0.02)
    for k, sample in enumerate(samples):
        points, truth = large.examples[k].points_xy, sample.truth.landmarks_xy[POINT_ROWS]
        if np.isfinite(points[:2]).all():
            spacing = np.array(sample.frame.spacing_at(*truth[0]))[::-1]
            mm = np.linalg.norm((truth[1] - truth[0]) * spacing)
            assert np.linalg.norm((points[1] - points[0]) * large.mm_a_pixel[k, 0]) == pytest.approx(mm, rel=1e-6)


def test_a_network_has_as_many_steps_as_its_share_of_the_minutes(tmp_path, monkeypatch):
    write_store(phantoms(range(6_200_000, 6_200_002), workers=1), tmp_path / "set", provenance="p", licence="none")
    taken_s = iter([0.5, 5.0])
    learnt = []
    monkeypatch.setattr("training.comparison._step_s", lambda *_: next(taken_s))
    monkeypatch.setattr("training.comparison.train", lambda recipe, *_, **__: learnt.append(recipe))
    monkeypatch.setattr("training.comparison._measure", lambda *_: ROW)
    trials = candidates("amount")
    compare(trials, Material(Sources(tmp_path / "set")), Exams(tmp_path / "set"), 8, tmp_path / "out")
    assert [one.steps * one.epochs for one in learnt] == [960, 960, 960, 240, 480, 960]
    assert [one.frames for one in learnt] == [300, 1000, 3000, 0, 0, 0]


def test_how_greys_are_evened_out_gives_a_network_no_other_steps(tmp_path, monkeypatch):
    write_store(phantoms(range(6_200_000, 6_200_002), workers=1), tmp_path / "set", provenance="p", licence="none")
    taken_s, learnt = iter([0.5]), []
    monkeypatch.setattr("training.comparison._step_s", lambda *_: next(taken_s))
    monkeypatch.setattr("training.comparison.train", lambda recipe, *_, **__: learnt.append(recipe))
    monkeypatch.setattr("training.comparison._measure", lambda *_: ROW)
    material = Material(Sources(tmp_path / "set"), tmp_path / "set")
    compare(candidates("formation"), material, Exams(tmp_path / "set"), 8, tmp_path / "out")
    assert {one.steps for one in learnt} == {120} and len(learnt) == 5


def test_the_trade_holds_every_network_of_ours():
    told = {(one.recipe.network, one.recipe.input_px) for one in candidates("trade")}
    assert {network for network, _ in told} == set(OURS)
    assert {("hipnet-refined", 256), ("hipnet-refined", 288)} < told


def test_an_ablation_leaves_out_one_part_each():
    whole, *rest = candidates("ablation")
    assert all(getattr(whole.recipe, part) > 0 for part in ("veil_share", "bend_share", "style_share", "fade_share"))
    for one in rest:
        gone = [part for part in ("veil", "bend", "style", "fade") if getattr(one.recipe, f"{part}_share") == 0]
        assert one.name == f"no-{(gone or ['real'])[0]}"
        assert len(gone) + (not one.extras) == 1
    assert len({one.folder for one in (whole, *rest)}) == 6


def test_an_ablation_with_nothing_to_leave_out_is_refused(monkeypatch, capsys):
    words = ["comparison", "ablation", "--data", "a", "--exam", "b", "-o", "c"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        main()
    assert "--extra" in capsys.readouterr().err


def test_one_row_learns_from_one_renderer(tmp_path):
    whole, one, *normalised = candidates("formation")
    there = Material(Sources(tmp_path / "both"), tmp_path / "one")
    assert [there.of(row).data.name for row in (whole, one, *normalised)] == ["both", "one", "both", "both", "both"]
    assert {row.recipe.network for row in normalised} == set(NORMALISED)
    assert whole.recipe == one.recipe
    with pytest.raises(ValueError, match="--one-renderer"):
        compare((one,), Material(Sources(tmp_path)), Exams(tmp_path), 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="peers, trade, amount, ablation, formation"):
        candidates("speed")
