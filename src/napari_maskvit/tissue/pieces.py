"""Connected pieces of large masks, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

BAND = 512

Look = Callable[[slice], NDArray[np.bool_]]
"""The rows of a picture that a slice names, as bool (rows, columns)."""


def small_pieces(
    look: Look, rows: int, smallest: float, *, spare_border: bool, band: int = BAND
) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """Find connected pieces of fewer pixels than ``smallest``.

    Only a band of rows is labelled at a time (pixels connect through their sides), and pieces that
    go on from band to band are joined by their labels, so that memory does not grow with the mask.

    Parameters
    ----------
    look : callable
        Gives rows of the picture; asked for each band twice.
    rows : int
        Of the whole picture.
    smallest : float
        Pixels of the smallest piece that is not reported.
    spare_border : bool
        Whether pieces that touch the picture's border are never reported.
    band : int
        Rows of a band.

    Yields
    ------
    rows, small
        A band and where the small pieces lie in it, bool (rows, columns).
    """
    bands = [slice(start, min(start + band, rows)) for start in range(0, rows, band)]
    small = _small_labels(look, bands, smallest, spare_border)
    first = 0
    for one in bands:
        labels, count = ndimage.label(look(one))
        mine = np.concatenate([[False], small[first : first + count]])
        first += count
        if mine.any():
            yield one, mine[labels]


def _small_labels(
    look: Look, bands: list[slice], smallest: float, spare_border: bool
) -> NDArray[np.bool_]:
    """For each label of each band, in order, whether its piece is small."""
    areas: list[NDArray[np.int64]] = []
    spared: list[NDArray[np.int64]] = []
    links: list[NDArray[np.int64]] = []
    above, first = None, 0
    for one in bands:
        labels, count = ndimage.label(look(one))
        areas.append(np.bincount(labels.ravel(), minlength=count + 1)[1:])
        if above is not None:
            pairs = np.stack([above, labels[0] + first - 1])[:, (above >= 0) & (labels[0] > 0)]
            links.append(np.unique(pairs, axis=1))
        above = np.where(labels[-1] > 0, labels[-1].astype(np.int64) + first - 1, -1)
        if spare_border:
            sides = [labels[:, 0], labels[:, -1]]
            sides += [labels[0]] * (one is bands[0]) + [labels[-1]] * (one is bands[-1])
            spared += [np.unique(side[side > 0]).astype(np.int64) + first - 1 for side in sides]
        first += count
    if not first:
        return np.zeros(0, bool)
    joined = np.concatenate(links, axis=1) if links else np.zeros((2, 0), np.int64)
    graph = sparse.coo_array((np.ones(joined.shape[1], bool), tuple(joined)), shape=(first, first))
    count, piece = sparse.csgraph.connected_components(graph, directed=False)
    total = np.bincount(piece, weights=np.concatenate(areas), minlength=count)
    small = total < smallest
    if spared:
        small[piece[np.concatenate(spared)]] = False
    result: NDArray[np.bool_] = small[piece]
    return result
