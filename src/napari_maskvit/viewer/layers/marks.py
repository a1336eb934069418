"""What follows from a mask, drawn over it: its outline, what was added, what was removed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_maskvit.viewer.layers.boxes import Box, everything, joined
from napari_maskvit.viewer.layers.colours import label_colours
from napari_maskvit.viewer.layers.partly import draw_box
from napari_maskvit.viewer.layers.placing import FLAT, TAG

Levels = Sequence[NDArray[np.uint8]]

ADDED, REMOVED, GIVEN, TAKEN, OUTLINE, ADDED_EDGE, REMOVED_EDGE = range(1, 8)
COLOURS = {
    ADDED: (0.10, 0.45, 1.00, 0.35),
    REMOVED: (1.00, 0.45, 0.00, 0.35),
    GIVEN: (0.10, 0.45, 1.00, 0.35),
    TAKEN: (1.00, 0.45, 0.00, 0.35),
    OUTLINE: (0.0, 0.42, 0.47, 1.0),
    ADDED_EDGE: (0.10, 0.45, 1.00, 1.0),
    REMOVED_EDGE: (1.00, 0.45, 0.00, 1.0),
}
OVER_ATTENTION = {
    **{mark: COLOURS[mark] for mark in (OUTLINE, ADDED_EDGE, REMOVED_EDGE)},
    GIVEN: (0.0, 0.42, 0.47, 0.45),
    TAKEN: (1.0, 1.0, 1.0, 0.75),
}
"""What was added and removed is seen by what attention covers. But of the latest stroke attention
has not heard yet: what it gave is dyed, and what it took as pale as glass."""

COARSEST = 512


class Marks:
    """A layer that shows the outline of a mask and its corrections, thin at every zoom.

    It is a pyramid in which each coarser pixel takes the most telling of those under it and next
    to it, so that a thin line neither breaks up nor grows thick as one zooms out.

    Parameters
    ----------
    place
        Scale, translate and units of the mask's layer.
    levels
        What `mark_levels` made, which may have been in another thread.

    Attributes
    ----------
    sketched
        Boxes in which something is set apart that attention has not heard of.
    """

    def __init__(self, levels: Levels, place: dict[str, Any]) -> None:
        from napari.layers import Labels

        self.levels = list(levels)
        self.sketched: list[Box] = []
        self._filled = True
        self.layer = Labels(
            self.levels,
            multiscale=True,
            name="outline and corrections",
            colormap=label_colours(COLOURS),
            opacity=0.9,
            blending=FLAT,
            metadata={TAG: {"kind": "outline"}},
            **place,
        )

    def fill(self, on: bool) -> None:
        """Fill what was added and removed, or draw its edge alone, as over other colours."""
        if on != self._filled:
            self._filled = on
            self.layer.colormap = label_colours(COLOURS if on else OVER_ATTENTION)

    def draw(self, mask: NDArray[np.uint8], found: NDArray[np.uint8], *boxes: Box) -> None:
        """Bring boxes of the mask, their rims included, up to date."""
        self._shown([_mark(self.levels, mask, found, box) for box in boxes])

    def sketch(
        self,
        mask: NDArray[np.uint8],
        before: NDArray[np.uint8],
        found: NDArray[np.uint8],
        *boxes: Box,
    ) -> None:
        """The same; over attention with what differs from the mask ``before`` set apart."""
        if self._filled:
            self.draw(mask, found, *boxes)
            return
        self._shown([_mark(self.levels, mask, found, box, before) for box in boxes])
        for box in boxes:
            both = joined(self.sketched[-1], box) if self.sketched else None
            self.sketched[-1:] = [*self.sketched[-1:], box] if both is None else [both]

    def _shown(self, drawn: list[list[Box]]) -> None:
        if not all(self._show(parts) for parts in drawn):
            # A thumbnail more would draw the list of layers, and with it the whole window, again.
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)

    def take(self, levels: Levels) -> None:
        """Show levels of the same shapes that `mark_levels` made."""
        for mine, new in zip(self.levels, levels, strict=True):
            np.copyto(mine, new)
        self.sketched = []
        self.layer.refresh(extent=False)

    def _show(self, parts: Sequence[Box]) -> bool:
        """Have napari draw a box of the level in view; whether that could be done."""
        layer = self.layer
        if not layer.visible:
            return True
        try:
            image, level = layer._slice.image, layer.data_level
            place = _place_within(image.raw, self.levels[level])
            if place is None:
                return False
        except (AttributeError, TypeError):
            return False
        part = _overlap(parts[level], place)
        return part is None or draw_box(layer, part)


def mark_levels(
    mask: NDArray[np.uint8], found: NDArray[np.uint8] | None = None
) -> list[NDArray[np.uint8]]:
    """The pyramid of marks of a whole mask against the one found; itself if that is None."""
    depth = max(1, int(np.ceil(np.log2(max(*mask.shape, COARSEST) / COARSEST))))
    # Whole multiples, or napari would stretch the coarser levels by a fraction of a pixel.
    rows, columns = (-(-side // 2**depth) * 2**depth for side in mask.shape)
    levels = [np.zeros((rows >> level, columns >> level), np.uint8) for level in range(depth + 1)]
    _mark(levels, mask, mask if found is None else found, everything(mask))
    return levels


def _mark(
    levels: list[NDArray[np.uint8]],
    mask: NDArray[np.uint8],
    found: NDArray[np.uint8],
    box: Box,
    before: NDArray[np.uint8] | None = None,
) -> list[Box]:
    """Mark a box of the mask and its rim; which box of each level that was."""
    rows, columns = (
        slice(max(0, side.start - 1), min(side.stop + 1, length))
        for side, length in zip(box, mask.shape, strict=True)
    )
    marks = levels[0][rows, columns]
    marks[...] = 0
    wide, inside = _with_rim(mask.shape, (rows, columns))
    now = mask[wide]
    outline = _inner_edge(now == 1)[inside]
    if found is mask:
        marks[outline] = OUTLINE
    else:
        then = found[wide] == 1
        # An excluded kind has a colour of its own, which says more.
        added, removed = (now == 1) & ~then, then & (now == 0)
        marks[added[inside]] = ADDED
        marks[removed[inside]] = REMOVED
        if before is not None:
            is_tissue, was_tissue = now[inside] == 1, before[rows, columns] == 1
            marks[is_tissue & ~was_tissue] = GIVEN
            marks[was_tissue & ~is_tissue] = TAKEN
        marks[outline] = OUTLINE
        marks[_inner_edge(added)[inside]] = ADDED_EDGE
        marks[_inner_edge(removed)[inside]] = REMOVED_EDGE
    parts: list[Box] = [(rows, columns)]
    for fine, coarse in pairwise(levels):
        rows, columns = (
            slice(max(0, side.start // 2 - 1), (side.stop + 1) // 2) for side in (rows, columns)
        )
        coarse[rows, columns] = _pooled(fine, rows, columns)
        parts.append((rows, columns))
    return parts


def outline_only() -> Any:
    """The marks' colormap with everything but edges left out, all of one colour."""
    return label_colours(dict.fromkeys((OUTLINE, ADDED_EDGE, REMOVED_EDGE), COLOURS[OUTLINE]))


