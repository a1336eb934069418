"""A whole-slide image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_maskvit.errors import SlideError, SpacingUnknown
from napari_maskvit.slide.cache import TileCache
from napari_maskvit.slide.identity import identity_of
from napari_maskvit.slide.pyramid import Pyramid
from napari_maskvit.slide.reading import LARGEST_READ, Window, read_window
from napari_maskvit.slide.region import Region
from napari_maskvit.slide.spacing import Spacing, given

if TYPE_CHECKING:
    from dask.array import Array


class Slide:
    """Pixels of a whole-slide image at any spacing; made by `open_slide`.

    Coordinates are level-0 pixels as floats, x to the right and y down from the slide's top left
    corner; arrays are (row, column, RGB), uint8. Reading is safe from many threads.
    """

    def __init__(self, path: Path, pyramid: Pyramid, spacing: Spacing) -> None:
        self.path = path
        self._pyramid = pyramid
        self._spacing = spacing

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.name.removesuffix(".zarr").removesuffix(".ome").rsplit(".", 1)[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the finest level in pixels."""
        return self._pyramid.levels[0].shape

    @property
    def format(self) -> str:
        """Name of the file's format."""
        return self._pyramid.backend.header.format

    @property
    def spacing(self) -> float | None:
        """µm per pixel at the finest level; None where nobody said."""
        return self._spacing.value

    @property
    def spacing_source(self) -> str:
        """Where the spacing is known from, e.g. ``"aperio.MPP"``, ``"given"``, ``"unknown"``."""
        return self._spacing.source

    @property
    def size_um(self) -> tuple[float, float]:
        """(height, width) in µm.

        Raises
        ------
        SpacingUnknown
            Nobody said how large a pixel is.
        """
        spacing = self.require_spacing()
        return self.shape[0] * spacing, self.shape[1] * spacing

    @cached_property
    def levels(self) -> tuple[Array, ...]:
        """Each level as a dask array (y, x, 3), uint8; finest first, the last at most 2048 px.

        Tiles that cannot be decoded are white here; `read` tells them apart.
        """
        from napari_maskvit.slide.lazy import level_arrays

        return level_arrays(self._pyramid, self.name)

    @property
    def downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels a pixel, of each level."""
        return tuple(level.downsample for level in self._pyramid.levels)

    @property
    def properties(self) -> Mapping[str, str]:
        """What the file says of itself."""
        return MappingProxyType(dict(self._pyramid.backend.header.properties))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the file though it can be read, for people."""
        return self._pyramid.backend.header.warnings

    @cached_property
    def identity(self) -> str:
        """A key of the file's content (name, size, time of change, first bytes)."""
        return identity_of(self.path)

    @property
    def cache(self) -> TileCache:
        """The decoded tiles, shared by all that reads from this slide."""
        return self._pyramid.cache

    @property
    def undecodable(self) -> frozenset[tuple[int, int, int]]:
        """(level, row, column) of the tiles that could not be decoded so far."""
        return self._pyramid.undecodable

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the other pictures in the file: ``"label"``, ``"macro"``, ``"thumbnail"``."""
        return tuple(self._pyramid.backend.header.images)

    def image(self, name: str) -> NDArray[np.uint8]:
        """Decode one of `image_names`.

        Returns
        -------
        RGB, shape (height, width, 3), uint8.

        Raises
        ------
        SlideError
            There is no such picture, or it cannot be decoded.
        """
        images = self._pyramid.backend.header.images
        if name not in images:
            has = ", ".join(images) or "none"
            raise SlideError(f"{self.path.name} holds no picture named {name!r}; it has: {has}.")
        try:
            return images[name]()
        except SlideError:
            raise
        except Exception as error:
            raise SlideError(
                f"The {name} picture in {self.path.name} cannot be decoded: {error}"
            ) from error

    def require_spacing(self) -> float:
        """Return the spacing in µm per pixel.

        Raises
        ------
        SpacingUnknown
            Nobody said how large a pixel is; the message says how to.
        """
        if self.spacing is None:
            raise SpacingUnknown(
                f"The size of {self.path.name} in µm is unknown: {self._spacing.reason}. "
                "Give the µm per pixel: --spacing 0.25 on the command line, "
                "open_slide(path, spacing=0.25) in Python."
            )
        return self.spacing

    def with_spacing(self, spacing: float) -> Slide:
        """Return this slide, over the same open file and cache, with a given spacing (µm/px)."""
        return Slide(self.path, self._pyramid, given(spacing))

    def read(
        self,
        x: float,
        y: float,
        width: int,
        height: int,
        spacing: float | None = None,
        keep: ArrayLike | None = None,
    ) -> Region:
        """Read a rectangle.

        Parameters
        ----------
        x, y
            Top left corner in level-0 pixels; may lie anywhere, outside the slide is white.
        width, height
            Size of the result in pixels at `spacing`.
        spacing
            µm per pixel of the result; None for that of the finest level. Pixels come from the
            nearest level that is at least as fine. Where that level has the same spacing within
            0.1 %, the result is a crop whose corner is rounded to the nearest pixel; else it is
            resampled by an antialiased mean.
        keep
            Boolean grid (rows, columns) laid evenly over the rectangle. Source pixels whose
            centre lies in a False cell or outside the rectangle take no part: in False cells they
            are white before any resampling, and tiles that touch no True cell are never decoded.
            The result does not depend on the slide's pixels there.

        Returns
        -------
        Region
            Pixels, and which of them are valid: those of a tile that could not be decoded are
            not, and are white. Outside the slide and in False cells all is valid.

        Raises
        ------
        SlideError
            A size is not positive or too large, a place not finite, or the slide was closed.
        SpacingUnknown
            A spacing is asked for and the slide's own is not known.
        """
        if not (width > 0 and height > 0 and width * height <= LARGEST_READ):
            raise SlideError(
                f"Cannot read {width} x {height} px at once from {self.path.name}: "
                f"sizes must be positive, with at most {LARGEST_READ:,} pixels."
            )
        if not (math.isfinite(x) and math.isfinite(y)):
            raise SlideError(f"Cannot read at ({x}, {y}): coordinates must be finite numbers.")
        scale = 1.0 if spacing is None else self._scale(spacing)
        grid = None if keep is None else np.asarray(keep, np.bool_)
        if grid is not None and (grid.ndim != 2 or grid.size == 0):
            raise SlideError(f"keep must be a (rows, columns) grid, not of shape {grid.shape}.")
        window = Window(float(x), float(y), int(width), int(height), scale)
        return read_window(self._pyramid, window, grid)

    def read_region(
        self, x: float, y: float, width: int, height: int, spacing: float | None = None
    ) -> NDArray[np.uint8]:
        """Read the pixels of a rectangle: `read` without the rest."""
        return self.read(x, y, width, height, spacing).pixels

    def _scale(self, spacing: float) -> float:
        if not (math.isfinite(spacing) and spacing > 0):
            raise SlideError(f"A spacing must be a positive number of µm per pixel, not {spacing}.")
        return spacing / self.require_spacing()

    def close(self) -> None:
        """Close the file. Slides made by `with_spacing` share it."""
        self._pyramid.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.shape
        size = "spacing unknown" if self.spacing is None else f"{self.spacing:.4g} µm/px"
        return f"<Slide {self.path.name}: {width} x {height} px, {size}, {self.format}>"
