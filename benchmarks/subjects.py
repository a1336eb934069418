"""What the benchmarks run on: a ViT-S/16, a real slide where there is one, phantoms elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from textbook import dense_attention, dense_features

from napari_maskvit.explain import Explainer
from napari_maskvit.model import Model, ModelConfig, PatchArchitecture, build_model
from napari_maskvit.slide import Slide, open_slide
from napari_maskvit.slide.phantom import PhantomSpec, biopsy, write_phantom
from napari_maskvit.tissue import TissueMask

REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared/data/slides/CMU-1-Small-Region.svs"

TEXTBOOK_BATCH = 8


def vit_s16(spacing: float = 0.5) -> Model:
    """A ViT-S/16 of full size; what its weights are makes no difference to time."""
    torch.manual_seed(0)
    return build_model(
        ModelConfig(
            name="vit-s16",
            title="ViT-S/16, random weights",
            spacing=spacing,
            token_px=16,
            patch_px=256,
            region_px=2048,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            patch=PatchArchitecture(name="vit_small_patch16_224"),
            licence="none",
            training_data="none",
        )
    )


def speed_slide(folder: Path) -> tuple[Slide, str]:
    """The real slide if it lies beside the checkout, else a phantom of its size."""
    if REAL_SLIDE.is_file():
        return open_slide(REAL_SLIDE), REAL_SLIDE.name
    path = folder / "small.tif"
    write_phantom(path, biopsy(2220, 2967, cores=1, core_width=500.0, seed=1), truth=False)
    return open_slide(path), "phantom, 2220 x 2967 px"


def same_tissue(folder: Path, factor: float) -> Path:
    """One core on a slide whose area is ``factor`` times 6000 x 4000 px."""
    spec = biopsy(6000, 4000, cores=1, core_length=2200.0, seed=3)
    side = factor**0.5
    spec = replace(spec, width=round(6000 * side), height=round(4000 * side))
    path = folder / f"area-{factor:g}.tif"
    write_phantom(path, spec, truth=False)
    return path


def gigapixel(path: Path, side: int = 100_000) -> PhantomSpec:
    """A phantom of ``side`` x ``side`` px at 0.25 µm/px with three cores."""
    spec = biopsy(side, side, spacing=0.25, cores=3, core_length=12_000.0, grade=3, seed=5)
    if not path.is_file():
        write_phantom(path, spec, truth=False)
    return spec


def textbook(
    model: Model, slide: Slide, explainer: Explainer, mask: TissueMask, *, whole_regions: bool
) -> np.ndarray:
    """Dense masked features, then dense masked attention, of every patch.

    Parameters
    ----------
    whole_regions
        Every patch of every region, as a hierarchical transformer without masking reads them;
        otherwise those patches alone that touch the slide.

    Returns
    -------
    ndarray
        (rows, columns, heads, tokens) attention, by place in the slide's patches.
    """
    lattice = explainer.lattice
    side, t = lattice.patch_px, lattice.tokens_per_side
    step = lattice.step("region")
    rows, columns = (int(np.ceil(length / step)) for length in slide.shape)
    if whole_regions:
        rows, columns = lattice.shape("region")
    kept = mask.coverage(0, 0, lattice.token_px * lattice.spacing, rows * t, columns * t) > 0
    tokens = kept.reshape(rows, t, columns, t).swapaxes(1, 2).reshape(-1, t * t)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    batches = [
        slice(start, start + TEXTBOOK_BATCH) for start in range(0, len(places), TEXTBOOK_BATCH)
    ]

    def images(batch: slice) -> torch.Tensor:
        pixels = [
            slide.read_region(column * step, row * step, side, side, lattice.spacing)
            for row, column in places[batch]
        ]
        return (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5

    vit = model.patch.vit
    for batch in batches:
        dense_features(vit, images(batch), torch.from_numpy(tokens[batch]))
    attention = [
        dense_attention(vit, images(batch), torch.from_numpy(tokens[batch])) for batch in batches
    ]
    heads = vit.blocks[0].attn.num_heads
    return torch.cat(attention).numpy().reshape(rows, columns, heads, t * t)
