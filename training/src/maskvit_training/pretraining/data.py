"""Patches and regions of a whole cohort, one at a time, straight from the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from maskvit_training.errors import FeatureError
from maskvit_training.loading import EpochSampler
from maskvit_training.pretraining.crops import View
from maskvit_training.recipe import Recipe

Crop = Callable[[Tensor, Tensor], list[View]]


class Pieces(Dataset[list[View]]):
    """Crops of every patch (or region) of some stores, by number; memory holds one at a time.

    The number of a piece in epoch e is its own plus e times the count of pieces, so that chance
    depends on seed, epoch and piece alone.

    Parameters
    ----------
    stores
        Of pixels where `level` is "patch", else of features.
    level
        "patch" or "region".
    crop
        Makes the views.
    """

    def __init__(self, stores: Sequence[Path], level: str, crop: Crop, seed: int) -> None:
        self.stores, self.level, self.crop, self.seed = stores, level, crop, seed
        counted = "positions" if level == "patch" else "lengths"
        counts = [_open(path)[counted].shape[0] for path in stores]
        self.ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, number: int) -> list[View]:
        epoch, piece = divmod(number, len(self))
        at = int(np.searchsorted(self.ends, piece, side="right"))
        place = piece - (int(self.ends[at - 1]) if at else 0)
        group = _open(self.stores[at])
        read = _read_patch if self.level == "patch" else read_region
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.seed * 100_003 + epoch) * 1_000_003 + piece)
            return self.crop(*read(group, place))


class NumberedSampler(EpochSampler):
    """An order that says the epoch along with each piece."""

    def __iter__(self) -> Iterator[int]:
        shift = self.epoch * self.count
        return iter([at + shift for at in super().__iter__()])


def read_region(group: Any, region: int) -> tuple[Tensor, Tensor]:
    """Grid of features [n, n, D] of one region and which of them are there, bool [n, n]."""
    n = int(group.attrs["patches_per_side"])
    lengths = group["lengths"][: region + 1]
    rows = slice(int(lengths[:-1].sum()), int(lengths.sum()))
    positions = torch.from_numpy(np.asarray(group["positions"][rows]))
    values = torch.from_numpy(np.asarray(group["features"][rows]))
    features = torch.zeros(n * n, values.shape[1])
    kept = torch.zeros(n * n, dtype=torch.bool)
    features[positions], kept[positions] = values, True
    return features.view(n, n, -1), kept.view(n, n)


def pieces_loader(recipe: Recipe, pieces: Pieces, batch: int, epoch: int) -> DataLoader[list[View]]:
    """Batches of views in an order that changes with the epoch."""
    return DataLoader(
        pieces,
        batch_size=min(batch, len(pieces)),
        sampler=NumberedSampler(len(pieces), recipe.seed, epoch=epoch),
        collate_fn=default_collate,
        drop_last=True,
        num_workers=recipe.trainer.workers,
        persistent_workers=recipe.trainer.workers > 0,
    )


def _read_patch(group: Any, patch: int) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.asarray(group["features"][patch])), torch.from_numpy(
        np.asarray(group["tokens"][patch])
    )


def _open(path: Path) -> Any:
    import zarr

    try:
        return zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise FeatureError(f"The features at {path} cannot be opened ({error}).") from error
