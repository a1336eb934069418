"""The bundled encoder: what it is, what it says of itself, and that it comes from the weights."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from napari_maskvit.model import Model, load_model, masked_forward
from napari_maskvit.model.bundle import file_sha256

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load_model()


def test_what_it_is(bundled: Model) -> None:
    config = bundled.config
    assert bundled.levels == ("patch",)
    assert len(bundled.patch.vit.blocks) == 6
    assert (config.token_px, config.patch_px, config.region_px) == (14, 224, 1792)
    assert (config.tokens_per_side, config.patches_per_side) == (16, 8)
    assert config.head is None
    assert bundled.path is not None
    assert sum(file.stat().st_size for file in bundled.path.iterdir()) < 25e6
    stored = load_file(bundled.path / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {torch.float16}
    assert stored["patch.pos_embed"].shape == (1, 257, 384)


@pytest.mark.parametrize(
    "words",
    ["six of twelve blocks", "natural images", "no prediction", "Research use only", "Apache-2.0"],
)
def test_it_says_what_speaks_against_trusting_it(bundled: Model, words: str) -> None:
    assert words in re.sub(r"\s+", " ", bundled.card)


def test_its_warnings(bundled: Model) -> None:
    text = " ".join(bundled.config.warnings)
    for words in ("no prediction", "general-purpose", "not trained on pathology", "Research use"):
        assert words in text


def test_it_is_the_beginning_of_the_whole_encoder(bundled: Model, shared: Path) -> None:
    source = shared / "weights/dinov2_vits14_timm_fp16.safetensors"
    assert file_sha256(source) in bundled.card
    whole = timm.create_model("vit_small_patch14_dinov2", num_classes=0)
    whole.load_state_dict({name: one.float() for name, one in load_file(source).items()})
    whole.set_input_size(img_size=224)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        states = whole.forward_intermediates(
            images, indices=[5], norm=True, return_prefix_tokens=True, intermediates_only=True
        )
    features, _ = masked_forward(bundled.patch.vit, images, torch.ones(2, 256, dtype=torch.bool))
    # Resampled positions were rounded to float16.
    assert (features - states[0][1][:, 0]).abs().max() < 2e-3


def test_the_script_makes_it_again(bundled: Model, shared: Path, tmp_path: Path) -> None:
    script = ROOT / "scripts/make_bundled_encoder.py"
    weights = shared / "weights/dinov2_vits14_timm_fp16.safetensors"
    subprocess.run(
        [sys.executable, script, weights, "--into", tmp_path], check=True, capture_output=True
    )
    again = load_model(tmp_path / bundled.name)
    assert again.sha256 == bundled.sha256
    assert again.card == bundled.card
