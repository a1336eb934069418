"""Have napari draw a part of a Labels layer, where it would take all of it anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari_maskvit.viewer.layers.boxes import Box
from napari_maskvit.viewer.layers.history import box_of


def draw_box(layer: Any, box: Box) -> bool:
    """Have the picture of a layer follow its data in a box; whether that could be done.

    It is private to napari, which does so itself under its brush. The box is one of what napari
    shows of the layer, which is all of it unless the layer has several levels.
    """
    try:
        image = layer._slice.image
        image.view[box] = layer._raw_to_displayed(image.raw, box)
        layer.events.labels_update(data=image.view[box], offset=[side.start for side in box])
    except (AttributeError, TypeError):
        return False
    return True


def undo_in_boxes(layer: Any, on_undone: Callable[[], None]) -> None:
    """Let undo and redo of a layer draw no more than what they change.

    Parameters
    ----------
    layer
        A Labels layer of one level, in two dimensions.
    on_undone
        Called after a step that was drawn so, of which napari tells nobody.
    """
    # As attributes of this one layer they are also what napari's own shortcuts find.
    for name, history in (("undo", "_undo_history"), ("redo", "_redo_history")):
        step = getattr(layer, name)
        setattr(layer, name, partial(_replay, layer, step, history, on_undone))


def _replay(
    layer: Any, step: Callable[[], None], history: str, on_undone: Callable[[], None]
) -> None:
    steps = getattr(layer, history, ())
    box = box_of(steps[-1], layer.data.shape) if steps else None
    drawn = False

    def refresh(*arguments: Any, **options: Any) -> None:
        nonlocal drawn
        drawn = box is not None and draw_box(layer, box)
        if not drawn:
            type(layer).refresh(layer, *arguments, **options)

    layer.refresh = refresh
    try:
        step()
    finally:
        del layer.refresh
    if drawn:
        on_undone()
