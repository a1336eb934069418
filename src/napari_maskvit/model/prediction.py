"""From the head's numbers to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_maskvit.model.config import ModelConfig


@dataclass(frozen=True)
class Prediction:
    """What a model says about a slide.

    Parameters
    ----------
    kind
        The head: "classification", "regression", "ordinal-corn", "ordinal-coral" or "survival".
    value
        Index of the label; the number itself for regression; the risk for survival.
    label
        The answer in words.
    probabilities
        One for each label, where the head gives them. For survival: of the event in each interval.
    labels
        Names of all possible answers.
    """

    kind: str
    value: float
    label: str
    probabilities: tuple[float, ...] | None
    labels: tuple[str, ...]


def decode(config: ModelConfig, logits: ArrayLike) -> Prediction:
    """Decode the C outputs of a head.

    Classification: softmax. Regression: clip(round(y), 0, C - 1). Ordinal: sum of
    cumprod(sigmoid > .5). Survival: discrete hazards h, S = cumprod(1 - h), risk = -sum(S).

    Raises
    ------
    ModelError
        If an output is not a finite number.
    """
    assert config.head is not None
    values = np.asarray(logits, np.float64).reshape(-1)
    if not np.isfinite(values).all():
        raise ModelError(
            f"{config.title!r} answered {values.tolist()}: not finite, so there is no prediction. "
            "Try precision float32."
        )
    labels = config.labels
    if config.head == "regression":
        number = float(values[0])
        grade = int(np.clip(np.rint(number), 0, len(labels) - 1))
        return Prediction(config.head, number, _said(config, grade), None, labels)
    if config.head == "survival":
        return _decode_survival(values, labels)
    if config.head == "classification":
        probabilities = _softmax(values)
        best = int(probabilities.argmax())
    else:
        probabilities = _ordinal_probabilities(values, conditional=config.head == "ordinal-corn")
        best = int(np.cumprod(_sigmoid(values) > 0.5).sum())
    said = _said(config, best)
    return Prediction(config.head, float(best), said, tuple(map(float, probabilities)), labels)


def _said(config: ModelConfig, index: int) -> str:
    """A label as it is said by itself: "ISUP grade group 3", not "3"."""
    return f"{config.answer} {config.labels[index]}".strip()


def _decode_survival(values: NDArray[np.float64], labels: tuple[str, ...]) -> Prediction:
    hazards = _sigmoid(values)
    survival = np.cumprod(1 - hazards)
    risk = -float(survival.sum())
    events = hazards * np.concatenate([[1.0], survival[:-1]])
    label = f"risk {risk:.2f} (from {-len(labels)}, lowest, to 0, highest)"
    return Prediction("survival", risk, label, tuple(map(float, events)), labels)


def _ordinal_probabilities(values: NDArray[np.float64], conditional: bool) -> NDArray[np.float64]:
    """P(y = k) from the C - 1 logits of y > k (CORAL) or of y > k given y >= k (CORN)."""
    exceeds = np.cumprod(_sigmoid(values)) if conditional else _sigmoid(values)
    # CORAL's thresholds may cross before training has ordered them.
    exceeds = np.minimum.accumulate(exceeds)
    probabilities: NDArray[np.float64] = -np.diff(np.concatenate([[1.0], exceeds, [0.0]]))
    return probabilities


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 0.5 * (1 + np.tanh(values / 2))
    return result


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(values - values.max())
    result: NDArray[np.float64] = powers / powers.sum()
    return result
