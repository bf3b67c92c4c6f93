"""Decoded DICOM samples to 8-bit grey or RGB: palettes, windows, depths and the inverted grey scale."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from datasets.picture import grey_if_colourless

COLOUR_MODELS: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422")
GREY_MODELS: Final = ("MONOCHROME1", "MONOCHROME2")
PALETTE: Final = "PALETTE COLOR"


@dataclass(frozen=True, slots=True)
class Window:
    """The grey levels, in stored values, that become black and white."""

    black: float
    white: float


@dataclass(frozen=True, slots=True, eq=False)
class Display:
    """How stored values become what the scanner showed. `palette` is uint8 (N, 3) by stored value.

    `window` is None where the levels must be taken from the whole file (deep grey without a window).
    """

    bits: int
    inverted: bool = False
    palette: NDArray[np.uint8] | None = None
    window: Window | None = None


def read_display(header: Dataset) -> Display:
    """How to show the file's samples. Raises ValueError for a photometric interpretation that is not supported."""
    model = str(header.get("PhotometricInterpretation", ""))
    bits = int(header.get("BitsStored") or header.get("BitsAllocated") or 8)
    if model == PALETTE:
        return Display(bits, palette=_palette(header, bits))
    if model in COLOUR_MODELS:
        return Display(bits)
    if model in GREY_MODELS:
        return Display(bits, inverted=model == "MONOCHROME1", window=_window(header, bits))
    raise ValueError(f"photometric interpretation {model!r}, expected one of {(*GREY_MODELS, PALETTE, *COLOUR_MODELS)}")


def show(samples: NDArray[np.generic], display: Display) -> NDArray[np.uint8]:
    """Samples (H, W) or (H, W, 3) as uint8 grey or RGB; colour pictures without colour become grey."""
    if display.palette is not None:
        indices = np.clip(samples.astype(np.int64), 0, len(display.palette) - 1)
        return grey_if_colourless(display.palette[indices])
    if samples.ndim == 3:
        return grey_if_colourless(_to_8_bits(samples, Window(0.0, 2.0**display.bits - 1)))
    window = display.window or Window(float(samples.min()), float(samples.max()))
    grey = _to_8_bits(samples, window)
    return 255 - grey if display.inverted else grey


def _to_8_bits(samples: NDArray[np.generic], window: Window) -> NDArray[np.uint8]:
    if samples.dtype == np.uint8 and window == Window(0.0, 255.0):
        return np.asarray(samples, dtype=np.uint8)
    scale = 255.0 / max(window.white - window.black, 1e-9)
    return np.clip(np.rint((samples.astype(np.float64) - window.black) * scale), 0, 255).astype(np.uint8)


def _window(header: Dataset, bits: int) -> Window | None:
    # Eight bits are what the screen showed; a window beside them is a leftover of some archive.
    if bits <= 8 and not header.get("PixelRepresentation"):
        return Window(0.0, 2.0**bits - 1)
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if centre is None or width is None or width < 1:
        return None
    slope, intercept = _first(header, "RescaleSlope") or 1.0, _first(header, "RescaleIntercept") or 0.0
    # PS3.3 C.11.2.1.2.1: black at centre - 0.5 - (width - 1) / 2, white one width - 1 above.
    black = centre - 0.5 - (width - 1) / 2
    ends = (black - intercept) / slope, (black + max(width - 1, 1e-6) - intercept) / slope
    return Window(*ends)


def _palette(header: Dataset, bits: int) -> NDArray[np.uint8]:
    stored = np.arange(2**bits, dtype=np.uint16 if bits > 8 else np.uint8)
    colours = np.asarray(apply_color_lut(stored, header))[..., :3]
    # Entries declared as 16 bits sometimes hold 8: they are then the colours as they are.
    if colours.dtype != np.uint8:
        colours = colours >> 8 if colours.max() > 255 else colours
    return np.ascontiguousarray(colours, dtype=np.uint8)


def _first(header: Dataset, name: str) -> float | None:
    value = header.get(name)
    if value is None or value == "":
        return None
    return float(value if isinstance(value, int | float | str) else value[0])
