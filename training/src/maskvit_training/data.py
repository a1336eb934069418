"""What a training step reads: one slide or patient at a time, straight from the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from maskvit_training.errors import FeatureError
from maskvit_training.store import read_features, store_path

if TYPE_CHECKING:
    from maskvit_training.cohort import Case
    from maskvit_training.recipe import Recipe


@dataclass(frozen=True)
class Unit:
    """What a label is about: a slide, or all slides of a patient.

    Attributes
    ----------
    stores
        Features of its slides.
    variants
        The same under other outlines of the tissue, for training.
    """

    name: str
    patient: str
    stores: tuple[Path, ...]
    label: int | None
    time: float | None
    event: bool | None
    variants: tuple[tuple[Path, ...], ...] = ()


@dataclass(frozen=True)
class Sample:
    """The features of one unit, packed: P kept patches in R regions.

    Attributes
    ----------
    features
        float32 [P, D], or pixels uint8 [P, px, px, 3] where the patch transformer is trained.
    tokens
        bool [P, N], kept tokens of each patch; with pixels only.
    positions
        int64 [P], row-major place of each patch in its region.
    coverage
        float32 [P], share of each patch that is tissue.
    lengths
        int64 [R], kept patches of each region.
    coordinates
        int64 [R, 2], row and column of each region; the slides of a patient lie below each other.
    target
        int64 [1], the class, or [1, 2], the time interval and whether the event was seen.
    """

    unit: Unit
    features: Tensor
    positions: Tensor
    coverage: Tensor
    lengths: Tensor
    coordinates: Tensor
    target: Tensor
    tokens: Tensor | None = None


def make_units(
    recipe: Recipe,
    cases: Sequence[Case],
    keys: dict[str, str],
    variants: dict[str, tuple[str, ...]] | None = None,
) -> list[Unit]:
    """Units of some cases, as far as they have features.

    Parameters
    ----------
    keys
        Key of each case's features, by its name.
    variants
        Keys of its features under other outlines.
    """
    others = variants or {}

    by_patient = recipe.data.unit == "patient"
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if case.name in keys:
            groups.setdefault(case.patient if by_patient else case.name, []).append(case)
    return [
        Unit(
            name=name,
            patient=group[0].patient,
            stores=tuple(store_path(recipe.feature_folder, keys[case.name]) for case in group),
            label=group[0].label,
            time=group[0].time,
            event=group[0].event,
            variants=tuple(
                tuple(store_path(recipe.feature_folder, key) for key in turn)
                for turn in zip(*(others.get(case.name, ()) for case in group), strict=True)
            ),
        )
        for name, group in groups.items()
    ]


def read_sample(unit: Unit, time_edges: Sequence[float], variant: int = 0) -> Sample:
    """Read a unit's features.

    Parameters
    ----------
    variant
        0 for its own mask, else the number of another outline, counted from 1.

    Raises
    ------
    FeatureError
        If they are missing or damaged.
    """
    stores = unit.variants[variant - 1] if variant else unit.stores
    parts = [read_features(path) for path in stores]
    shift, coordinates = 0, []
    for part in parts:
        coordinates.append(part.regions + np.array([shift, 0]))
        shift += int(part.regions[:, 0].max(initial=0)) + 1

    def join(name: str) -> Tensor:
        return torch.from_numpy(np.concatenate([getattr(part, name) for part in parts]))

    return Sample(
        unit=unit,
        features=join("features"),
        positions=join("positions"),
        coverage=join("coverage"),
        lengths=join("lengths"),
        coordinates=torch.from_numpy(np.concatenate(coordinates)),
        target=target_of(unit, time_edges),
        tokens=None if parts[0].tokens is None else join("tokens"),
    )


def target_of(unit: Unit, time_edges: Sequence[float]) -> Tensor:
    """The class of a unit, or its time interval and whether the event was seen."""
    if unit.label is not None:
        return torch.tensor([unit.label])
    assert unit.time is not None
    interval = int(np.searchsorted(np.asarray(time_edges), unit.time, side="right"))
    return torch.tensor([[interval, int(bool(unit.event))]])


def cut_time(units: Sequence[Unit], bins: int) -> tuple[float, ...]:
    """The bins - 1 inner edges of time, at quantiles of the events seen in training.

    Raises
    ------
    FeatureError
        If there are fewer different times of events than bins.
    """
    times = [unit.time for unit in units if unit.event and unit.time is not None]
    edges = np.quantile(times, np.arange(1, bins) / bins) if times else np.zeros(0)
    if len(np.unique(edges)) < bins - 1:
        raise FeatureError(
            f"{len(times)} events in training are too few to cut time into {bins} bins; set "
            "task.bins lower."
        )
    return tuple(float(edge) for edge in edges)


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


def class_frequencies(units: Sequence[Unit], classes: int) -> Tensor:
    """float32 [C], share of each class among the units."""
    counts = torch.bincount(torch.tensor([unit.label for unit in units]), minlength=classes)
    return counts / counts.sum()


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
