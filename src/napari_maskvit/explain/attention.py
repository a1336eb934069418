"""Raw attention of one level, kept positions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Head = str | int


@dataclass(frozen=True)
class LevelAttention:
    """Attention of one level over the whole slide, stored for its K kept positions.

    Parameters
    ----------
    level
        "patch" (over tokens), "region" (over patches) or "slide" (over regions).
    rows, columns
        (K,) places in the level's lattice.
    values
        (K, heads) the CLS row of the last block without its prefix columns; at the slide level
        the pooling weights.
    coverage
        (K,) share of each position that is tissue.
    shape
        Rows and columns of the lattice.
    step
        Side of a cell in level-0 pixels.
    window
        Cells along one side of the square over which one softmax ran; None: the whole slide.
    """

    level: str
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    coverage: NDArray[np.float32]
    shape: tuple[int, int]
    step: float
    window: int | None

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return self.values.shape[1]

    def pooled(self, head: Head) -> NDArray[np.float32]:
        """(K,) the values of one head, or the "mean" or "max" over heads.

        Raises
        ------
        ExplainError
            If there is no such head.
        """
        if head == "mean":
            return self.values.mean(axis=1) if self.heads else self.values[:, :0].sum(axis=1)
        if head == "max":
            return self.values.max(axis=1) if self.heads else self.values[:, :0].sum(axis=1)
        if isinstance(head, (int, np.integer)) and 0 <= head < self.heads:
            return self.values[:, head]
        raise ExplainError(
            f"The {self.level} level has no head {head!r}: choose 'mean', 'max' or a number from 0 "
            f"to {self.heads - 1}."
        )

    def windows(self) -> NDArray[np.int64]:
        """(K,) number of the window that each position belongs to, from 0 without gaps."""
        if self.window is None:
            return np.zeros(len(self.rows), np.int64)
        across = -(-self.shape[1] // self.window)
        raw = (self.rows // self.window).astype(np.int64) * across + self.columns // self.window
        return np.unique(raw, return_inverse=True)[1].reshape(-1)

    def raster(self, values: NDArray[np.float32], background: float) -> NDArray[np.float32]:
        """(rows, columns) picture of one value a kept position."""
        picture = np.full(self.shape, background, np.float32)
        picture[self.rows, self.columns] = values
        return picture

    def background_mass(self, threshold: float) -> float:
        """Share of the attention that lies on background, mean over heads, in [0, 1]."""
        total = float(self.values.sum(dtype=np.float64))
        on_background = self.values[self.coverage <= threshold].sum(dtype=np.float64)
        return float(on_background) / total if total > 0 else 0.0
