"""Other outlines of the same tissue, so that a prediction does not hang on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from maskvit_training.recipe import AugmentRecipe
    from napari_maskvit.tissue import TissueMask


def augmented(mask: TissueMask, recipe: AugmentRecipe, seed: int) -> TissueMask:
    """A mask whose edge lies elsewhere and of which some pieces are gone.

    The edge moves by one distance drawn evenly from -erode_um (inwards) to dilate_um (outwards);
    each connected piece then goes with the chance drop_pieces. Where nothing would be left, the
    mask stays as it is.

    Parameters
    ----------
    seed
        The same seed gives the same mask.
    """
    from scipy import ndimage

    from napari_maskvit.tissue import TissueMask

    rng = np.random.default_rng(seed)
    move = rng.uniform(-recipe.erode_um, recipe.dilate_um) / mask.spacing
    tissue = mask.tissue
    if move > 0:
        tissue = ndimage.distance_transform_edt(~tissue) <= move
        # What a person has excluded is not tissue that was missed.
        tissue &= mask.array <= mask.TISSUE
    elif move < 0:
        tissue = ndimage.distance_transform_edt(tissue) > -move
    if recipe.drop_pieces:
        pieces, count = ndimage.label(tissue)
        stays = rng.random(count + 1) >= recipe.drop_pieces
        stays[0] = False
        tissue = stays[pieces]
    if not tissue.any():
        return mask
    return TissueMask(tissue.astype(np.uint8), mask.spacing, mask.name)
