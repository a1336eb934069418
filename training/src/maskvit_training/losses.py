"""Losses of the tasks, each on the logits of one or more slides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def classification_loss(weights: Tensor | None = None) -> Loss:
    """Cross-entropy of logits [B, C] against classes int64 [B], weighed by class."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        each = F.cross_entropy(logits, target, reduction="none")
        # Not torch's weighted mean, whose divisor would undo the weight of a batch of one slide.
        return (each if weights is None else each * weights.to(each)[target]).mean()

    return loss


def regression_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of [B, 1] against grades int64 [B]."""
    return F.mse_loss(logits[:, 0], target.to(logits.dtype))


def coral_loss(logits: Tensor, target: Tensor) -> Tensor:
    """CORAL: binary cross-entropy of "grade > k" for every k at once.

    Cao, Mirjalili, Raschka, "Rank consistent ordinal regression for neural networks", 2020, eq. 4.

    Parameters
    ----------
    logits
        [B, C - 1], of P(grade > k).
    target
        int64 [B].
    """
    above = target[:, None] > torch.arange(logits.shape[1], device=logits.device)
    each = F.binary_cross_entropy_with_logits(logits, above.to(logits.dtype), reduction="none")
    return each.sum(1).mean()


def corn_loss(logits: Tensor, target: Tensor) -> Tensor:
    """CORN: binary cross-entropy of "grade > k" among those whose grade is > k - 1.

    Shi, Cao, Raschka, "Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities", 2023, eq. 5.

    Parameters
    ----------
    logits
        [B, C - 1], of P(grade > k | grade > k - 1).
    target
        int64 [B].
    """
    steps = torch.arange(logits.shape[1], device=logits.device)
    asked = target[:, None] >= steps
    above = (target[:, None] > steps).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, above, reduction="none")
    return each[asked].sum() / asked.sum()


def survival_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of discrete hazards with censoring.

    Zadeh, Schmid, "Bias in cross-entropy-based training of deep survival networks", 2020, eq. 4.

    Parameters
    ----------
    logits
        [B, T], hazards before the sigmoid.
    target
        int64 [B, 2], the interval of the last follow-up, and 1 if the event was seen in it.
    """
    interval, event = target[:, :1], target[:, 1:].to(logits.dtype)
    survived = F.logsigmoid(-logits).cumsum(1)
    # Log of the survival up to the interval before the last one; log 1 before the first.
    before = F.pad(survived, (1, 0)).gather(1, interval)
    seen = before + F.logsigmoid(logits).gather(1, interval)
    censored = survived.gather(1, interval)
    return -(event * seen + (1 - event) * censored).mean()


def make_loss(kind: str, class_weights: Tensor | None = None) -> Loss:
    """The loss of a task kind."""
    if kind == "classification":
        return classification_loss(class_weights)
    losses: dict[str, Loss] = {
        "regression": regression_loss,
        "ordinal-corn": corn_loss,
        "ordinal-coral": coral_loss,
        "survival": survival_loss,
    }
    return losses[kind]
