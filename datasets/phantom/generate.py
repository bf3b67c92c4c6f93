"""Seed -> Sample: draws the person, the scene and the scanner, renders, and writes down the truth."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantom import focused, synthetic
from datasets.phantom.body import Body, draw_body
from datasets.phantom.graphics import burn_in, colour_flow, draw_box, polygon_mask, walk_flow, within_box
from datasets.phantom.longitudinal import longitudinal
from datasets.phantom.needle import with_needle
from datasets.phantom.other import other_picture, other_scene
from datasets.phantom.renderer import Renderer
from datasets.phantom.scanner import (
    ROWS,
    Aperture,
    Array,
    Beam,
    Display,
    Probe,
    draw_aperture,
    draw_array,
    draw_beam,
    draw_display,
    draw_disturbances,
    draw_probe,
)
from datasets.phantom.scene import Scene, mirrored, shifted, span_mm
from datasets.phantom.screen import (
    Screen,
    compress,
    draw_screen,
    draw_size,
    paint_truth,
    place_landmarks,
    scan_convert,
    vendor_look,
)
from datasets.phantom.sounding import Insonation
from datasets.phantom.tissue import Map, TissueMaps, tissue_maps
from datasets.phantom.transverse import iliopectineal, inferomedial
from datasets.sample import Acquisition, Sample, Truth
from datasets.workers import worker_pool
from model.anatomy import LANDMARKS, Laterality, View
from model.frame import Frame, Region

SHARES: Final = {View.ILIOPECTINEAL: 0.3, View.INFEROMEDIAL: 0.22, View.LONGITUDINAL: 0.32, View.OTHER: 0.16}
SECOND_RENDERER: Final = 0.45
"""Share of frames formed by the synthetic aperture instead of focused beams."""
SOURCE: Final = "phantom"
_PICTURE_SHARE: Final = 0.45
_WAVE_SIZE: Final = (360, 320)
"""Small, because the yardstick is kept in the tree."""
_FLOW_FRACTION: Final = {0: (0.0, 0.0), 1: (0.008, 0.05), 2: (0.07, 0.12), 3: (0.14, 0.55)}
_SEED_SALT: Final = 20261121


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Everything of a frame but its noise. `moved_mm` is how far (x, z) tissue has moved since a cine began.

    `noise_seed` gives the frame electronic noise of its own, where its scatterers are another frame's too.
    """

    seed: int
    scene: Scene
    body: Body
    probe: Probe
    beam: Beam | Aperture | Array
    display: Display
    screen: Screen
    flipped: bool
    moved_mm: tuple[float, float] = (0.0, 0.0)
    noise_seed: int | None = None


def phantom(seed: int, view: View | None = None, renderer: Renderer | None = None) -> Sample:
    """One labelled phantom sonogram, the same for the same seed, view and renderer (drawn too without one). Raises
    ValueError for a seed below 0.
    """
    if seed < 0:
        raise ValueError(f"a phantom's seed is 0 or more, got {seed}")
    try:
        return _phantom(seed, view, renderer)
    except Exception as error:
        raise RuntimeError(f"the phantom of seed {seed} cannot be drawn: a fault of ours, please report it") from error


def _phantom(seed: int, view: View | None, renderer: Renderer | None) -> Sample:
    rng = np.random.default_rng([_SEED_SALT, seed])
    chosen = View(rng.choice(list(SHARES), p=list(SHARES.values())))
    view = view or chosen
    body = draw_body(rng)
    if view is View.OTHER and rng.random() < _PICTURE_SHARE:
        return _sample(seed, body, Frame(other_picture(rng)), _nothing(), Acquisition())
    drawn = _draw(seed, view, body, rng)
    return render(drawn if renderer is None else formed_by(renderer, drawn), rng)


def formed_by(renderer: Renderer, drawn: Drawn) -> Drawn:
    """What was drawn, its picture formed by this renderer."""
    if isinstance(drawn.beam, Beam) is (renderer is Renderer.FOCUSED):
        return drawn
    rng = np.random.default_rng([_SEED_SALT, drawn.seed, 31])
    if renderer is Renderer.APERTURE:
        return replace(drawn, beam=draw_aperture(rng))
    return replace(drawn, beam=draw_beam(rng), display=replace(drawn.display, power=0.0))


