"""A small slide, a mask on it, and a small model with all three levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_maskvit.model import (
    Model,
    ModelConfig,
    PatchArchitecture,
    RegionArchitecture,
    SlideArchitecture,
    build_model,
)
from napari_maskvit.slide import Slide, open_slide
from napari_maskvit.tissue import TissueMask

SPACING = 0.5
SHAPE = (500, 700)


def write_slide(path: Path, pixels: np.ndarray, spacing: float = SPACING) -> Path:
    """A lossless tiled pyramid of two levels."""
    per_cm = 1e4 / spacing
    with tifffile.TiffWriter(path) as tiff:
        for level, factor in enumerate((1, 2)):
            tiff.write(
                pixels[::factor, ::factor],
                tile=(64, 64),
                photometric="rgb",
                compression="deflate",
                resolution=(per_cm / factor, per_cm / factor),
                resolutionunit="CENTIMETER",
                subfiletype=int(level > 0),
            )
    return path


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def mask() -> TissueMask:
    """A slanted band over about a third of the slide, 2 µm a pixel."""
    rows, columns = np.mgrid[: SHAPE[0] // 4, : SHAPE[1] // 4]
    return TissueMask((np.abs(rows - columns * 0.5 - 15) < 20).astype(np.uint8), spacing=2.0)


@pytest.fixture
def opened() -> Iterator[Callable[..., Slide]]:
    """Opens slides and closes them when the test is over."""
    with ExitStack() as stack:
        yield lambda *args, **keywords: stack.enter_context(open_slide(*args, **keywords))


@pytest.fixture
def slide(tmp_path: Path, pixels: np.ndarray, opened: Callable[..., Slide]) -> Slide:
    return opened(write_slide(tmp_path / "slide.tif", pixels))


@pytest.fixture(scope="session")
def model() -> Model:
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        title="A tiny model",
        spacing=SPACING,
        token_px=16,
        patch_px=64,
        region_px=128,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        patch=PatchArchitecture(name="vit_tiny_patch16_224", options={"depth": 2}),
        region=RegionArchitecture(dim=48, depth=2, heads=3, position_side=2),
        slide=SlideArchitecture(dim=48, feedforward=48),
        head="classification",
        labels=("benign", "cancer"),
        frozen=("patch",),
        licence="BSD-3-Clause",
        training_data="none: random weights",
        warnings=("Random weights.",),
    )
    built = build_model(config)
    # Larger than at the start of training, so that inputs make a difference that can be seen.
    for module in (built.region, built.slide):
        for parameter in module.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.1)
    return built
