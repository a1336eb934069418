"""From raw attention to values that can be compared: ranks, min-max, relative to even."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.ranking import rank_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention

NORMALISATIONS = ("rank", "min-max", "relative")
SCOPES = ("slide", "window")


def normalise(
    attention: LevelAttention,
    head: Head = "mean",
    normalisation: str = "rank",
    scope: str = "slide",
) -> NDArray[np.float32]:
    """(K,) normalised values of the kept positions.

    "relative" is raw attention times the number of kept positions of its window, so that 1 is
    even attention and windows with little tissue do not look hot. With scope "slide", ranks and
    min-max are taken over these relative values of the whole slide; with scope "window" each
    patch (or region) is taken for itself.

    Parameters
    ----------
    attention
        Raw attention of one level.
    head
        "mean", "max" or a head's number.
    normalisation
        "rank": share of kept values strictly smaller, in [0, 1). "min-max": in [0, 1].
        "relative": 1 = even.
    scope
        "slide" or "window".

    Raises
    ------
    ExplainError
        If a name is unknown.
    """
    check("normalisation", normalisation, NORMALISATIONS)
    check("scope", scope, SCOPES)
    if normalisation == "rank" and scope == "slide":
        return rank_picture(attention, head)[attention.rows, attention.columns]
    relative = attention.relative(head)
    if not len(relative):
        return relative.astype(np.float32)
    windows = attention.windows()
    if normalisation == "relative":
        if scope == "window":
            means = np.bincount(windows, relative) / np.bincount(windows)
            relative = relative / np.maximum(means[windows], np.finfo(float).tiny)
        return relative.astype(np.float32)
    groups = windows if scope == "window" else np.zeros_like(windows)
    rule = ranks if normalisation == "rank" else min_max
    return rule(relative, groups).astype(np.float32)


def normalised(
    attention: LevelAttention,
    head: Head = "mean",
    normalisation: str = "rank",
    scope: str = "slide",
) -> NDArray[np.float32]:
    """The same as a picture: (rows, columns) of the level's lattice, NaN on background."""
    if normalisation == "rank" and scope == "slide":
        return rank_picture(attention, head)
    return attention.raster(normalise(attention, head, normalisation, scope), np.nan)


def ranks(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each group's values strictly smaller."""
    order = np.lexsort((values, groups))
    sorted_values, sorted_groups = values[order], groups[order]
    position = np.arange(len(values))
    new_group = np.r_[True, sorted_groups[1:] != sorted_groups[:-1]]
    new_value = new_group | np.r_[True, sorted_values[1:] != sorted_values[:-1]]
    first_of_group = np.maximum.accumulate(np.where(new_group, position, 0))
    first_of_value = np.maximum.accumulate(np.where(new_value, position, 0))
    shares = np.empty(len(values))
    shares[order] = (first_of_value - first_of_group) / np.bincount(groups)[sorted_groups]
    return shares


def min_max(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(v - min) / (max - min) within each group; 0 where a group has one value only."""
    count = int(groups.max()) + 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    span = (high - low)[groups]
    return np.where(span > 0, (values - low[groups]) / np.where(span > 0, span, 1), 0.0)


def check(what: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not known.

    Raises
    ------
    ExplainError
        Naming it and those that are.
    """
    if value not in known:
        raise ExplainError(f"{what} is {value!r}; choose among {', '.join(known)}.")
