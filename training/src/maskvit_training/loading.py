"""Units one at a time, straight from the disk, in an order that a restart repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from maskvit_training.data import Sample, Unit, class_frequencies, read_sample

if TYPE_CHECKING:
    from maskvit_training.recipe import Recipe


class UnitDataset(Dataset[Sample]):
    """Units by number, read when asked for; the first ones stay in memory as far as it is allowed.

    The number of a unit under its k-th other outline is its own plus k times the count of units.

    Parameters
    ----------
    keep_bytes
        Bound on what is kept, so that a small cohort is read once and a large one costs no memory.
    """

    def __init__(
        self, units: Sequence[Unit], time_edges: Sequence[float], keep_bytes: int = 0
    ) -> None:
        self.units = units
        self.time_edges = time_edges
        self.keep_bytes = keep_bytes
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, index: int) -> Sample:
        if index in self._kept:
            return self._kept[index]
        variant, unit = divmod(index, len(self.units))
        sample = read_sample(self.units[unit], self.time_edges, variant)
        if sample.features.nbytes <= self.keep_bytes:
            self.keep_bytes -= sample.features.nbytes
            self._kept[index] = sample
        return sample


class EpochSampler(Sampler[int]):
    """A new order each epoch, from seed and epoch alone, so that a resumed run repeats it.

    Where several processes train together, each takes its turn of the one order, so that two of
    them take the same step as one process that accumulates two units.

    Parameters
    ----------
    weights
        Chance of each unit to be drawn (with replacement); None: each exactly once.
    epoch
        The first one. Lightning draws its order before it says which epoch it resumes.
    variants
        Other outlines of every unit; each draw takes one of them or the mask itself.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        weights: Tensor | None = None,
        epoch: int = 0,
        variants: int = 0,
    ) -> None:
        self.count, self.seed, self.weights, self.epoch = count, seed, weights, epoch
        self.variants = variants

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.count // _processes()[1])

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.count, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.count, True, generator=generator)
        if self.variants:
            drawn = torch.randint(0, self.variants + 1, order.shape, generator=generator)
            order = order + self.count * drawn
        rank, processes = _processes()
        # The first ones come again where the last turn is not full: all must take every step.
        turn = torch.arange(len(self) * processes)[rank::processes] % self.count
        return iter(order[turn].tolist())


def _processes() -> tuple[int, int]:
    """Number of this process among those that train together, and how many those are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def train_loader(
    recipe: Recipe, units: Sequence[Unit], time_edges: Sequence[float], epoch: int = 0
) -> DataLoader[Sample]:
    """Training units in an order that changes with the epoch, one a batch."""
    weights = None
    if recipe.task.weighted_sampling:
        shares = class_frequencies(units, len(recipe.task.classes))
        weights = 1 / shares[torch.tensor([unit.label for unit in units])]
    return DataLoader(
        UnitDataset(units, time_edges, recipe.trainer.keep_mb << 20),
        batch_size=None,
        sampler=EpochSampler(
            len(units), recipe.seed, weights, epoch, min(len(unit.variants) for unit in units)
        ),
        num_workers=recipe.trainer.workers,
        persistent_workers=recipe.trainer.workers > 0,
    )


def plain_loader(
    recipe: Recipe, units: Sequence[Unit], time_edges: Sequence[float]
) -> DataLoader[Sample]:
    """Units in their order, one a batch."""
    return DataLoader(
        UnitDataset(units, time_edges, recipe.trainer.keep_mb << 20),
        batch_size=None,
        num_workers=recipe.trainer.workers,
        persistent_workers=recipe.trainer.workers > 0,
    )
