"""An evaluation as a table for the terminal."""

import math

from training.evaluation.figures import Evaluation
from training.evaluation.measures import CapsuleFigures, GradeFigures, LandmarkFigures, StructureFigures


def table(e: Evaluation) -> str:
    """The figures as lines of text; "none" where the frames have nothing that a figure could be of."""
    errors = ", ".join(f"{name} {told.error:.3f}" for name, told in e.calibration.items() if not math.isnan(told.error))
    rows = [
        f"{e.frames} frames ({e.provenance}); model {e.model}, {e.sha256[:12]}",
        f"view right                {_share(e.view_accuracy)}",
        f"landmark error            {_landmarks(e.landmarks)}",
        *_grades(e.gsus),
        f"capsule distance          {_capsule(e.capsule)}",
        f"calibration error         {errors}",
        f"structures                {_structures(e)}",
        f"not a hip                 {_others(e)}",
    ]
    if e.vessel_frames:
        rows.append(f"vessel, artery or vein    {e.vessel_dice:6.3f} Dice on {e.vessel_frames} frames")
    if any(s.frames for s in e.structures):
        rows.append(
            f"{'structure':26}{'Dice':>7}{'NSD':>7}{'HD95':>7}{'found':>8}{'missed':>8}{'false':>8}{'frames':>8}"
        )
    return "\n".join(rows + [_structure_line(s) for s in e.structures if s.frames])


def _landmarks(f: LandmarkFigures) -> str:
    told = f"{_share(f.false)} false where there are none"
    if math.isnan(f.found):
        return f"no landmarks; {told}"
    near = f"{_figure(f.median_mm, 6, 2)} mm median, {_figure(f.p95_mm, 0, 2)} mm 95th percentile"
    spread = f"{_share(f.within_spread)} within twice the told SD"
    return f"{near}, {_share(f.share_under_2_mm)} under 2 mm, {_share(f.found)} found, {told}; {spread}"


def _grades(g: GradeFigures) -> list[str]:
    if not g.frames:
        return ["GSUS                      no grades"]
    kappa = f"weighted kappa {_figure(g.kappa)}{_interval(g.kappa_interval, ' ({:.3f} to {:.3f})')}"
    return [
        f"GSUS                      {_share(g.exact)} exact, {_share(g.within_one)} within one, {kappa}; "
        f"{_share(g.answered)} of {g.frames} answered",
        f"GSUS that asks for review {_share(g.review.share)} of the answered; {_share(g.review.wrong)} of them wrong, "
        f"{_share(g.review.caught)} of the wrong are among them",
    ]


def _structures(e: Evaluation) -> str:
    false = f"{_share(e.structure_false)} false where there are none"
    wanted = [t for s in e.scores for t in s.structures if t.wanted]
    if not wanted:
        return f"none to be found; {false}"
    found = sum(t.found for t in wanted) / len(wanted)
    return f"{_share(found)} found, {_share(1 - found)} missed, {false}"


def _others(e: Evaluation) -> str:
    if not e.other_frames:
        return "no such frames"
    grades = f"{_share(e.other_with_grade)} with a grade"
    return f"{_share(e.other_with_structures)} of {e.other_frames} with a structure, {grades}"


def _capsule(c: CapsuleFigures) -> str:
    if not c.frames:
        return "none"
    limits = _interval(c.limits_mm, ", limits of agreement {:+.2f} to {:+.2f} mm")
    surer = _interval(c.surer_limits_mm, " (surer half {:+.2f} to {:+.2f})")
    return f"{c.bias_mm:+6.2f} mm bias{limits}{surer}; {_share(c.within_spread)} within twice the told SD"


def _interval(limits: tuple[float, float], form: str) -> str:
    return "" if math.isnan(limits[0]) else form.format(*limits)


def _share(value: float) -> str:
    return "none" if math.isnan(value) else f"{100 * value:.1f} %"


def _figure(value: float, width: int = 0, digits: int = 3) -> str:
    return "none".rjust(width) if math.isnan(value) else f"{value:{width}.{digits}f}"


def _structure_line(s: StructureFigures) -> str:
    shares = "".join(f"{_share(value):>8}" for value in (s.found, s.missed, s.false))
    return f"{s.name:26}{_figure(s.dice, 7)}{_figure(s.nsd, 7)}{_figure(s.hd95_mm, 7, 2)}{shares}{s.frames:8d}"
