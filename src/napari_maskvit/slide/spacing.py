"""The size of a pixel in µm, and where it is known from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_maskvit.errors import SlideError

MICROMETRES = {
    "m": 1e6,
    "dm": 1e5,
    "cm": 1e4,
    "centimeter": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "\\u00b5m": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "pm": 1e-6,
    "å": 1e-4,
    "in": 25400.0,
    "inch": 25400.0,
    '"': 25400.0,
}

# Writers fill these in when nobody told them the size of a pixel.
SCREEN_AND_PRINT_DPI = (
    *(1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 250, 300, 350, 360, 400, 500),
    *(600, 720, 1000, 1200, 2400),
)
PLAUSIBLE = (0.01, 100.0)
SQUARE_WITHIN = 0.02


@dataclass(frozen=True)
class Spacing:
    """µm per pixel, or why it is not known.

    Attributes
    ----------
    value
        µm per pixel; None where the file does not say.
    source
        What said so, e.g. ``"aperio.MPP"``, ``"TIFF resolution tag"``, ``"given"``, ``"unknown"``.
    reason
        Why the value is None, as part of a sentence.
    """

    value: float | None
    source: str
    reason: str = "the file does not say how large a pixel is"


UNKNOWN = Spacing(None, "unknown")


def from_sizes(x: float, y: float, source: str) -> Spacing:
    """Spacing from the pixel's width and height in µm.

    Sides that differ by at most 2 % are averaged; pixels further from square, and sizes which no
    slide has, leave the spacing unknown.
    """
    if not (_plausible(x) and _plausible(y)):
        reason = f"its {source} of {x:g} x {y:g} µm is no size that a slide's pixel can have"
        return Spacing(None, "unknown", reason)
    mean = (x + y) / 2
    if abs(x - y) > SQUARE_WITHIN * mean:
        reason = f"its pixels are not square ({x:g} x {y:g} µm by its {source})"
        return Spacing(None, "unknown", reason)
    return Spacing(mean, source)


def from_density(x: float, y: float, unit: str, source: str) -> Spacing:
    """Spacing from pixels per `unit`; the defaults of screens and printers say nothing."""
    if not (x > 0 and y > 0 and math.isfinite(x) and math.isfinite(y)):
        return UNKNOWN
    micrometres = MICROMETRES[unit]
    if _is_default_dpi(x * 25400 / micrometres) and _is_default_dpi(y * 25400 / micrometres):
        reason = (
            f"its {source} only holds a screen's or printer's {x * 25400 / micrometres:.0f} dpi"
        )
        return Spacing(None, "unknown", reason)
    return from_sizes(micrometres / x, micrometres / y, source)


def first_known(*spacings: Spacing | None) -> Spacing:
    """Return the first spacing that is known, else the first that says why not."""
    said = [spacing for spacing in spacings if spacing is not None]
    for spacing in said:
        if spacing.value is not None:
            return spacing
    return next((spacing for spacing in said if spacing.reason != UNKNOWN.reason), UNKNOWN)


def _plausible(size: float) -> bool:
    return math.isfinite(size) and PLAUSIBLE[0] <= size <= PLAUSIBLE[1]


def _is_default_dpi(dpi: float) -> bool:
    return any(abs(dpi - default) <= 0.003 * default for default in SCREEN_AND_PRINT_DPI)


def given(value: float) -> Spacing:
    """Spacing that a person gave, in µm per pixel.

    Raises
    ------
    SlideError
        It is not a positive number.
    """
    if not (math.isfinite(value) and value > 0):
        raise SlideError(f"A spacing must be a positive number of µm per pixel, not {value}.")
    return Spacing(float(value), "given")
