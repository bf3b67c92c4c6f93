"""Two renderers of one scene: the same anatomy, different pictures; each with the physics it claims."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom import focused, synthetic
from datasets.phantom.generate import draw_phantom, formed_by, phantom, render
from datasets.phantom.renderer import Renderer
from datasets.phantom.scanner import LINES, ROWS, Aperture, Beam, Probe, draw_aperture, draw_beam
from datasets.phantom.sounding import Insonation, complex_noise
from datasets.phantom.tissue import TissueMaps
from datasets.phantom.write import PhantomOrder
from model.anatomy import HIP_VIEWS, View

PROBE = Probe("linear", 40, 0, 0, 40, 8)
QUIET = Aperture(np.radians(10), 1.0, 0.6, -60, -60, 20, -80, 8, 0.0, 1)


def maps_of(level_db=0.0, attenuation=0.5) -> TissueMaps:
    empty = np.zeros((ROWS, LINES), np.float32)
    none = np.zeros_like(empty, np.bool_)
    return TissueMaps(empty + level_db, empty + np.float32(attenuation), empty, empty.copy(), none)


@pytest.mark.parametrize("view", HIP_VIEWS)
def test_the_truth_is_the_scenes_whichever_renderer_drew_it(view):
    drawn = draw_phantom(8_000_001, view)
    rng = np.random.default_rng(0)
    one = render(replace(drawn, beam=draw_beam(rng)), np.random.default_rng(1))
    other = render(replace(drawn, beam=draw_aperture(rng)), np.random.default_rng(1))
    assert np.array_equal(one.truth.mask, other.truth.mask)
    assert np.array_equal(one.truth.landmarks_xy, other.truth.landmarks_xy, equal_nan=True)
    assert not np.array_equal(one.frame.grey, other.frame.grey)


def test_both_renderers_are_drawn():
    kinds = {type(draw_phantom(seed, View.LONGITUDINAL).beam) for seed in range(8_000_000, 8_000_012)}
    assert len(kinds) == 2


@pytest.mark.parametrize(("renderer", "kind"), [(Renderer.FOCUSED, Beam), (Renderer.APERTURE, Aperture)])
def test_all_can_be_formed_by_one_renderer(renderer, kind):
    drawn = [draw_phantom(seed, View.LONGITUDINAL) for seed in range(8_000_000, 8_000_012)]
    formed = [formed_by(renderer, one) for one in drawn]
    assert {type(one.beam) for one in formed} == {kind}
    assert all(after is before for before, after in zip(drawn, formed, strict=True) if isinstance(before.beam, kind))
    assert renderer is Renderer.APERTURE or all(one.display.power == 0 for one in formed)


def test_one_renderer_draws_the_same_anatomy():
    seeds = range(8_000_000, 8_000_006)
    asked = [[phantom(seed, View.LONGITUDINAL, renderer) for seed in seeds] for renderer in (None, *Renderer)]
    for free, focused_one, aperture_one in zip(*asked, strict=True):
        assert np.array_equal(focused_one.truth.mask, free.truth.mask)
        assert np.array_equal(aperture_one.truth.mask, free.truth.mask)
        same = [np.array_equal(one.frame.grey, free.frame.grey) for one in (focused_one, aperture_one)]
        assert sorted(same) == [False, True]


def test_a_renderer_for_cines_is_refused():
    with pytest.raises(ValueError, match="leave out --cine"):
        PhantomOrder(1, 0, cine_frames=3, renderer=Renderer.FOCUSED)


def test_speckle_of_the_synthetic_aperture_is_rayleigh():
    envelope = synthetic.echo(maps_of(attenuation=0.0), Insonation(PROBE), QUIET, np.random.default_rng(0))
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.08)


def test_a_wider_aperture_has_finer_speckle():
    def width(angle):
        support = synthetic._support(PROBE, replace(QUIET, angle=angle), 0.0)
        field = synthetic._formed(complex_noise(np.random.default_rng(0)), support)
        spectrum = np.abs(np.fft.fft(np.abs(field) ** 2, axis=1)) ** 2
        correlation = np.fft.ifft(spectrum.mean(axis=0)).real
        correlation = (correlation - correlation[LINES // 2]) / (correlation[0] - correlation[LINES // 2])
        return np.argmax(correlation < 0.5)

    assert width(np.radians(2)) > 1.8 * width(np.radians(6))


def test_reverberation_repeats_a_reflector_below_itself():
    maps = maps_of(-60, 0.0)
    maps.lines[100] = 100.0
    loud = replace(QUIET, repeat_db=-12, repeat_mm=8)
    rng = np.random.default_rng(0)
    envelope = synthetic.echo(maps, Insonation(PROBE), QUIET, rng)
    floors = synthetic.with_floors(envelope, Insonation(PROBE), loud, maps, rng).mean(axis=1)
    step = round(8 / PROBE.row_mm)
    assert floors[100 + step] > 5 * floors[100 + step // 2]


def test_a_shadow_is_lit_from_its_sides_only_under_a_wide_aperture():
    maps = maps_of()
    maps.attenuation[60:90, 95:113] = 30.0
    narrow, wide = (
        synthetic.echo(maps, Insonation(PROBE), replace(QUIET, fill_share=share), np.random.default_rng(0))
        for share in (0.0, 0.2)
    )
    under = np.s_[200:300, 100:108]
    assert wide[under].mean() > 5 * narrow[under].mean()


def test_focused_beams_are_narrowest_at_their_focus():
    beam = replace(
        draw_beam(np.random.default_rng(0)), focus_share=0.5, f_transmit=2.2, f_receive=3.2, side_lobe_db=-80
    )
    point = np.zeros((ROWS, LINES), np.complex64)
    point[::64, LINES // 2] = 1
    spread = np.abs(focused._spread(point, PROBE, beam))
    widths = {row: (spread[row] > spread[row].max() / 2).sum() for row in range(0, ROWS, 64)}
    assert widths[256] < widths[64]
    assert widths[256] < widths[448]
