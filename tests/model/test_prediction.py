"""What the numbers of each head mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_maskvit.errors import ModelError
from napari_maskvit.model import (
    ModelConfig,
    PatchArchitecture,
    RegionArchitecture,
    SlideArchitecture,
    build_model,
)
from napari_maskvit.model.prediction import decode

GRADES = tuple(f"grade group {grade}" for grade in range(6))


def config(head: str | None, labels: tuple[str, ...] = GRADES) -> ModelConfig:
    return ModelConfig(
        name="some",
        title="Some",
        spacing=0.5,
        token_px=16,
        patch_px=32,
        region_px=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        patch=PatchArchitecture(
            name="vit_small_patch16_224", options={"embed_dim": 24, "depth": 1, "num_heads": 2}
        ),
        region=RegionArchitecture(dim=24, depth=1, heads=2) if head else None,
        slide=SlideArchitecture(dim=24, depth=1) if head else None,
        head=head,
        labels=labels if head else (),
        licence="none",
        training_data="none",
    )


@pytest.mark.parametrize(
    ("head", "logits", "value", "label"),
    [
        ("classification", [0, 1, 5, 2, 0, 0], 2, "grade group 2"),
        ("regression", [2.6], 2.6, "grade group 3"),
        ("regression", [-1.2], -1.2, "grade group 0"),
        ("regression", [11.0], 11.0, "grade group 5"),
        ("ordinal-corn", [3, 2, -1, 4, 4], 2, "grade group 2"),
        ("ordinal-coral", [3, 2, 1, 0.5, -2], 4, "grade group 4"),
        ("ordinal-corn", [-3, 9, 9, 9, 9], 0, "grade group 0"),
        ("ordinal-coral", [9, 9, 9, 9, 9], 5, "grade group 5"),
    ],
)
def test_decoding(head: str, logits: list[float], value: float, label: str) -> None:
    prediction = decode(config(head), np.array(logits))
    assert (prediction.kind, prediction.label, prediction.labels) == (head, label, GRADES)
    assert prediction.value == pytest.approx(value)


def test_survival_is_minus_the_summed_survival() -> None:
    labels = ("0 to 1 year", "1 to 3 years", "3 to 5 years")
    prediction = decode(config("survival", labels), np.array([0.0, math.log(3), 0.0]))
    assert prediction.value == pytest.approx(-(1 / 2 + 1 / 8 + 1 / 16))
    assert prediction.probabilities == pytest.approx((1 / 2, 3 / 8, 1 / 16))
    riskier = decode(config("survival", labels), np.array([2.0, 2.0, 2.0]))
    assert riskier.value > prediction.value


@given(
    st.sampled_from(["classification", "ordinal-corn", "ordinal-coral"]),
    st.lists(st.floats(-80, 80), min_size=6, max_size=6),
)
def test_probabilities_are_probabilities(head: str, numbers: list[float]) -> None:
    facts = config(head)
    prediction = decode(facts, np.array(numbers[: facts.outputs]))
    assert prediction.probabilities is not None
    assert len(prediction.probabilities) == len(GRADES)
    assert sum(prediction.probabilities) == pytest.approx(1)
    assert min(prediction.probabilities) >= 0
    assert prediction.label == GRADES[int(prediction.value)]


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ModelError, match="not finite"):
        decode(config("regression"), np.array([float("nan")]))


def test_a_model_predicts_with_its_own_head_or_says_that_it_has_none() -> None:
    model = build_model(config("ordinal-corn"))
    assert model.predict(torch.zeros(5, dtype=torch.bfloat16)).labels == GRADES
    with pytest.raises(ModelError, match="no head"):
        build_model(config(None)).predict(torch.zeros(5))
