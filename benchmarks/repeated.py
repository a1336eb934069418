"""A slide with the same tissue many times over, for what must not grow with the slide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from napari_maskvit.slide import open_slide
from napari_maskvit.slide.phantom import biopsy, write_phantom

WIDTH, HEIGHT = 7_168, 1_024
"""Of the piece that is repeated, px; whole tiles at every level."""

SPACING = 1.0
SHRINK = (1, 4, 16)
TILES = (512, 256, 64)
COLUMNS = 4


def repeated(folder: Path, times: int) -> Path:
    """One core, ``times`` over in rows of up to four; made once.

    Parameters
    ----------
    folder
        Where the slide is kept.
    times
        1, or a multiple of four.
    """
    path = folder / f"maskvit-repeated-{times}.tif"
    if path.exists():
        return path
    piece = folder / "maskvit-piece.tif"
    core = biopsy(WIDTH, HEIGHT, spacing=SPACING, cores=1, core_length=6_500.0, grade=3, seed=4)
    write_phantom(piece, core, truth=False)
    with open_slide(piece) as slide:
        pixels = [
            slide.read_region(0.0, 0.0, WIDTH // by, HEIGHT // by, SPACING * by) for by in SHRINK
        ]
    columns = min(COLUMNS, times)
    partial = path.with_suffix(".partial.tif")
    with tifffile.TiffWriter(partial, bigtiff=True) as file:
        for level, (image, side) in enumerate(zip(pixels, TILES, strict=True)):
            file.write(
                _tiles(image, side, columns, times // columns),
                shape=(image.shape[0] * times // columns, image.shape[1] * columns, 3),
                dtype=np.uint8,
                tile=(side, side),
                photometric="rgb",
                compression="jpeg",
                subifds=len(SHRINK) - 1 if level == 0 else None,
                subfiletype=int(level > 0),
                resolution=(1e4 / SPACING, 1e4 / SPACING),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    partial.rename(path)
    return path


def _tiles(image: np.ndarray, side: int, columns: int, rows: int) -> Iterator[np.ndarray]:
    """Tiles of the whole picture, row after row."""
    for _ in range(rows):
        for top in range(0, image.shape[0], side):
            for _ in range(columns):
                for left in range(0, image.shape[1], side):
                    yield image[top : top + side, left : left + side]
