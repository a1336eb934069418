"""From raw attention to values that can be compared: ranks, min-max, relative to even."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import Head, LevelAttention

NORMALISATIONS = ("rank", "min-max", "relative")
SCOPES = ("slide", "window")

MANY = 1 << 17
"""Positions from which on ranks are taken by `many_ranks`."""


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
    raw = attention.pooled(head).astype(np.float64)
    if not len(raw):
        return raw.astype(np.float32)
    windows = attention.windows()
    relative = raw * np.bincount(windows)[windows]
    if normalisation == "relative":
        if scope == "window":
            means = np.bincount(windows, relative) / np.bincount(windows)
            relative = relative / np.maximum(means[windows], np.finfo(float).tiny)
        return relative.astype(np.float32)
    if normalisation == "rank" and scope == "slide" and len(raw) >= MANY:
        return many_ranks(relative)
    groups = windows if scope == "window" else np.zeros_like(windows)
    rule = ranks if normalisation == "rank" else min_max
    return rule(relative, groups).astype(np.float32)


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


def many_ranks(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same in one group, ten times as fast: values that float32 cannot tell apart are equal.

    Bits of numbers that are not negative sort as the numbers do. Packed with its place into one
    integer, each value is sorted without following an index.
    """
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits <<= np.uint64(32)
    bits |= np.arange(len(values), dtype=np.uint64)
    bits.sort()
    order = (bits & np.uint64(0xFFFFFFFF)).astype(np.int64)
    bits >>= np.uint64(32)
    first = np.arange(len(values), dtype=np.int64)
    first[1:][bits[1:] == bits[:-1]] = 0
    np.maximum.accumulate(first, out=first)
    shares = np.empty(len(values), np.float32)
    shares[order] = first / len(values)
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
