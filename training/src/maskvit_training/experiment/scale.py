"""The scale of the features, taken from patches that hold tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from maskvit_training.data import read_sample
from maskvit_training.module import HierarchyModule
from maskvit_training.store import read_features

if TYPE_CHECKING:
    from maskvit_training.data import Sample, Unit


class TissueScale(Callback):
    """Takes centre and spread of the features from patches that hold tissue, for every arm alike.

    Training takes them from all patches that it reads. Where many of those are glass, the centre
    lies between glass and tissue: all patches of tissue then share a direction that is as long as
    what they differ by, and the first layer's steps go along it.

    Parameters
    ----------
    units
        Those that train.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Before the first step, and again where training goes on, with the same result."""
        assert isinstance(pl_module, HierarchyModule)
        pl_module.hierarchy.standardise([tissue_of(unit) for unit in self.units])


def tissue_of(unit: Unit) -> Sample:
    """A unit with the features of patches that hold tissue alone."""
    sample = read_sample(unit, ())
    coverage = [torch.from_numpy(read_features(path).coverage) for path in unit.stores]
    return replace(sample, features=sample.features[torch.cat(coverage) > 0])
