"""Encoders of the hub, with files of the same layout and architecture at small size.

The files are real; only the download is replaced, since no hub can be reached from everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import timm.models._hub as timm_hub
import torch
from safetensors.torch import save_file

from napari_maskvit.errors import ModelError
from napari_maskvit.model import build_model, list_models, load_model, masked_forward, save_bundle
from napari_maskvit.model.encoders import KNOWN

SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3}
GATED = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}

# name: (architecture, model_args of the hub's config, what else the weights were made with)
TIMM_LAYOUT = {
    "prost40m": ("vit_small_patch14_dinov2", {**SMALL, "img_size": 224}, {}),
    "uni": ("vit_large_patch16_224", SMALL, {"init_values": 1e-5}),
    "virchow2": (
        "vit_huge_patch14_224",
        {**SMALL, "reg_tokens": 4, "global_pool": "", "init_values": 1e-5, "mlp_ratio": 5.3375},
        GATED,
    ),
    "h-optimus-0": ("vit_giant_patch14_reg4_dinov2", {**SMALL, "global_pool": "token"}, {}),
    "prov-gigapath": (
        "vit_giant_patch14_dinov2",
        {**SMALL, "patch_size": 16, "mlp_ratio": 5.33334, "img_size": 224},
        {},
    ),
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the hub: OWNER/NAME/file."""
    asked: list[str] = []

    def from_folder(repository: str, filename: str, **_: object) -> str:
        asked.append(filename)
        path = tmp_path / repository / filename
        if not path.is_file():
            raise FileNotFoundError(f"404 Client Error. {repository}/{filename}\nlong story")
        return str(path)

    monkeypatch.setattr(timm_hub, "hf_hub_download", from_folder)
    return tmp_path


def repository(name: str) -> str:
    return next(encoder.repository for encoder in KNOWN if encoder.name == name)


def publish(folder: Path, config: dict[str, object], state: dict[str, torch.Tensor]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: one.contiguous() for name, one in state.items()}, folder / "model.safetensors")


def publish_timm(hub: Path, name: str, randomised: Callable) -> torch.nn.Module:
    architecture, arguments, more = TIMM_LAYOUT[name]
    vit = timm.create_model(architecture, **{"img_size": 224, **arguments, **more}, num_classes=0)
    randomised(vit)
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, 224, 224],
            "mean": [0.7, 0.6, 0.7],
            "std": [0.2, 0.2, 0.1],
        },
    }
    publish(hub / repository(name), config, vit.state_dict())
    return vit


@pytest.mark.parametrize("name", TIMM_LAYOUT)
def test_timm_layout(name: str, hub: Path, randomised, tmp_path: Path) -> None:
    vit = publish_timm(hub, name, randomised)
    model = load_model(name)
    assert model.levels == ("patch",)
    assert model.config.mean == (0.7, 0.6, 0.7)
    assert model.config.patch_px == 224
    assert "Research use only" in model.card
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = vit.forward_features(images)[:, 0]
    kept = torch.ones(2, model.config.tokens_per_side**2, dtype=torch.bool)
    assert (masked_forward(model.patch.vit, images, kept)[0] - expected).abs().max() <= 1e-5
    again = load_model(save_bundle(model, tmp_path / "kept"))
    assert (masked_forward(again.patch.vit, images, kept)[0] - expected).abs().max() <= 1e-5


