"""The bundled model: what it is, what it says of itself, and that it comes from the weights."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from skimage.morphology import isotropic_dilation

from napari_maskvit.model import Model, load_model, masked_forward
from napari_maskvit.model.bundle import file_sha256

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = 5


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load_model()


def test_what_it_is(bundled: Model) -> None:
    config = bundled.config
    assert bundled.levels == ("patch", "region", "slide")
    assert len(bundled.patch.vit.blocks) == BLOCKS
    assert (config.token_px, config.patch_px, config.region_px) == (14, 224, 896)
    assert (config.tokens_per_side, config.patches_per_side) == (16, 4)
    assert config.head == "regression"
    assert config.labels == ("0", "1", "2", "3", "4", "5")
    assert config.frozen == ("patch",)
    assert bundled.path is not None
    assert sum(file.stat().st_size for file in bundled.path.iterdir()) < 25e6
    stored = load_file(bundled.path / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {torch.float16}
    assert stored["patch.pos_embed"].shape == (1, 257, 384)


@pytest.mark.parametrize(
    "words",
    [
        "first five of twelve blocks",
        "natural images",
        "CC BY 4.0",
        "Apache-2.0",
        "Silva-Rodríguez",
        "seven patients",
        "Ten cores do not make a grader",
        "quadratic weighted kappa",
        "Research use only",
        "has seen them",
    ],
)
def test_it_says_what_speaks_against_trusting_it(bundled: Model, words: str) -> None:
    assert words in re.sub(r"\s+", " ", bundled.card)


def test_its_warnings(bundled: Model) -> None:
    text = " ".join(bundled.config.warnings)
    for words in ("Ten cores do not make a grader", "not for diagnosis", "no diagnostic meaning"):
        assert words in text


def test_its_card_has_the_numbers_of_its_config(bundled: Model) -> None:
    assert len(bundled.config.metrics) >= 4
    for name, one in bundled.config.metrics.items():
        row = " | ".join(f"{one[part]:.3f}" for part in ("value", "low", "high"))
        assert f"| {name} | {row} |" in bundled.card
        assert one["low"] <= one["value"] <= one["high"]


def test_its_encoder_is_the_beginning_of_the_whole_one(bundled: Model, shared: Path) -> None:
    source = shared / "weights/dinov2_vits14_timm_fp16.safetensors"
    whole = timm.create_model("vit_small_patch14_dinov2", num_classes=0)
    whole.load_state_dict({name: one.float() for name, one in load_file(source).items()})
    whole.set_input_size(img_size=224)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        states = whole.forward_intermediates(
            images,
            indices=[BLOCKS - 1],
            norm=True,
            return_prefix_tokens=True,
            intermediates_only=True,
        )
    features, _ = masked_forward(bundled.patch.vit, images, torch.ones(2, 256, dtype=torch.bool))
    # Resampled positions were rounded to float16.
    assert (features - states[0][1][:, 0]).abs().max() < 2e-3


def test_the_script_makes_its_encoder_again(bundled: Model, shared: Path, tmp_path: Path) -> None:
    script = ROOT / "scripts/make_bundled_encoder.py"
    weights = shared / "weights/dinov2_vits14_timm_fp16.safetensors"
    subprocess.run(
        [sys.executable, script, weights, tmp_path / "encoder"], check=True, capture_output=True
    )
    again = load_model(tmp_path / "encoder")
    assert file_sha256(weights) in again.card
    made, there = again.patch.vit.state_dict(), bundled.patch.vit.state_dict()
    assert made.keys() == there.keys()
    assert all(torch.equal(made[name], there[name]) for name in made)


def test_a_core_is_explained_at_every_level(bundled: Model, shared: Path) -> None:
    from napari_maskvit.explain import Explainer
    from napari_maskvit.slide import open_slide
    from napari_maskvit.tissue import segment_tissue

    with open_slide(shared / "data/sicapv2/cores/16B0027040_14.tif") as slide:
        mask = segment_tissue(slide)
        wider = isotropic_dilation(mask.array > 0, 8 / mask.spacing).astype(np.uint8)
        explainer = Explainer(slide, bundled, device="cpu")
        first, second = (explainer.explain(one) for one in (mask, replace(mask, array=wider)))
    assert first.heatmap_levels == ("patch", "region", "slide", "factorised")
    assert set(first.statistics.background_mass.values()) == {0.0}
    assert first.prediction is not None
    assert second.prediction is not None
    assert abs(first.prediction.value - second.prediction.value) < 0.5