def draw_phantom(seed: int, view: View) -> Drawn:
    """The scene and the scanner of a seed, not yet rendered."""
    rng = np.random.default_rng([_SEED_SALT, seed])
    rng.random()
    return _draw(seed, view, draw_body(rng), rng)


def wave_phantom(seed: int, view: View) -> Sample:
    """A phantom through the wave simulator, minutes of work. Raises ValueError where the seed has no linear probe."""
    drawn = draw_phantom(seed, view)
    rng = np.random.default_rng([_SEED_SALT, seed, 29])
    screen = draw_screen(drawn.probe, _WAVE_SIZE, rng)
    return render(replace(drawn, beam=draw_array(rng), screen=screen), rng)


def phantoms(
    seeds: Iterable[int], view: View | None = None, workers: int | None = None, renderer: Renderer | None = None
) -> Iterator[Sample]:
    """Phantoms of many seeds, in order, drawn in parallel processes (all cores unless told)."""
    draw = partial(phantom, view=view, renderer=renderer)
    if workers == 1:
        yield from map(draw, seeds)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(draw, seeds, chunksize=4)


def _draw_scene(view: View, body: Body, rng: Generator) -> Scene:
    draw = {
        View.ILIOPECTINEAL: iliopectineal,
        View.INFEROMEDIAL: inferomedial,
        View.LONGITUDINAL: longitudinal,
        View.OTHER: other_scene,
    }[view]
    return draw(body, rng)


def _draw(seed: int, view: View, body: Body, rng: Generator) -> Drawn:
    return scanned(seed, body, with_needle(_draw_scene(view, body, rng), rng), rng)


def scanned(seed: int, body: Body, scene: Scene, rng: Generator) -> Drawn:
    """A scene under a drawn probe, scanner and screen, framed as a hand would; not yet rendered."""
    flipped = bool(rng.random() < 0.5)
    scene = mirrored(scene) if flipped else scene
    left, right, deep = span_mm(scene)
    scene = shifted(scene, -(left + right) / 2 + rng.normal(0, 0.09) * (right - left))
    probe = draw_probe((right - left, deep), rng)
    second = rng.random() < SECOND_RENDERER
    beam = draw_aperture(rng) if second else draw_beam(rng)
    display = draw_display(rng, by_power=second and rng.random() < 0.5)
    return Drawn(seed, scene, body, probe, beam, display, draw_screen(probe, draw_size(rng), rng), flipped)


