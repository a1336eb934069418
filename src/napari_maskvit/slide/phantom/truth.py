"""What is known of a phantom: its tissue, labels, artefacts and grade, from its spec alone."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.phantom.fields import TILE, Ground
from napari_maskvit.slide.phantom.spec import PhantomSpec

LARGEST = 400_000_000  # cells of a raster

Rasters = tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]


@dataclass(frozen=True)
class PhantomTruth:
    """The truth of one phantom slide.

    Rasters are computed when asked for, from the same geometry as the pixels, and have shape
    (ceil(height / k), ceil(width / k)) where a cell is k = `spacing` / spec.spacing level-0
    pixels a side; a cell says what lies at its middle, as exactly as the geometry's grid of about
    2 µm can say.

    Parameters
    ----------
    spec
        The slide.
    """

    spec: PhantomSpec

    @property
    def isup_grade(self) -> int:
        """ISUP grade group, 0 (no cancer) to 5."""
        return self.spec.isup_grade

    @property
    def gleason(self) -> tuple[int, int] | None:
        """Primary and secondary pattern, None without cancer."""
        return self.spec.gleason

    @property
    def gleason_score(self) -> str:
        """As in PANDA's table: ``"3+4"``, ``"negative"``."""
        return "negative" if self.gleason is None else "{}+{}".format(*self.gleason)

    def labels(self, spacing: float = 8.0) -> NDArray[np.uint8]:
        """Return PANDA Radboud labels: 0 background, 1 stroma, 2 benign gland, 3 to 5 pattern.

        Parameters
        ----------
        spacing
            µm a cell.
        """
        return self._raster(spacing)[0].copy()

    def tissue(self, spacing: float = 8.0) -> NDArray[np.bool_]:
        """Return where tissue is, lumina inside it included."""
        return self._raster(spacing)[0] > 0

    def lumina(self, spacing: float = 8.0) -> NDArray[np.bool_]:
        """Return where tissue has a hole that looks like glass."""
        return self._raster(spacing)[2].copy()

    def artefacts(self, spacing: float = 8.0) -> NDArray[np.bool_]:
        """Return where ink, dust, bubbles, coverslip, shadow, folds or loose cells can be seen."""
        return self._raster(spacing)[1].copy()

    @cached_property
    def _last(self) -> dict[float, Rasters]:
        return {}

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self.spec)

    def _raster(self, spacing: float) -> Rasters:
        """Labels, artefacts and lumina; those asked for last are kept."""
        if spacing not in self._last:
            made = self._made(spacing)
            self._last.clear()
            self._last[spacing] = made
        return self._last[spacing]

    def _made(self, spacing: float) -> Rasters:
        ground = self._ground
        pixels = spacing / self.spec.spacing
        rows, columns = (math.ceil(side / pixels) for side in (self.spec.height, self.spec.width))
        if spacing <= 0 or rows * columns > LARGEST:
            raise SlideError(
                f"A truth raster of {rows} x {columns} cells is too large; "
                "ask for a coarser spacing."
            )
        labels = np.zeros((rows, columns), np.uint8)
        artefacts = np.zeros((rows, columns), bool)
        lumina = np.zeros((rows, columns), bool)
        y, x = (((np.arange(n) + 0.5) * pixels).astype(np.int64) for n in (rows, columns))
        side = np.arange(math.ceil(self.spec.width / TILE))
        for row in range(math.ceil(self.spec.height / TILE)):
            down = slice(*np.searchsorted(y, (row * TILE, (row + 1) * TILE)))
            for column in np.flatnonzero(ground.busy(np.array([row]), side)[0]).tolist():
                across = slice(*np.searchsorted(x, (column * TILE, (column + 1) * TILE)))
                fields = ground.fields(row, column)
                pick = np.ix_(
                    (y[down] - row * TILE) // ground.factor,
                    (x[across] - column * TILE) // ground.factor,
                )
                labels[down, across] = fields.labels[pick]
                artefacts[down, across] = fields.artefacts[pick]
                lumina[down, across] = fields.lumina[pick]
        return labels, artefacts, lumina


def labels_path(path: Path) -> Path:
    """Return where the labels of a phantom lie: beside it."""
    return path.with_name(f"{path.stem}_labels.tif")


def read_truth(path: str | os.PathLike[str]) -> PhantomTruth:
    """Return the truth of a phantom slide, from the spec that its file holds.

    Parameters
    ----------
    path
        A file that `write_phantom` wrote.

    Raises
    ------
    SlideError
        If the file cannot be read or is no phantom.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            text = str(file.pages.first.description)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise SlideError(
            f"{Path(path).name} cannot be read as a phantom slide: {error}. "
            "Only files that write_phantom wrote hold their truth."
        ) from error
    return PhantomTruth(PhantomSpec.from_json(text))
