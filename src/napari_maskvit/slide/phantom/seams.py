"""Scan fields: uneven brightness with straight borders, pure white where nothing was scanned."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.slide.phantom.noise import Doubles, Floats, key_of, uniform
from napari_maskvit.slide.phantom.spec import PhantomSpec


class Seams:
    """The scan fields of a spec with a ``seam`` artefact (the last one counts).

    Parameters
    ----------
    spec
        The slide.
    matters
        Tells at which points (µm) anything worth scanning lies within a distance.
    """

    def __init__(
        self, spec: PhantomSpec, matters: Callable[[Doubles, Doubles, float], NDArray[np.bool_]]
    ) -> None:
        items = [item for item in spec.artefacts if item.kind == "seam"]
        self.strength = items[-1].strength if items else 0.0
        self.there = self.strength > 0
        self._side = max(64, round(items[-1].size / spec.spacing)) if items else 1
        self._spacing = spec.spacing
        self._matters = matters
        self._key = key_of(spec.seed, 50)
        self._scanned = lru_cache(maxsize=4096)(self._look)

    def _look(self, i: int, j: int) -> bool:
        side = self._side * self._spacing
        x, y = np.array([(i + 0.5) * side]), np.array([(j + 0.5) * side])
        return bool(self._matters(x, y, 0.75 * side)[0])

    def _fields(self, first: int, count: int) -> tuple[NDArray[np.int64], Floats]:
        """Index of the scan field of each pixel of a row, and its place in it from -1 to 1."""
        pixel = np.arange(first, first + count)
        index = pixel // self._side
        place = (pixel - index * self._side + 0.5) / self._side * 2 - 1
        return index, place.astype(np.float32)

    def blank(self, x0: int, y0: int, side: int) -> bool:
        """Tell whether nothing of a square of pixels was scanned."""
        return not any(
            self._scanned(i, j)
            for j in range(y0 // self._side, (y0 + side - 1) // self._side + 1)
            for i in range(x0 // self._side, (x0 + side - 1) // self._side + 1)
        )

    def cut(self, x0: int, y0: int, side: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the optical density that scanning adds to a square, and what was scanned."""
        column, across = self._fields(x0, side)
        row, down = self._fields(y0, side)
        i = np.arange(column[0], column[-1] + 1)
        j = np.arange(row[0], row[-1] + 1)
        uneven = uniform(i[None, :], j[:, None], self._key) * 0.05 + 0.01
        scanned = np.array([[self._scanned(int(a), int(b)) for a in i] for b in j])
        pick = np.ix_(row - row[0], column - column[0])
        vignette = 0.02 * (across**2)[None, :] + 0.02 * (down**2)[:, None]
        density = np.float32(self.strength) * (uneven[pick] + vignette)
        return density.astype(np.float32), scanned[pick]