def render(drawn: Drawn, rng: Generator) -> Sample:
    """The frame of a drawn scene; the generator gives scatterers, noise, graphics and Doppler."""
    scene, body, probe, display, screen = drawn.scene, drawn.body, drawn.probe, drawn.display, drawn.screen
    pitch_mm = float(probe.line_pitch_mm()[ROWS // 2])
    shift = (drawn.moved_mm[1] / probe.row_mm, drawn.moved_mm[0] / pitch_mm)
    maps = tissue_maps(scene, probe, rng, shift)
    sounding = Insonation(probe, draw_disturbances(rng), shift)
    noise = rng if drawn.noise_seed is None else np.random.default_rng([drawn.seed, 13, drawn.noise_seed])
    # What is drawn over a cine and told of it does not change from frame to frame, however many draws flow takes.
    is_still = drawn.noise_seed is None
    later = rng if is_still else np.random.default_rng([drawn.seed, 19])
    last = rng if is_still else np.random.default_rng([drawn.seed, 23])
    envelope = _envelope(maps, sounding, drawn.beam, (rng, noise))
    picture = vendor_look(scan_convert(compress(envelope, maps, probe, display), probe, screen), display.smoothing)
    mask = paint_truth(scene, probe, screen)
    truth = _truth(drawn, mask)
    pixels: NDArray[np.uint8] = picture
    doppler = later.random() < (0.35 if scene.view is View.LONGITUDINAL else 0.15)
    burn_in(picture, screen, later)
    if doppler:
        colours = later if is_still else np.random.default_rng([drawn.seed, 37])
        pixels, truth = _with_doppler(picture, (scene, screen), truth, (later, colours))
    if last.random() < 0.3:
        pixels = _jpeg(pixels, int(last.integers(45, 95)))
    spacing = (screen.spacing_row_mm, screen.spacing_column_mm)
    frame = Frame(
        pixels,
        regions=(Region(*screen.box, spacing_mm=spacing, shows_flow=doppler),),
        spacing_source=SOURCE,
        laterality=Laterality.LEFT if last.random() < 0.5 else Laterality.RIGHT,
        age_years=round(body.age_years, 1),
    )
    acquisition = Acquisition(
        probe.kind, probe.depth_mm, probe.frequency_mhz, 60 * (display.median_level - 0.38), body.bmi, drawn.flipped
    )
    return _sample(drawn.seed, body, frame, truth, acquisition)


def _envelope(
    maps: TissueMaps, sounding: Insonation, beam: Beam | Aperture | Array, rngs: tuple[Generator, Generator]
) -> Map:
    """Echoes with their floors, by the renderer the beam belongs to; generators of scatterers and of noise."""
    if isinstance(beam, Array):
        from datasets.phantom import wave

        return wave.with_floors(wave.echo(maps, sounding, beam, rngs[0]), beam, maps, rngs[1])
    if isinstance(beam, Beam):
        return focused.with_floors(focused.echo(maps, sounding, beam, rngs[0]), beam, maps, rngs[1])
    return synthetic.with_floors(synthetic.echo(maps, sounding, beam, rngs[0]), sounding, beam, maps, rngs[1])


def _with_doppler(
    picture: NDArray[np.uint8], place: tuple[Scene, Screen], truth: Truth, rngs: tuple[Generator, Generator]
) -> tuple[NDArray[np.uint8], Truth]:
    """The picture with its flow; generators of the flow and of its colours."""
    (scene, screen), (rng, colours) = place, rngs
    if scene.synovium_mm is None:
        empty = np.zeros_like(picture)
        return colour_flow(picture, draw_box(screen, empty, rng), empty, colours), truth
    grade = int(rng.integers(0, 4))
    inside = polygon_mask(screen, scene.synovium_mm) & (picture > 0)
    box = draw_box(screen, inside, rng)
    flow = walk_flow(within_box(inside, box), rng.uniform(*_FLOW_FRACTION[grade]), rng)
    recess = truth.mask == 9 if truth.mask is not None else inside
    fraction = float((flow.astype(bool) & recess).sum() / max(int(recess.sum()), 1))
    rgb = colour_flow(picture, box, flow, colours)
    return rgb, replace(truth, pdus=_pdus(fraction), flow_fraction=fraction)


def _pdus(fraction: float) -> int:
    """The calibrated reading of a measured colour fraction (annotation protocol)."""
    return 0 if fraction == 0 else 1 + int(fraction > 0.06) + int(fraction > 0.12)


def truth_of(drawn: Drawn) -> Truth:
    """What is known of the frame of a drawn scene, without rendering it."""
    return _truth(drawn, paint_truth(drawn.scene, drawn.probe, drawn.screen))


def _truth(drawn: Drawn, mask: NDArray[np.uint8]) -> Truth:
    scene = drawn.scene
    points = place_landmarks(scene, drawn.probe, drawn.screen, mask)
    names = [landmark.name for landmark in LANDMARKS]
    ends = points[[names.index("head_neck_junction"), names.index("capsule_insertion")]]
    whole = scene.gsus is not None and bool(np.isfinite(ends).all())
    if not whole:
        return Truth(scene.view, mask, points)
    return Truth(
        scene.view,
        mask,
        points,
        gsus=scene.gsus,
        capsule_distance_mm=scene.capsule_distance_mm,
        sagitta_mm=scene.sagitta_mm,
        sagitta_ratio=scene.sagitta_ratio,
    )


def _nothing() -> Truth:
    return Truth(View.OTHER, None, np.full((len(LANDMARKS), 2), np.nan))


def _sample(seed: int, body: Body, frame: Frame, truth: Truth, acquisition: Acquisition) -> Sample:
    name = f"phantom-{seed:07d}"
    frame = replace(frame, source=name, age_years=round(body.age_years, 1))
    if truth.mask is None:
        truth = replace(truth, mask=np.zeros((frame.height, frame.width), np.uint8))
    return Sample(frame, truth, name, f"{name}-a", "construction", acquisition)


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    flag = cv2.IMREAD_GRAYSCALE if pixels.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(data, flag), np.uint8)
