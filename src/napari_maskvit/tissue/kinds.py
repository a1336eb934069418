"""Kinds of what is not tissue: values of a mask that tell why something was left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Kind:
    """What a value of the mask stands for.

    Attributes
    ----------
    value : int
        Of the mask's pixels.
    name : str
        As files carry it, for instance as a classification in QuPath.
    colour : tuple of int
        Red, green and blue, 0 to 255.
    """

    value: int
    name: str
    colour: tuple[int, int, int]


GLASS = Kind(0, "Glass", (255, 255, 255))
TISSUE = Kind(1, "Tissue", (46, 160, 103))
PEN = Kind(2, "Pen", (70, 70, 76))
FOLD = Kind(3, "Fold", (240, 200, 30))
BLUR = Kind(4, "Blur", (110, 190, 40))
OUTSIDE = Kind(5, "Out of tissue", (205, 45, 45))

EXCLUDED = (PEN, FOLD, BLUR, OUTSIDE)
"""What a person marks as left out. To a model all of it is background, like glass."""

KINDS = (GLASS, TISSUE, *EXCLUDED)


def kind_named(name: str) -> Kind | None:
    """The excluded kind of this name, in capitals or not; None if it is none."""
    wanted = name.strip().casefold()
    return next((kind for kind in EXCLUDED if kind.name.casefold() == wanted), None)


def excluded_areas(array: NDArray[np.uint8], spacing: float) -> dict[str, float]:
    """Area of each excluded kind that a mask holds, mm².

    Parameters
    ----------
    array : uint8 (rows, columns)
    spacing : float
        Side of a pixel, µm.
    """
    marked = array[array > TISSUE.value]
    counts = np.bincount(marked, minlength=len(KINDS))
    return {
        kind.name: int(counts[kind.value]) * spacing**2 / 1e6
        for kind in EXCLUDED
        if counts[kind.value]
    }