def transformers_state(registers: int, gated: bool, dim: int = 48) -> dict[str, torch.Tensor]:
    """Tensors as `transformers`' Dinov2Model names them."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, generator=generator)

    state = {
        "embeddings.cls_token": noise(1, 1, dim),
        "embeddings.mask_token": noise(1, dim),
        "embeddings.position_embeddings": noise(1, 1 + 37**2, dim),
        "embeddings.patch_embeddings.projection.weight": noise(dim, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": noise(dim),
        "layernorm.weight": 1 + noise(dim),
        "layernorm.bias": noise(dim),
    }
    if registers:
        state["embeddings.register_tokens"] = noise(1, registers, dim)
    for index in range(2):
        block = f"encoder.layer.{index}"
        for part in ("attention.attention.query", "attention.attention.key"):
            state |= {f"{block}.{part}.weight": noise(dim, dim), f"{block}.{part}.bias": noise(dim)}
        for part in ("attention.attention.value", "attention.output.dense"):
            state |= {f"{block}.{part}.weight": noise(dim, dim), f"{block}.{part}.bias": noise(dim)}
        for part in ("norm1", "norm2"):
            state |= {f"{block}.{part}.weight": 1 + noise(dim), f"{block}.{part}.bias": noise(dim)}
        for part in ("layer_scale1", "layer_scale2"):
            state[f"{block}.{part}.lambda1"] = noise(dim)
        first, second, width = ("weights_in", "weights_out", 2) if gated else ("fc1", "fc2", 1)
        state |= {
            f"{block}.mlp.{first}.weight": noise(136 * width, dim),
            f"{block}.mlp.{first}.bias": noise(136 * width),
            f"{block}.mlp.{second}.weight": noise(dim, 136),
            f"{block}.mlp.{second}.bias": noise(dim),
        }
    return state


def dinov2_by_hand(state: dict[str, torch.Tensor], images: torch.Tensor, heads: int):
    """DINOv2 with registers as its papers write it; class token at the end. 37 x 37 tokens."""
    x = torch.nn.functional.conv2d(
        images,
        state["embeddings.patch_embeddings.projection.weight"],
        state["embeddings.patch_embeddings.projection.bias"],
        stride=14,
    )
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["embeddings.cls_token"].expand(len(x), -1, -1), x], 1)
    x = x + state["embeddings.position_embeddings"]
    if "embeddings.register_tokens" in state:
        registers = state["embeddings.register_tokens"].expand(len(x), -1, -1)
        x = torch.cat([x[:, :1], registers, x[:, 1:]], 1)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, 1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    for index in range(2):
        block = f"encoder.layer.{index}"
        h = norm(x, f"{block}.norm1")
        q, k, v = (
            linear(h, f"{block}.attention.attention.{part}").unflatten(-1, (heads, -1))
            for part in ("query", "key", "value")
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
        h = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)
        h = linear(h, f"{block}.attention.output.dense")
        x = x + state[f"{block}.layer_scale1.lambda1"] * h
        h = norm(x, f"{block}.norm2")
        if f"{block}.mlp.fc1.weight" in state:
            h = torch.nn.functional.gelu(linear(h, f"{block}.mlp.fc1"))
            h = linear(h, f"{block}.mlp.fc2")
        else:
            gate, value = linear(h, f"{block}.mlp.weights_in").chunk(2, -1)
            h = linear(torch.nn.functional.silu(gate) * value, f"{block}.mlp.weights_out")
        x = x + state[f"{block}.layer_scale2.lambda1"] * h
    return norm(x, "layernorm")[:, 0]


@pytest.mark.parametrize(("registers", "gated"), [(0, False), (4, False), (4, True)])
def test_transformers_layout(hub: Path, registers: int, gated: bool) -> None:
    from napari_maskvit.model.dinov2_names import to_timm

    state = transformers_state(registers, gated)
    config = {"model_type": "dinov2", "num_attention_heads": 3, "image_size": 518}
    publish(hub / "owkin/phikon-v2", config, state)
    (hub / "owkin/phikon-v2/preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]})
    )
    model = load_model("phikon-v2")
    assert model.config.mean == (0.1, 0.2, 0.3)
    assert model.config.tokens_per_side == 16
    assert model.patch.vit.num_prefix_tokens == 1 + registers

    architecture, tensors = to_timm(state, 3, "here")
    facts = {"patch": architecture, "patch_px": 518, "region_px": 518}
    whole = build_model(model.config.model_copy(update=facts)).patch.vit
    whole.load_state_dict(tensors)
    images = torch.randn(1, 3, 518, 518)
    kept = torch.ones(1, 37**2, dtype=torch.bool)
    expected = dinov2_by_hand(state, images, 3)
    assert (masked_forward(whole, images, kept)[0] - expected).abs().max() <= 2e-5


def test_unknown_repositories_load_by_address(hub: Path, randomised) -> None:
    vit = timm.create_model("vit_small_patch16_224", **SMALL, img_size=224, num_classes=7)
    publish(
        hub / "someone/encoder",
        {"architecture": "vit_small_patch16_224", "model_args": SMALL},
        randomised(vit).state_dict(),
    )
    model = load_model("hf-hub:someone/encoder@main")
    assert model.name == "someone-encoder"
    assert model.config.token_px == 16
    assert torch.equal(model.patch.vit.pos_embed, vit.pos_embed)
    assert len(model.sha256) == 64


def test_old_weights_come_as_a_pickle(hub: Path, randomised) -> None:
    vit = publish_timm(hub, "h-optimus-0", randomised)
    folder = hub / repository("h-optimus-0")
    (folder / "model.safetensors").unlink()
    torch.save(vit.state_dict(), folder / "pytorch_model.bin")
    assert torch.equal(load_model("h-optimus-0").patch.vit.cls_token, vit.cls_token)


def without(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: one for key, one in state.items() if key != name}


@pytest.mark.parametrize(
    ("config", "change", "reason"),
    [
        ({}, lambda s: without(s, "norm.weight"), "patch.norm.weight is missing"),
        ({}, lambda s: {**s, "extra": torch.zeros(1)}, "patch.extra is unknown"),
        ({"model_args": {**SMALL, "depth": 3}}, lambda s: s, "blocks.2.*is missing"),
        ({"model_args": {**SMALL, "patch_size": 8}}, lambda s: s, "tokens of 16 px, but"),
        ({"architecture": "resnet10t", "model_args": {}}, lambda s: s, "timm cannot make"),
        ({"architecture": "no_such_vit"}, lambda s: s, "timm cannot make"),
        ({}, lambda s: {"fc.weight": torch.zeros(1)}, "no Vision Transformer"),
    ],
)
def test_never_a_silently_random_weight(hub: Path, randomised, config, change, reason) -> None:
    vit = randomised(timm.create_model("vit_small_patch16_224", **SMALL, num_classes=0))
    facts = {"architecture": "vit_small_patch16_224", "model_args": SMALL, **config}
    publish(hub / "some/one", facts, change(vit.state_dict()))
    with pytest.raises(ModelError, match=reason):
        load_model("hf-hub:some/one")


def test_unreachable_says_what_to_do(hub: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be had.*404 Client Error.*hf auth login"):
        load_model("uni")


def test_neither_layout(hub: Path) -> None:
    publish(hub / "some/one", {"model_type": "clip"}, {"a": torch.zeros(1)})
    with pytest.raises(ModelError, match="neither a timm encoder nor a DINOv2"):
        load_model("hf-hub:some/one")


def test_known_encoders_are_listed_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_hub, "hf_hub_download", None)
    listed = {info.name: info for info in list_models() if info.where == "hub"}
    assert {encoder.name for encoder in KNOWN} == listed.keys()
    assert all(info.path is None and info.config.warnings for info in listed.values())


def test_uni2_has_the_size_that_its_page_states() -> None:
    from napari_maskvit.model import PatchArchitecture
    from napari_maskvit.model.encoders import config_for, encoder_for

    encoder = encoder_for("MahmoodLab/UNI2-h")
    patch = PatchArchitecture(name="vit_giant_patch14_224", options=encoder.options)
    vit = build_model(config_for(encoder, patch=patch), empty=True).patch.vit
    assert sum(one.numel() for one in vit.parameters()) == pytest.approx(681e6, rel=1e-3)
    assert vit.num_prefix_tokens == 9
