"""Slides written for these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_maskvit.slide import Slide, open_slide

MakeSlide = Callable[..., Slide]


@pytest.fixture
def make_slide(tmp_path: Path) -> MakeSlide:
    """Write pixels (rows, columns, 3) as a slide and open it."""
    count = iter(range(1000))

    def make(pixels: np.ndarray, spacing: float | None = 2.0) -> Slide:
        path = tmp_path / f"slide-{next(count)}.tif"
        resolution = {} if spacing is None else {"resolution": (1e4 / spacing,) * 2}
        tifffile.imwrite(
            path,
            np.clip(np.round(pixels), 0, 255).astype(np.uint8),
            photometric="rgb",
            tile=(256, 256),
            compression="jpeg",
            resolutionunit=None if spacing is None else "CENTIMETER",
            **resolution,
        )
        return open_slide(path)

    return make


@pytest.fixture
def blank(make_slide: MakeSlide) -> Callable[..., Slide]:
    """A slide of bare glass of any size."""

    def make(width: int, height: int, spacing: float | None = 2.0) -> Slide:
        return make_slide(np.full((height, width, 3), 240), spacing)

    return make
