"""A small slide of our own and a way to run ``maskvit`` in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

SPACING = 0.5


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def maskvit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run ``maskvit`` with these arguments."""
    from napari_maskvit.cli import app

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        try:
            app([str(argument) for argument in arguments], prog_name="maskvit")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def tissue_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An eosin-pink disc with dark nuclei on glass."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (0.3 * min(height, width)) ** 2
    picture = np.full((height, width, 3), 243, np.float32) + rng.normal(0, 1.5, (height, width, 3))
    picture[inside] = rng.normal((214, 140, 180), 12, (int(inside.sum()), 3))
    for row, column in rng.integers(0, (height, width), (height * width // 400, 2)):
        if inside[row, column]:
            picture[row - 4 : row + 4, column - 4 : column + 4] = (90, 60, 140)
    return picture.clip(0, 255).astype(np.uint8)


def write_slide(path: Path, side: int = 1024, *, spacing: float | None = SPACING) -> Path:
    """A tiled TIFF of discs 1024 px apart, with resolution tags unless the spacing is None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    across = max(1, side // 1024)
    picture = np.tile(tissue_picture(side // across, side // across), (across, across, 1))
    tags = {} if spacing is None else {"resolution": (1e4 / spacing,) * 2, "resolutionunit": 3}
    tifffile.imwrite(
        path,
        picture,
        tile=(256, 256),
        photometric="rgb",
        compression="zlib",
        metadata=None,
        **tags,
    )
    return path


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """1024 x 1024 px at 0.5 µm/px, a disc of tissue in the middle."""
    return write_slide(tmp_path / "biopsy.tif")


@pytest.fixture
def unscaled_slide(tmp_path: Path) -> Path:
    """The same without a word about its spacing."""
    return write_slide(tmp_path / "unscaled.tif", spacing=None)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole hierarchy, small, with random weights and a head for two labels."""
    import torch

    from napari_maskvit.model import (
        ModelConfig,
        PatchArchitecture,
        RegionArchitecture,
        SlideArchitecture,
        build_model,
        save_bundle,
    )

    config = ModelConfig(
        name="small",
        title="Small model",
        description="Random weights.",
        spacing=SPACING,
        token_px=16,
        patch_px=64,
        region_px=256,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        patch=PatchArchitecture(
            name="vit_tiny_patch16_224", options={"depth": 2, "embed_dim": 48, "num_heads": 3}
        ),
        region=RegionArchitecture(dim=24, depth=1, heads=3),
        slide=SlideArchitecture(dim=24, depth=1, heads=3, feedforward=24),
        head="classification",
        labels=("benign", "tumour"),
        frozen=("patch",),
        licence="BSD-3-Clause",
        training_data="nothing",
        warnings=("Its weights are random.",),
    )
    torch.manual_seed(0)
    card = "# Small model\n\nMade for tests."
    return save_bundle(build_model(config, card), tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture(scope="session")
def encoder(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patch transformer of `bundle` alone: attention at one level, no prediction."""
    from napari_maskvit.model import Model, load_model, save_bundle

    whole = load_model(bundle)
    lacking = {"region": None, "slide": None, "head": None, "labels": (), "frozen": ()}
    config = whole.config.model_copy(update={"name": "encoder", "title": "Encoder", **lacking})
    alone = Model(config, "# Encoder", "", whole.patch)
    return save_bundle(alone, tmp_path_factory.mktemp("bundles") / "encoder")


@pytest.fixture(scope="session")
def make_slide() -> Callable[..., Path]:
    """`write_slide`, for tests that want another size."""
    return write_slide
