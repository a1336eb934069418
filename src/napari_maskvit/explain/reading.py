"""From planned patches to pixels, in batches of about the same number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.lattice import Lattice
    from napari_maskvit.explain.plan import PatchPlan
    from napari_maskvit.slide import Slide

WAVE = 4
"""Batches read ahead and sorted by length together."""

FIRST_TOKENS = 256
"""Tokens of the first batch where somebody is looking: a patch or a few, seen in a blink."""


@dataclass(frozen=True)
class Pixels:
    """Kept tokens of one patch: (K, p, p, 3) uint8 and the (t, t) tokens that could be read."""

    plan: PatchPlan
    tokens: NDArray[np.uint8]
    kept: NDArray[np.bool_]


def read_patch(slide: Slide, lattice: Lattice, patch: PatchPlan, *, masked: bool) -> Pixels:
    """Pixels of the kept tokens of a patch.

    Parameters
    ----------
    slide, lattice, patch
        What to read, and where it lies.
    masked
        Whether tokens that cannot be decoded become background; else they are white.
    """
    t, p, side = lattice.tokens_per_side, lattice.token_px, lattice.patch_px
    if not patch.tokens:
        return Pixels(patch, np.zeros((0, p, p, 3), np.uint8), patch.kept)
    x, y = lattice.corner("region", patch.row, patch.column)
    region = slide.read(x, y, side, side, lattice.spacing, keep=patch.kept)
    kept = patch.kept
    if masked and not region.valid.all():
        kept = kept & region.valid.reshape(t, p, t, p).all(axis=(1, 3))
    tokens = region.pixels.reshape(t, p, t, p, 3).transpose(0, 2, 1, 3, 4)[kept]
    return Pixels(patch, tokens, kept)


def nearest_first(
    patches: Iterable[PatchPlan], lattice: Lattice, focus: tuple[float, float] | None
) -> list[PatchPlan]:
    """Patches in the order of their distance to a level-0 pixel (x, y)."""
    if focus is None:
        return list(patches)
    half = lattice.step("region") / 2
    x, y = focus

    def distance(patch: PatchPlan) -> float:
        left, top = lattice.corner("region", patch.row, patch.column)
        return (left + half - x) ** 2 + (top + half - y) ** 2

    return sorted(patches, key=distance)


def waves(patches: list[PatchPlan], budget: int, *, watched: bool) -> list[list[PatchPlan]]:
    """Cut the order of computation into stretches that are read together.

    The first is a single batch, so that something is seen at once; where somebody watches it is
    a small one, and those after it grow, unless one batch is all: several would only take longer.
    """
    is_one = sum(patch.tokens + 1 for patch in patches) <= budget
    sizes = _wave_sizes(budget, watched and not is_one)
    size = next(sizes)
    cut: list[list[PatchPlan]] = []
    wave: list[PatchPlan] = []
    tokens = 0
    for patch in patches:
        wave.append(patch)
        tokens += patch.tokens + 1
        if tokens >= size:
            cut.append(wave)
            wave, tokens, size = [], 0, next(sizes)
    return [*cut, wave] if wave else cut


def _wave_sizes(budget: int, watched: bool) -> Iterator[int]:
    growing = []
    if watched:
        size = FIRST_TOKENS
        while size < budget:
            growing.append(size)
            size *= 2
    yield from chain(growing, [budget])
    while True:
        yield budget * WAVE


def batches(wave: list[Pixels], budget: int) -> list[list[Pixels]]:
    """Patches of like length together, each batch within the token budget."""
    cut: list[list[Pixels]] = []
    batch: list[Pixels] = []
    tokens = 0
    for pixels in sorted(wave, key=lambda pixels: len(pixels.tokens), reverse=True):
        if batch and tokens + len(pixels.tokens) + 1 > budget:
            cut.append(batch)
            batch, tokens = [], 0
        batch.append(pixels)
        tokens += len(pixels.tokens) + 1
    return [*cut, batch] if batch else cut


Reader = Callable[["PatchPlan"], Pixels]
