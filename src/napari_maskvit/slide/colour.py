"""From what a file stores to RGB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import SlideError

Convert = Callable[[NDArray[Any]], NDArray[np.uint8]]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
OTHER_COLOURS = {4: "a mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 32803: "camera raw"}
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
APERIO_JPEG2000_YCBCR = 33003

CONVERT_IT = "convert it to 8-bit RGB first (for example with QuPath or vips)"


def refuse_channels(name: str, count: int, channels: str = "") -> SlideError:
    """Error for a fluorescence or otherwise not RGB image."""
    held = f" ({channels})" if channels else ""
    return SlideError(
        f"{name} holds {count} separate channels{held}, as fluorescence slides do; "
        "only stained slides in colour or grey can be read: export it as RGB first."
    )


def converter(
    name: str,
    dtype: np.dtype[Any] | None,
    samples: int,
    photometric: int,
    *,
    alpha: int = 0,
    largest: int | None = None,
    palette: NDArray[Any] | None = None,
) -> Convert:
    """Return a function that turns (rows, columns, samples) into 8-bit RGB.

    Parameters
    ----------
    name
        Of the file, for messages.
    dtype, samples, photometric
        As the file declares them; `photometric` in TIFF's numbers.
    alpha
        TIFF's ExtraSamples of the sample after the colours: 0 none or to be ignored, 1 colours
        are multiplied by it, 2 they are not. Colours are laid over white.
    largest
        The largest value, where the file declares it; else that of the type.
    palette
        Colour map, shape (3, colours), 16 bit.

    Raises
    ------
    SlideError
        This kind of pixel is not supported; the message says which and what to do.
    """
    if dtype is None or dtype.kind not in "ub" or dtype.itemsize > 2:
        raise SlideError(
            f"{name} stores pixels as {dtype or 'an unknown type'}, which has no agreed range of "
            f"colours; {CONVERT_IT}."
        )
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR):
        kind = OTHER_COLOURS.get(photometric, f"TIFF kind {photometric}")
        raise SlideError(f"{name} stores colours as {kind}; {CONVERT_IT}.")
    colours = 3 if photometric in (RGB, YCBCR) else 1
    if samples < colours:
        raise SlideError(f"{name} is damaged: by its header it has colours, but one value a pixel.")
    if colours == 1 and samples > 2:
        raise refuse_channels(name, samples)
    if photometric == PALETTE:
        return _palette(name, palette)
    limit = 1 if dtype.kind == "b" else largest or np.iinfo(dtype).max
    to_bytes = _bytes(dtype, limit)
    has_alpha = samples > colours and alpha in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA)

    def convert(stored: NDArray[Any]) -> NDArray[np.uint8]:
        values = to_bytes(stored)
        colour = values[..., :colours]
        if photometric == WHITE_IS_ZERO:
            colour = ~colour
        if has_alpha:
            colour = over_white(
                colour, values[..., colours, None], multiplied=alpha == ASSOCIATED_ALPHA
            )
        if colours == 1:
            colour = np.repeat(colour, 3, axis=-1)
        return np.ascontiguousarray(colour)

    return convert


def _bytes(dtype: np.dtype[Any], limit: int) -> Convert:
    if dtype == np.uint8 and limit == 255:
        return lambda stored: stored
    if dtype == np.uint16 and limit == 65535:
        return lambda stored: (stored >> 8).astype(np.uint8)

    def scale(stored: NDArray[Any]) -> NDArray[np.uint8]:
        values = np.minimum(stored.astype(np.uint32), limit)
        return ((values * 255 + limit // 2) // limit).astype(np.uint8)

    return scale


def over_white(
    colour: NDArray[np.uint8], alpha: NDArray[np.uint8], *, multiplied: bool
) -> NDArray[np.uint8]:
    """Lay colours (rows, columns, n) of opacity alpha (rows, columns, 1) over white."""
    opacity = alpha.astype(np.uint16)
    shown = colour.astype(np.uint16) if multiplied else (colour * opacity + 127) // 255
    return np.minimum(shown + (255 - opacity), 255).astype(np.uint8)


def _palette(name: str, palette: NDArray[Any] | None) -> Convert:
    if palette is None:
        raise SlideError(f"{name} refers to a colour map that it does not hold; {CONVERT_IT}.")
    table = np.ascontiguousarray((np.asarray(palette).T >> 8).astype(np.uint8))
    return lambda stored: table[np.minimum(stored[..., 0], len(table) - 1)]


def ycbcr_to_rgb(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R BT.601 full-range YCbCr to RGB, for codecs that leave it to the reader."""
    y, cb, cr = (stored[..., k].astype(np.float32) for k in range(3))
    cb, cr = cb - 128, cr - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
