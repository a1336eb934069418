"""Losses against their definitions, written out."""

from __future__ import annotations

import math

import pytest
import torch
from maskvit_training.losses import make_loss


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


LOGITS = [0.3, -0.4, 0.8]


@pytest.mark.parametrize("grade", [0, 1, 2, 3])
def test_corn(grade: int):
    asked = [k for k in range(3) if grade >= k]
    each = [-math.log(sigmoid(LOGITS[k]) if grade > k else 1 - sigmoid(LOGITS[k])) for k in asked]
    loss = make_loss("ordinal-corn")(torch.tensor([LOGITS]), torch.tensor([grade]))
    assert float(loss) == pytest.approx(sum(each) / len(asked), rel=1e-5)


@pytest.mark.parametrize("grade", [0, 1, 2, 3])
def test_coral(grade: int):
    each = [
        -math.log(sigmoid(LOGITS[k]) if grade > k else 1 - sigmoid(LOGITS[k])) for k in range(3)
    ]
    loss = make_loss("ordinal-coral")(torch.tensor([LOGITS]), torch.tensor([grade]))
    assert float(loss) == pytest.approx(sum(each), rel=1e-5)


@pytest.mark.parametrize("interval", [0, 1, 2])
@pytest.mark.parametrize("event", [0, 1])
def test_survival(interval: int, event: int):
    hazards = [sigmoid(x) for x in LOGITS]
    before = math.prod(1 - h for h in hazards[:interval])
    likelihood = before * (hazards[interval] if event else 1 - hazards[interval])
    loss = make_loss("survival")(torch.tensor([LOGITS]), torch.tensor([[interval, event]]))
    assert float(loss) == pytest.approx(-math.log(likelihood), rel=1e-5)


def test_class_weights_count_for_a_single_slide():
    logits, target = torch.tensor([[0.0, 1.0]]), torch.tensor([0])
    plain = make_loss("classification")(logits, target)
    weighed = make_loss("classification", torch.tensor([3.0, 1.0]))(logits, target)
    assert float(weighed) == pytest.approx(3 * float(plain))


@pytest.mark.parametrize("kind", ["classification", "ordinal-corn", "ordinal-coral", "survival"])
def test_the_right_answer_costs_less(kind: str):
    targets = torch.tensor([[2, 1]]) if kind == "survival" else torch.tensor([2])
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = make_loss(kind)(logits, targets)
    loss.backward()
    stepped = (logits - 0.1 * logits.grad).detach()
    assert make_loss(kind)(stepped, targets).item() < loss.item()
