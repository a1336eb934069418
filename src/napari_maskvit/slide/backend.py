"""What a file format must offer to be a slide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.spacing import Spacing

Pixels = NDArray[np.uint8]

# One decoded piece of a file must fit into memory several times over.
LARGEST_TILE_BYTES = 1 << 30


class TileError(Exception):
    """A tile whose pixels cannot be had; its place is treated as background."""


@dataclass(frozen=True)
class StoredLevel:
    """A level that the file itself holds.

    Attributes
    ----------
    shape
        (height, width) in pixels.
    tile
        (height, width) of the tiles in which it decodes.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]


@dataclass(frozen=True)
class Header:
    """All that is known of a slide before any of its pixels is decoded.

    Attributes
    ----------
    format
        Name of the format, for people.
    levels
        Finest first.
    spacing
        At the finest level.
    properties
        What the file says of itself.
    images
        Functions that decode the label, macro and thumbnail images, where there are any.
    warnings
        What is wrong with the file though it can be opened.
    """

    format: str
    levels: tuple[StoredLevel, ...]
    spacing: Spacing
    properties: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Callable[[], Pixels]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Backend(Protocol):
    """One open file. Made by reading headers only; `decode_tile` is called from many threads."""

    @property
    def header(self) -> Header:
        """What the headers said."""

    def decode_tile(self, level: int, row: int, column: int) -> Pixels | None:
        """Decode one tile.

        Returns
        -------
        RGB, shape (rows, columns, 3), uint8, covering at least what lies inside the level; None
        for a tile that the format declares as empty, which is white.

        Raises
        ------
        TileError
            The tile is damaged or missing.
        """

    def close(self) -> None:
        """Let go of the file."""
