"""The Lightning module: region and slide transformers on patch features, or on patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import MulticlassCohenKappa

from maskvit_training.data import Sample
from maskvit_training.errors import TrainingError
from maskvit_training.losses import make_loss
from maskvit_training.network import Hierarchy, drop_patches
from maskvit_training.patch_training import embed_dense, embed_packed
from maskvit_training.predictions import grade_of
from maskvit_training.recipe import FinetuneRecipe, OptimiserRecipe
from napari_maskvit.model import ModelConfig, build_model
from napari_maskvit.model.prediction import decode

TUNING_LOSS = "tune_loss"


class HierarchyModule(lightning.LightningModule):
    """Trains a hierarchy; a checkpoint of it knows all that is needed to rebuild it.

    Parameters
    ----------
    config
        Facts of the model (`ModelConfig` as a dictionary).
    optimiser
        `OptimiserRecipe` as a dictionary.
    patch_dim
        Width of a patch feature.
    freeze_region
        Train the slide transformer alone.
    drop
        Share of patches left out at random in training.
    class_weights
        Of the classification loss.
    time_edges
        Inner edges of the time intervals; survival only.
    seed
        Of dropout and of the patches left out.
    digest
        Key of the recipe and of the split.
    finetune
        `FinetuneRecipe` as a dictionary, where the patch transformer is trained too and units are
        pixels; None where it is frozen and units are its features.
    """

    def __init__(
        self,
        config: dict[str, Any],
        optimiser: dict[str, Any],
        patch_dim: int,
        freeze_region: bool = False,
        drop: float = 0.0,
        class_weights: Sequence[float] | None = None,
        time_edges: Sequence[float] = (),
        seed: int = 0,
        digest: str = "",
        finetune: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = ModelConfig.model_validate(config)
        self.optimiser = OptimiserRecipe.model_validate(optimiser)
        self.hierarchy = Hierarchy(self.config, patch_dim)
        self.hierarchy.region.requires_grad_(not freeze_region)
        self.frozen_region = freeze_region
        self.tune = None if finetune is None else FinetuneRecipe.model_validate(finetune)
        self.patch = None
        if finetune is not None:
            self.patch = build_model(_patch_alone(self.config)).patch.train()
        self.drop, self.seed = drop, seed
        self.time_edges = tuple(time_edges)
        weights = None if class_weights is None else torch.tensor(class_weights)
        assert self.config.head is not None
        self.loss = make_loss(self.config.head, weights)
        self.history: list[dict[str, float]] = []
        self.kappa = None
        if self.config.head != "survival":
            self.kappa = MulticlassCohenKappa(len(self.config.labels), weights="quadratic")

    def training_step(self, sample: Sample, index: int) -> Tensor:
        """The loss of one unit; chance depends on seed, epoch and step alone, as when resumed."""
        turn = index * self.trainer.world_size + self.global_rank
        place = (self.seed * 100_003 + self.current_epoch) * 1_000_003 + turn
        torch.manual_seed(place * 1_009)
        if self.frozen_region:
            self.hierarchy.region.eval()
        if self.drop:
            sample = drop_patches(sample, self.drop)
        loss = self.loss(self.hierarchy(self._with_features(sample)), sample.target)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss of {sample.unit.name} in epoch {self.current_epoch} is "
                f"{loss.item()}: training has gone astray. Lower optimiser.learning_rate, set "
                "optimiser.clip, or look at that slide's features; earlier epochs are kept."
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
        return loss

    def validation_step(self, sample: Sample, _: int) -> None:
        """Loss and grade of one tuning unit."""
        logits = self.hierarchy(self._with_features(sample))
        loss = self.loss(logits, sample.target)
        self.log(TUNING_LOSS, loss, batch_size=1, sync_dist=True, prog_bar=True)
        if self.kappa is not None:
            answer = decode(self.config, logits[0].float().cpu().numpy())
            grade = torch.tensor([grade_of(answer)], device=logits.device)
            self.kappa(grade, sample.target)
            self.log("tune_kappa", self.kappa, on_step=False, on_epoch=True, batch_size=1)

    def encode(self, sample: Sample) -> Tensor:
        """Logits [C] of one unit, computed as the plugin does."""
        return self.hierarchy.encode(self.embedded(sample))

    def embedded(self, sample: Sample) -> Sample:
        """The unit with features for its pixels, computed as the plugin does."""
        if self.patch is None or sample.tokens is None:
            return sample
        return replace(sample, features=embed_packed(self.patch, sample), tokens=None)

    def _with_features(self, sample: Sample) -> Sample:
        """The unit with features for its pixels, through which a gradient flows."""
        if self.patch is None or self.tune is None or sample.tokens is None:
            return sample
        most = self.tune.patches
        if self.training and most is not None and len(sample.positions) > most:
            sample = drop_patches(sample, 1 - most / len(sample.positions))
        features = embed_dense(self.patch, sample, self.tune.batch)
        return replace(sample, features=features, tokens=None)

    def on_train_epoch_end(self) -> None:
        """Keep the epoch's numbers in the checkpoint, where a restart finds them."""
        numbers = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if not math.isnan(float(value))
        }
        self.history.append({"epoch": float(self.current_epoch), **numbers})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the history into a checkpoint."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history out of a checkpoint."""
        self.history = list(checkpoint.get("history", []))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam or AdamW with a rate that falls by steps."""
        recipe = self.optimiser
        kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
        trained = [one for one in self.hierarchy.parameters() if one.requires_grad]
        groups: list[dict[str, Any]] = [{"params": trained}]
        if self.patch is not None and self.tune is not None:
            groups.append({"params": self.patch.parameters(), "lr": self.tune.learning_rate})
        optimizer = kind(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        scheduler = torch.optim.lr_scheduler.StepLR(
            optimizer, recipe.step_epochs, recipe.step_factor
        )
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def transfer_batch_to_device(
        self, batch: Sample, device: torch.device, dataloader_idx: int
    ) -> Sample:
        """Move a unit's tensors."""
        moved = {
            name: getattr(batch, name).to(device)
            for name in ("features", "positions", "lengths", "coordinates", "target", "tokens")
            if getattr(batch, name) is not None
        }
        return replace(batch, **moved)


def _patch_alone(config: ModelConfig) -> ModelConfig:
    """The facts of a model without its upper levels."""
    upper = {"region": None, "slide": None, "head": None, "labels": (), "frozen": ()}
    return config.model_copy(update=upper)
