"""A mask as a picture file holds it, and how it is laid on a slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import MaskError
from napari_maskvit.tissue.kinds import KINDS
from napari_maskvit.tissue.spacing import LONGEST_SIDE

if TYPE_CHECKING:
    from napari_maskvit.slide import Slide

Pixels = tuple[NDArray[np.uint8], float]
"""Values of a mask, (rows, columns), and the side of a pixel in µm."""

OURS = "napari-maskvit tissue mask"
"""What files written here call themselves; their pixels keep their values."""

_COARSEST = 100.0
_SLACK_PX = 2.0
_SLACK = 0.005


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels of a mask file, the spacing it gives if any (µm), and whether it was written here."""

    pixels: NDArray[np.generic]
    spacing: float | None
    ours: bool


def palette() -> NDArray[np.uint8]:
    """Colours of the values of a mask, uint8 (256, 3): those of the kinds, then greys."""
    colours = np.repeat(np.linspace(200, 60, 256).astype(np.uint8)[:, None], 3, axis=1)
    for kind in KINDS:
        colours[kind.value] = kind.colour
    return colours


def fitted(picture: Picture, path: Path, slide: Slide | None) -> Pixels:
    """Make a mask of a picture, and see that it fits the slide.

    Raises
    ------
    MaskError
        If it is no mask, has no spacing and no slide, or does not fit the slide.
    """
    array = _values(picture, path)
    if max(array.shape) > LONGEST_SIDE:
        raise MaskError(
            f"The tissue mask {path} is {_size(array)} pixels; at most {LONGEST_SIDE:,} a side can "
            "be edited. Export it at a coarser spacing, such as 4 µm."
        )
    spacing = picture.spacing
    if not picture.ours and spacing is not None and spacing > _COARSEST:
        # 72 and 96 dots per inch stand for "nobody said".
        spacing = None
    if slide is None:
        if spacing is None:
            raise MaskError(
                f"The tissue mask {path} does not say how large its pixels are; "
                "load it together with its slide."
            )
        return array, spacing
    return array, _spacing_on(slide, array, spacing, picture.ours, path)


def _values(picture: Picture, path: Path) -> NDArray[np.uint8]:
    pixels = picture.pixels
    if pixels.ndim == 2 and picture.ours and pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    colours = pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4)
    if pixels.ndim != 2 and not colours:
        raise MaskError(
            f"The tissue mask {path} has the shape {pixels.shape}; give a single flat picture."
        )
    if colours:
        # The second and fourth channel are transparency.
        pixels = pixels[..., :1] if pixels.shape[2] < 3 else pixels[..., :3]
        return np.asarray((pixels != 0).any(axis=2), np.uint8)
    return np.asarray(pixels != 0, np.uint8)


def _spacing_on(
    slide: Slide, array: NDArray[np.uint8], spacing: float | None, ours: bool, path: Path
) -> float:
    """The spacing given if the mask then covers the slide, else the one at which it does."""
    size = slide.size_um
    if spacing is not None and _covers(array.shape, spacing, size):
        return spacing
    stretched = max(size[0] / array.shape[0], size[1] / array.shape[1])
    covering = _covers(array.shape, stretched, size)
    if covering and not ours:
        return stretched
    given = "" if spacing is None else f" at {spacing:.4g} µm/px"
    raise MaskError(
        f"The tissue mask {path} ({_size(array)} pixels{given}) does not fit the slide "
        f"{slide.name} ({size[1] / 1000:.2f} x {size[0] / 1000:.2f} mm): it covers another area. "
        "Choose the mask that was made for this slide."
    )


def _covers(shape: tuple[int, ...], spacing: float, size_um: tuple[float, float]) -> bool:
    return all(
        abs(pixels * spacing - um) <= max(_SLACK_PX * spacing, _SLACK * um)
        for pixels, um in zip(shape, size_um, strict=True)
    )


def _size(array: NDArray[np.uint8]) -> str:
    return f"{array.shape[1]:,} x {array.shape[0]:,}"
