"""Crops of a patch, or of a region's grid of patch features, each with its tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

TRIES = 8
LEAST_TISSUE = 0.25
LOCAL_SHARE, GLOBAL_SHARE = 0.375, 0.875
"""Sides of the small and large crops of a region's grid, as parts of its own (6 and 14 of 16)."""

View = tuple[Tensor, Tensor]
"""What a transformer reads, and bool [N], which tokens or patches are kept."""


@dataclass(frozen=True)
class PatchCrops:
    """Two large and some small crops of a patch, geometry, colour and blur changed by chance.

    Not lightly's own transform, which would leave the tissue mask behind.

    Parameters
    ----------
    patch_px, token_px
        Sides. Large crops are as large as a patch, small ones 3/7 of it in whole tokens.
    small
        How many small crops.
    share
        Area of a small crop at most, and of a large one at least, as a part of the patch.
    masked
        Whether background tokens are left out.
    """

    patch_px: int
    token_px: int
    small: int
    share: float
    masked: bool

    def __call__(self, pixels: Tensor, tokens: Tensor) -> list[View]:
        """Views of a patch, pixels uint8 [px, px, 3] and kept tokens bool [N]; large ones first."""
        from torchvision import tv_tensors

        side = self.patch_px // self.token_px
        image = tv_tensors.Image(pixels.permute(2, 0, 1))
        tissue = tokens.view(1, 1, side, side).to(torch.uint8)
        mask = tv_tensors.Mask(F.interpolate(tissue, size=pixels.shape[:2])[0])
        small_px = max(1, round(side * 3 / 7)) * self.token_px
        large = _transform(self.patch_px, (self.share, 1.0), 0.5)
        small = _transform(small_px, (min(0.05, self.share / 2), self.share), 0.5)
        return [
            self._view(transform, image, mask)
            for transform in (large, large, *[small] * self.small)
        ]

    def _view(self, transform: Callable[..., Any], image: Tensor, mask: Tensor) -> View:
        for _ in range(TRIES):
            crop, tissue = transform(image, mask)
            kept = F.max_pool2d(tissue[None].float(), self.token_px).flatten() > 0
            if not self.masked:
                return crop.as_subclass(Tensor), torch.ones_like(kept)
            if kept.float().mean() >= LEAST_TISSUE:
                break
        return crop.as_subclass(Tensor), kept


def _transform(size: int, area: tuple[float, float], blurred: float) -> Callable[..., Any]:
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=area, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(5, (0.1, 2.0))], blurred),
        ]
    )


@dataclass(frozen=True)
class GridCrops:
    """Two large and some small crops of a region's grid of features, turned and flipped by chance.

    Parameters
    ----------
    side
        Patches along one side of a region.
    small
        How many small crops.
    """

    side: int
    small: int

    def __call__(self, features: Tensor, kept: Tensor) -> list[View]:
        """Views of features [n, n, D] of which kept bool [n, n]; large ones first."""
        large = max(1, int(GLOBAL_SHARE * self.side))
        small = max(1, int(LOCAL_SHARE * self.side))
        return [self._view(features, kept, side) for side in (large, large, *[small] * self.small)]

    def _view(self, features: Tensor, kept: Tensor, side: int) -> View:
        for _ in range(TRIES):
            row, column = torch.randint(0, self.side - side + 1, (2,)).tolist()
            place = slice(row, row + side), slice(column, column + side)
            if kept[place].any():
                break
        turns, flip = int(torch.randint(4, ())), bool(torch.randint(2, ()))
        crop, stays = (torch.rot90(one[place], turns, (0, 1)) for one in (features, kept))
        if flip:
            crop, stays = crop.flip(0), stays.flip(0)
        return crop.flatten(0, 1), stays.flatten()