def _place_within(part: NDArray[Any], whole: NDArray[Any]) -> Box | None:
    """Which rows and columns of an array another one shows; None where it is no such window."""
    if part.ndim != whole.ndim or part.strides != whole.strides or not part.size:
        return None
    first, start = (array.__array_interface__["data"][0] for array in (part, whole))
    row, column = divmod(first - start, whole.strides[0])
    column //= whole.strides[1]
    stops = row + part.shape[0], column + part.shape[1]
    if row < 0 or any(stop > side for stop, side in zip(stops, whole.shape, strict=True)):
        return None
    return slice(row, stops[0]), slice(column, stops[1])


def _overlap(box: Box, window: Box) -> Box | None:
    """Where a box lies in a window, from the window's corner; None where it does not."""
    rows, columns = (
        slice(max(side.start, frame.start) - frame.start, min(side.stop, frame.stop) - frame.start)
        for side, frame in zip(box, window, strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _with_rim(shape: tuple[int, ...], box: Box) -> tuple[Box, Box]:
    """A box with a pixel more on each side, where there is one, and the box within that."""
    starts = [max(0, side.start - 1) for side in box]
    stops = [min(length, side.stop + 1) for side, length in zip(box, shape, strict=True)]
    rows, columns = (slice(*ends) for ends in zip(starts, stops, strict=True))
    down, right = (
        slice(side.start - start, min(side.stop, length) - start)
        for side, start, length in zip(box, starts, shape, strict=True)
    )
    return (rows, columns), (down, right)


def _inner_edge(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a region with a neighbour outside of it; the picture's border is none."""
    inside = region.copy()
    inside[1:] &= region[:-1]
    inside[:-1] &= region[1:]
    inside[:, 1:] &= region[:, :-1]
    inside[:, :-1] &= region[:, 1:]
    return region & ~inside


def _pooled(fine: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    """Largest value of the three by three fine pixels from each coarse pixel's corner on."""
    block = fine[2 * rows.start : 2 * rows.stop + 1, 2 * columns.start : 2 * columns.stop + 1]
    height, width = 2 * (rows.stop - rows.start) + 1, 2 * (columns.stop - columns.start) + 1
    block = np.pad(block, ((0, height - block.shape[0]), (0, width - block.shape[1])))
    down = np.maximum(np.maximum(block[:-1:2], block[1::2]), block[2::2])
    return np.maximum(np.maximum(down[:, :-1:2], down[:, 1::2]), down[:, 2::2])
