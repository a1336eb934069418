"""Deletion and insertion curves: how fast an answer goes, and comes, with the patches in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskvit_training.scorecard.answer import Answer

STEPS = 10
RANDOM_ORDERS = 3


@dataclass(frozen=True)
class Curve:
    """How far the answer lies from that on the whole slide, after each step.

    Attributes
    ----------
    deletion
        (STEPS,) with shares 0, 1/STEPS, ... of the patches left out, the first in order first.
        The larger its area, the more the order knows.
    insertion
        (STEPS,) with shares 1/STEPS, 2/STEPS, ... 1 of them alone. The smaller, the more.
    """

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def areas(self) -> tuple[float, float]:
        """Mean height of both curves."""
        return float(np.mean(self.deletion)), float(np.mean(self.insertion))


def curve(answer: Answer, order: NDArray[np.int64]) -> Curve:
    """Curves of patches taken in an order (P,)."""
    count = len(order)
    deletion, insertion = [], []
    for step in range(STEPS):
        gone = np.ones(count, bool)
        # One patch always stays: a slide without any has no answer.
        gone[order[: min(count - 1, round(count * step / STEPS))]] = False
        deletion.append(abs(answer.without(gone) - answer.full))
        there = np.zeros(count, bool)
        there[order[: max(1, round(count * (step + 1) / STEPS))]] = True
        insertion.append(abs(answer.without(there) - answer.full))
    return Curve(tuple(deletion), tuple(insertion))


def curves(answer: Answer, contribution: NDArray[np.float64], seed: int) -> dict[str, Curve]:
    """Curves in order of attention, of size of contribution, and at random (mean of three)."""
    rng = np.random.default_rng(seed)
    lots = [curve(answer, rng.permutation(len(answer))) for _ in range(RANDOM_ORDERS)]
    return {
        "attention": curve(answer, _falling(answer.attention)),
        "contribution": curve(answer, _falling(np.abs(contribution))),
        "random": Curve(
            tuple(np.mean([one.deletion for one in lots], 0).tolist()),
            tuple(np.mean([one.insertion for one in lots], 0).tolist()),
        ),
    }


def _falling(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-values, kind="stable")
