"""A recipe and a cohort table to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml
from maskvit_training.recipe import make_recipe

from napari_maskvit.tissue import TissueMask


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tree(tmp_path: Path) -> dict:
    """A valid recipe; its cohort is `tmp_path/cohort.csv`."""
    return {
        "name": "test",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "task": {"kind": "regression", "classes": ["0", "1", "2"]},
        "evaluation": {"bootstraps": 50},
    }


@pytest.fixture
def cohort(tree: dict, tmp_path: Path):
    """Write a table (a list of rows) and empty slides, and give the recipe that goes with it."""

    def write(header: str, *rows: str, slides: tuple[str, ...] = (), **task: object):
        (tmp_path / "cohort.csv").write_text("\n".join([header, *rows]) + "\n")
        for name in slides:
            (tmp_path / name).touch()
        tree["task"] |= task
        return make_recipe(tree, tmp_path)

    return write


# ---- a cohort that can be learned, small enough to train on in seconds ----


@pytest.fixture(scope="session")
def encoder_bundle(tmp_path_factory) -> Path:
    """An untrained patch transformer: 64 px patches of 4 x 4 tokens, regions of 2 x 2 patches."""
    from napari_maskvit.model import ModelConfig, build_model, save_bundle

    torch.manual_seed(0)
    config = ModelConfig.model_validate(
        {
            "name": "small",
            "title": "Small encoder",
            "spacing": 2.0,
            "token_px": 16,
            "patch_px": 64,
            "region_px": 128,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "patch": {
                "name": "vit_tiny_patch16_224",
                "options": {"embed_dim": 32, "depth": 2, "num_heads": 2},
            },
            "licence": "BSD-3-Clause",
            "training_data": "none",
        }
    )
    return save_bundle(build_model(config), tmp_path_factory.mktemp("models") / "small")


def write_slide(path: Path, grade: int, seed: int, width: int = 400, height: int = 260) -> None:
    """A strip of tissue whose redness is its grade, with glass around it, at 2 µm/px."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 244, np.uint8)
    strip = np.array((150 + 40 * grade, 90, 190 - 50 * grade)) + rng.integers(-8, 9, 3)
    tissue = tissue_of(height, width)
    noise = rng.integers(-25, 26, (height, width, 3))
    pixels[tissue] = np.clip(strip + noise, 0, 255)[tissue]
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb",
        tile=(128, 128),
        resolution=(5000, 5000),
        resolutionunit="CENTIMETER",
    )


def tissue_of(height: int, width: int) -> np.ndarray:
    tissue = np.zeros((height, width), bool)
    tissue[height // 4 : 3 * height // 4, width // 8 : 7 * width // 8] = True
    return tissue


@pytest.fixture(scope="session")
def colour_cohort(tmp_path_factory, encoder_bundle: Path) -> Path:
    """Folder with 18 slides of 9 patients in three grades, their masks, and a recipe."""
    folder = tmp_path_factory.mktemp("colours")
    mask = TissueMask(tissue_of(260, 400).astype(np.uint8), 2.0)
    mask.save(folder / "mask.tif")
    rows = ["slide,label,patient,mask"]
    for at in range(18):
        grade = at // 2 % 3
        write_slide(folder / f"s{at}.tif", grade, at)
        rows.append(f"s{at}.tif,{grade},p{at // 2},mask.tif")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    recipe = {
        "name": "colours",
        "output": "run",
        "data": {"cohort": "cohort.csv"},
        "encoder": {"model": str(encoder_bundle), "device": "cpu", "precision": "float32"},
        "model": {
            "region_depth": 2,
            "slide_depth": 1,
            "dropout": 0.0,
        },
        "task": {"kind": "regression", "classes": ["0", "1", "2"]},
        "splits": {"folds": 3},
        "optimiser": {"learning_rate": 0.0003, "epochs": 15, "accumulate": 1, "patience": None},
        "trainer": {"accelerator": "cpu"},
        "evaluation": {"bootstraps": 50},
        "card": {"title": "Redness", "limits": ["Made up."]},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder
