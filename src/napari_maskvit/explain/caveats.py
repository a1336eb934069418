"""What speaks against trusting an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.explain.explanation import Statistics
    from napari_maskvit.explain.plan import Plan
    from napari_maskvit.model import ModelConfig
    from napari_maskvit.slide import Slide

LITTLE_TISSUE = 0.1
"""mm² of tissue under which an answer rests on less than a small fragment of a biopsy."""


def caveats(
    slide: Slide, config: ModelConfig, plan: Plan, statistics: Statistics, *, complete: bool
) -> tuple[str, ...]:
    """One sentence each; the model's own warnings come last."""
    sentences = []
    if not complete:
        sentences.append("The run was not finished: parts of the tissue are missing.")
    finest = plan.lattice.slide_spacing
    if plan.lattice.spacing < finest * 0.98:
        sentences.append(
            f"The slide has {finest:g} µm per pixel and was enlarged to the "
            f"{config.spacing:g} µm that the model was trained at: fine detail is missing."
        )
    token_side = plan.lattice.token_px * plan.lattice.spacing
    tissue = plan.covered * token_side**2 / 1e6
    if tissue == 0:
        sentences.append(
            "The mask holds no tissue: nothing was looked at. Paint some in the viewer, or give a "
            "mask of your own."
        )
    elif tissue < LITTLE_TISSUE:
        sentences.append(f"There is little tissue: {tissue:.3f} mm².")
    if statistics.undecodable_tiles:
        sentences.append(
            f"{statistics.undecodable_tiles} tiles of the slide cannot be decoded; they were "
            "treated as background."
        )
    return (*sentences, *config.warnings)
