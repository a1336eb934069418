"""What a training step reads: the features and the target of one slide, or of one patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from maskvit_training.errors import FeatureError
from maskvit_training.store import read_features, store_path

if TYPE_CHECKING:
    from maskvit_training.cohort import Case
    from maskvit_training.recipe import Recipe


@dataclass(frozen=True, slots=True)
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


def class_frequencies(units: Sequence[Unit], classes: int) -> Tensor:
    """float32 [C], share of each class among the units."""
    counts = torch.bincount(torch.tensor([unit.label for unit in units]), minlength=classes)
    return counts / counts.sum()
