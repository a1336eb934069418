"""The Lightning module of DINO: a student learns to say of a crop what its teacher says of another.

Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021; loss, heads,
moving average and schedules are lightly's.
"""

from __future__ import annotations

import copy
from typing import Any

import lightning
import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import CosineWarmupScheduler, cosine_schedule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from maskvit_training.errors import TrainingError
from maskvit_training.pretraining.crops import View
from maskvit_training.recipe import PretrainRecipe
from napari_maskvit.model.patch import PatchTransformer
from napari_maskvit.model.region import RegionTransformer

FIRST_CENTRING = 50
"""Times that the first batch moves the centre. From 0 it would take as many steps to get to where
the teacher's outputs lie, in which student and teacher agree on saying always the same."""


class PatchBackbone(nn.Module):
    """A patch transformer that takes crops of any size."""

    mean: Tensor
    std: Tensor

    def __init__(self, patch: PatchTransformer) -> None:
        super().__init__()
        self.patch = patch
        self.dim = patch.dim
        self.register_buffer("mean", torch.tensor(patch.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(patch.std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, kept: Tensor) -> Tensor:
        """Features [B, D] of crops uint8 [B, 3, H, W] with kept tokens bool [B, N]."""
        return self.patch((pixels.float() / 255 - self.mean) / self.std, kept)


class RegionBackbone(nn.Module):
    """A region transformer that takes grids of any size, on standardised features."""

    centre: Tensor
    spread: Tensor

    def __init__(self, region: RegionTransformer, centre: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.region = region
        self.dim = region.dim
        self.register_buffer("centre", centre)
        self.register_buffer("spread", spread)

    def forward(self, features: Tensor, kept: Tensor) -> Tensor:
        """Features [B, D] of grids [B, n², d] with kept patches bool [B, n²]."""
        whole, self.region.side = self.region.side, round(features.shape[1] ** 0.5)
        try:
            return self.region((features - self.centre) / self.spread, kept)
        finally:
            self.region.side = whole


class DinoModule(lightning.LightningModule):
    """Student and teacher; the teacher is what is kept.

    Parameters
    ----------
    backbone
        Where both start.
    recipe
        Sizes, rates and schedules.
    steps
        All steps of the run.
    digest
        Key of all that it depends on.
    """

    def __init__(
        self,
        backbone: PatchBackbone | RegionBackbone,
        recipe: PretrainRecipe,
        steps: int,
        digest: str,
    ) -> None:
        super().__init__()
        self.recipe, self.steps, self.digest = recipe, steps, digest
        self.student = backbone.train()
        self.teacher = copy.deepcopy(backbone)
        self.student_head, self.teacher_head = (
            DINOProjectionHead(
                backbone.dim,
                recipe.hidden,
                recipe.bottleneck,
                recipe.prototypes,
                freeze_last_layer=recipe.freeze_last_layer_epochs,
            )
            for _ in range(2)
        )
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        deactivate_requires_grad(self.teacher)
        deactivate_requires_grad(self.teacher_head)
        warming = max(1, min(recipe.epochs, recipe.teacher_warmup_epochs))
        self.loss = DINOLoss(
            recipe.prototypes,
            teacher_temp=recipe.teacher_temperature,
            warmup_teacher_temp_epochs=warming,
        )
        self.history: list[dict[str, float]] = []

    def training_step(self, views: list[View], index: int) -> Tensor:
        """The loss of a batch of crops; the first two are the large ones."""
        torch.manual_seed(self.global_step * 1_009 + self.global_rank)
        with torch.no_grad():
            teacher = [self.teacher_head(self.teacher(*view)) for view in views[:2]]
        if self.global_step == 0:
            for _ in range(FIRST_CENTRING):
                self.loss.update_center(torch.stack(teacher))
        student = [self.student_head(self.student(*view)) for view in views]
        entropy = self._entropy(torch.stack(teacher))
        loss: Tensor = self.loss(teacher, student, epoch=self.current_epoch)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss of step {self.global_step} is {loss.item()}: pretraining has gone "
                "astray. Lower pretrain.learning_rate; earlier epochs are kept."
            )
        batch = len(views[0][0])
        for name, value in (("train_loss", loss), ("train_distance", loss.detach() - entropy)):
            self.log(name, value, on_epoch=True, on_step=False, batch_size=batch, sync_dist=True)
        return loss

    def _entropy(self, teacher: Tensor) -> Tensor:
        """Of what the teacher says, mean over views; before the loss moves the centre.

        The loss is this plus how far the student is from the teacher. It rises where the teacher
        comes to tell more apart, though the student learns; the distance alone does not.
        """
        schedule = self.loss.teacher_temp_schedule
        temperature = schedule[min(self.current_epoch, len(schedule) - 1)].to(teacher)
        said = ((teacher - self.loss.center) / temperature).log_softmax(-1)
        return -(said.exp() * said).sum(-1).mean()

    def on_after_backward(self) -> None:
        """The last layer of the head stands still at first (Caron et al.)."""
        self.student_head.cancel_last_layer_gradients(current_epoch=self.current_epoch)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The teacher follows the student."""
        momentum = cosine_schedule(
            min(self.global_step, self.steps), self.steps, self.recipe.momentum, 1.0
        )
        update_momentum(self.student, self.teacher, momentum)
        update_momentum(self.student_head, self.teacher_head, momentum)

    def on_train_epoch_end(self) -> None:
        """Keep the epoch's numbers in the checkpoint, where a restart finds them."""
        known = self.trainer.callback_metrics
        numbers = {name: float(known[name]) for name in ("train_loss", "train_distance")}
        self.history.append({"epoch": float(self.current_epoch), **numbers})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put history and key into a checkpoint."""
        checkpoint["history"] = self.history
        checkpoint["hyper_parameters"] = {"digest": self.digest}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history out of a checkpoint."""
        self.history = list(checkpoint.get("history", []))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW whose rate rises, then falls along a cosine."""
        recipe = self.recipe
        trained = [one for one in self.parameters() if one.requires_grad]
        rate = recipe.learning_rate * recipe.batch / 256
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=recipe.weight_decay)
        warming = min(self.steps - 1, self.steps * recipe.warmup_epochs // recipe.epochs)
        scheduler = CosineWarmupScheduler(optimizer, warming, self.steps, end_value=1e-3)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
