"""Published encoders that are known by name: what their pages say, for a list without network.

Their licences differ and several ask for consent on the hub first; nothing of them is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_maskvit.model.config import ModelConfig, PatchArchitecture, Triple

PATCHES_PER_SIDE = 8
PREFIX = "hf-hub:"
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
_GATED: dict[str, Any] = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}
_NONCOMMERCIAL = "CC-BY-NC-ND-4.0"


@dataclass(frozen=True)
class Encoder:
    """A patch encoder on the Hugging Face hub.

    Parameters
    ----------
    name, repository, title
        For commands, on the hub, and for people.
    token_px, patch_px, spacing
        As it was trained.
    training_data, licence
        As its page states them.
    mean, std
        Input normalisation.
    options
        Arguments for timm that its page states and its config on the hub may leave out.
    """

    name: str
    repository: str
    title: str
    training_data: str
    licence: str
    token_px: int = 14
    patch_px: int = 224
    spacing: float = 0.5
    mean: Triple = _IMAGENET_MEAN
    std: Triple = _IMAGENET_STD
    options: dict[str, Any] = field(default_factory=dict)


KNOWN = (
    Encoder(
        "prost40m",
        "waticlems/Prost40M",
        "Prost40M (ViT-S/14)",
        "40 million patches of prostate tissue",
        "Apache-2.0",
    ),
    Encoder(
        "uni",
        "MahmoodLab/UNI",
        "UNI (ViT-L/16)",
        "100 million patches of 100,000 slides",
        _NONCOMMERCIAL,
        token_px=16,
        options={"init_values": 1e-5},
    ),
    Encoder(
        "uni2-h",
        "MahmoodLab/UNI2-h",
        "UNI 2 (ViT-H/14)",
        "200 million patches of 350,000 slides",
        _NONCOMMERCIAL,
        options={
            "patch_size": 14,
            "depth": 24,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2,
            "no_embed_class": True,
            "reg_tokens": 8,
            **_GATED,
        },
    ),
    Encoder(
        "virchow2",
        "paige-ai/Virchow2",
        "Virchow2 (ViT-H/14)",
        "patches of 3.1 million slides at 2.0, 1.0, 0.5 and 0.25 µm per pixel",
        _NONCOMMERCIAL,
        options=_GATED,
    ),
    Encoder(
        "h-optimus-0",
        "bioptimus/H-optimus-0",
        "H-optimus-0 (ViT-g/14)",
        "patches of 500,000 slides",
        "Apache-2.0",
        mean=(0.707223, 0.578729, 0.703617),
        std=(0.211883, 0.230117, 0.177517),
        options={"init_values": 1e-5},
    ),
    Encoder(
        "h-optimus-1",
        "bioptimus/H-optimus-1",
        "H-optimus-1 (ViT-g/14)",
        "patches of over 1 million slides",
        _NONCOMMERCIAL,
        mean=(0.707223, 0.578729, 0.703617),
        std=(0.211883, 0.230117, 0.177517),
        options={"init_values": 1e-5},
    ),
    Encoder(
        "prov-gigapath",
        "prov-gigapath/prov-gigapath",
        "Prov-GigaPath (ViT-g/16)",
        "1.3 billion patches of 171,189 slides",
        "Apache-2.0",
        token_px=16,
    ),
    Encoder(
        "phikon-v2",
        "owkin/phikon-v2",
        "Phikon-v2 (ViT-L/16)",
        "460 million patches of over 50,000 slides",
        "Owkin, non-commercial",
        token_px=16,
    ),
    Encoder(
        "hibou-b",
        "histai/hibou-B",
        "Hibou-B (ViT-B/14)",
        "512 million patches of 1.1 million slides",
        "Apache-2.0",
        mean=(0.7068, 0.5755, 0.722),
        std=(0.195, 0.2316, 0.1816),
    ),
    Encoder(
        "hibou-l",
        "histai/hibou-L",
        "Hibou-L (ViT-L/14)",
        "1.2 billion patches of 1.1 million slides",
        "Apache-2.0",
        mean=(0.7068, 0.5755, 0.722),
        std=(0.195, 0.2316, 0.1816),
    ),
)


def known_encoders() -> tuple[ModelConfig, ...]:
    """Configs of the encoders that are known by name; nothing is downloaded."""
    return tuple(config_for(encoder) for encoder in KNOWN)


def repository_of(name: str) -> str | None:
    """The hub repository behind a known name or an ``hf-hub:`` address; None for other names."""
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX)
    return next((encoder.repository for encoder in KNOWN if encoder.name == name), None)


def encoder_for(repository: str) -> Encoder:
    """What is known of a repository, with or without ``@revision``; else a bare entry."""
    plain = repository.partition("@")[0]
    for encoder in KNOWN:
        if encoder.repository.lower() == plain.lower():
            return encoder
    return Encoder(
        plain.replace("/", "-"), plain, plain, "not stated here: see its page", "see its page"
    )


def config_for(encoder: Encoder, **facts: Any) -> ModelConfig:
    """Its config; `facts` are what its files say once they are here."""
    known: dict[str, Any] = {
        "token_px": encoder.token_px,
        "patch_px": encoder.patch_px,
        "mean": encoder.mean,
        "std": encoder.std,
        "patch": PatchArchitecture(name=f"hf-hub:{encoder.repository}"),
    } | facts
    return ModelConfig(
        name=encoder.name,
        title=encoder.title,
        description=f"A patch encoder from the Hugging Face hub ({encoder.repository}).",
        spacing=encoder.spacing,
        region_px=known["patch_px"] * PATCHES_PER_SIDE,
        frozen=("patch",),
        licence=encoder.licence,
        training_data=encoder.training_data,
        warnings=(
            "An encoder alone: it makes no prediction.",
            f"Its spacing, {encoder.spacing} µm per pixel, is what its page says, not its weights.",
            "Research use only; not for diagnosis.",
        ),
        **known,
    )
