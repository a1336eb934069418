"""A quick encoder for experiments: the beginning of the bundled one, at a coarser spacing."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from napari_maskvit.model import Model, ModelConfig, load_model, save_bundle


def quick_encoder(path: Path, spacing: float, blocks: int, patch_px: int) -> Path:
    """Write the first blocks of the bundled model's patch transformer as a bundle of its own.

    Parameters
    ----------
    path
        The bundle's folder; one that is there already is left as it is.
    spacing
        µm per pixel at which it reads slides.
    blocks
        How many blocks, followed by the final norm.
    patch_px
        Side of its patches; position embeddings are resized where the bundled one has others.

    Returns
    -------
    Path
        The bundle's folder.
    """
    if path.exists():
        return path
    base = load_model()
    facts = base.config.model_dump()
    facts |= {
        "name": path.name,
        "title": f"First {blocks} blocks of {base.config.title}",
        "description": "An encoder for experiments on phantoms.",
        "spacing": spacing,
        "patch": {
            **facts["patch"],
            "options": {**facts["patch"]["options"], "depth": blocks},
        },
        "patch_px": patch_px,
        "region_px": 2 * patch_px,
        "frozen": ("patch",),
        "metrics": {},
        "weights_sha256": None,
        **{"region": None, "slide": None, "head": None, "labels": ()},
    }
    patch = base.patch
    whole = patch.vit.blocks
    assert isinstance(whole, nn.Sequential)
    patch.vit.blocks = whole[:blocks]
    if patch_px != base.config.patch_px:
        patch.vit.set_input_size(img_size=(patch_px, patch_px))
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_bundle(Model(ModelConfig.model_validate(facts), base.card, "", patch), path)
