"""A piece of a slide, as read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """Pixels of a rectangle of a slide.

    Attributes
    ----------
    pixels
        RGB, shape (height, width, 3), uint8.
    valid
        Shape (height, width); False where a tile could not be decoded (its pixels are white).
    """

    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_]
