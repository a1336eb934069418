"""Which patches of an explanation belong to another mask than the one at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.lattice import Lattice
from napari_maskvit.explain.planner import make_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.tissue import TissueMask

SLIVER = 1e-4
"""Share of a token that a border, rounded in another place, may gain or lose."""


def outdated_patches(explanation: Explanation, mask: TissueMask) -> NDArray[np.bool_]:
    """Compare a mask with the one that an explanation was made of, token by token.

    Parameters
    ----------
    explanation
        A complete one; it keeps how much of each of its tokens was tissue.
    mask
        The tissue mask as it stands, of the same slide.

    Returns
    -------
    ndarray
        (rows, columns) of the patch lattice: where the tissue is another.
    """
    then, now = _then(explanation), _now(explanation, mask)
    different: NDArray[np.bool_] = np.asarray(np.abs(then - now) > SLIVER)
    if explanation.statistics.undecodable_tiles:
        # What could not be read was dropped, whatever the mask says of it.
        different[then <= 0] = False
    side = explanation.levels["patch"].window or 1
    rows, columns = (-(-count // side) for count in different.shape)
    whole = np.zeros((rows * side, columns * side), bool)
    whole[: different.shape[0], : different.shape[1]] = different
    return np.asarray(whole.reshape(rows, side, columns, side).any(axis=(1, 3)))


def _then(explanation: Explanation) -> NDArray[np.float32]:
    tokens = explanation.levels["patch"]
    return tokens.raster(tokens.coverage, 0.0)


def _now(explanation: Explanation, mask: TissueMask) -> NDArray[np.float32]:
    """Share of tissue of each token that a run with this mask would keep; 0 for all others."""
    lattice = _lattice(explanation)
    plan = make_plan(mask, lattice, explanation.masking, explanation.threshold)
    shape = explanation.levels["patch"].shape
    picture = np.zeros(shape, np.float32)
    side = lattice.tokens_per_side * lattice.patches_per_side
    for part in plan.parts:
        computed = part.token_kept & part.patch_kept[:, :, None, None]
        kept = np.where(computed, part.token_coverage, np.float32(0))
        block = kept.transpose(0, 2, 1, 3).reshape(side, side)
        there = picture[
            part.row * side : (part.row + 1) * side, part.column * side : (part.column + 1) * side
        ]
        there[...] = block[: there.shape[0], : there.shape[1]]
    return picture


def _lattice(explanation: Explanation) -> Lattice:
    """The lattices that the explanation was made on, from what it tells of its levels."""
    tokens, region = explanation.levels["patch"], explanation.levels.get("region")
    token_px = round(tokens.step * explanation.slide_spacing / explanation.spacing)
    patch_px = token_px * (tokens.window or 1)
    return Lattice(
        slide_shape=explanation.slide_shape,
        slide_spacing=explanation.slide_spacing,
        spacing=explanation.spacing,
        token_px=token_px,
        patch_px=patch_px,
        region_px=patch_px * ((region.window or 1) if region is not None else 1),
    )
