"""A ring that a person draws round something on the slide, and what lies within it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.viewer.layers.placing import TAG, remove

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.viewer.session import Session

NAME = "what if not there"


class Ring:
    """At most one ring, drawn with a lasso; a newer one takes its place.

    Parameters
    ----------
    session
        On whose mask it lies.
    closed
        Called with the area within, bool (rows, columns) of the mask, once for each ring.

    Attributes
    ----------
    layer
        The Shapes layer it is drawn on; None until one is asked for.
    """

    def __init__(self, session: Session, closed: Callable[[NDArray[np.bool_]], None]) -> None:
        self.session = session
        self.layer: Any = None
        self._closed = closed
        self._asked: NDArray[Any] | None = None

    def draw(self) -> None:
        """Put the lasso in hand."""
        viewer = self.session.viewer
        if self.layer is None or self.layer not in viewer.layers:
            self.layer, self._asked = _make_layer(), None
            viewer.add_layer(self.layer)
            self.layer.events.data.connect(self._drawn)
        viewer.layers.selection.active = self.layer
        # In µm, as wide as three pixels now: a thinner line is lost where all of the slide is seen.
        self.layer.current_edge_width = max(2.0, 3.0 / viewer.scene.camera.zoom)
        self.layer.mode = "add_polygon_lasso"

    def clear(self) -> None:
        """Take it away."""
        if self.layer is None:
            return
        remove(self.session.viewer, [self.layer])
        self.layer = None
        if self.session.tissue.layer is not None:
            # What is marked as in the hand should be.
            self.session.viewer.layers.selection.active = self.session.tissue.layer

    def _drawn(self, event: Any) -> None:
        from qtpy.QtCore import QTimer

        # napari tells of a shape while it is still being drawn.
        QTimer.singleShot(0, self._tell)

    def _tell(self) -> None:
        layer, editor = self.layer, self.session.tissue.editor
        if layer is None or layer._is_creating or not len(layer.data) or editor is None:
            return
        if len(layer.data) > 1:
            with layer.events.data.blocker(self._drawn):
                layer.data = [layer.data[-1]]
        ring = np.array(layer.data[-1])
        if self._asked is not None and np.array_equal(self._asked, ring):
            return
        self._asked = ring
        try:
            self._closed(inside(editor.layer, ring))
        except Exception as error:
            self.session.fail(error)


def inside(mask_layer: Any, ring: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a mask's layer whose centre lies within a ring of world points (y, x)."""
    from skimage.draw import polygon

    shape = mask_layer.data.shape
    points = np.array([mask_layer.world_to_data(point) for point in ring])
    area = np.zeros(shape, bool)
    area[polygon(points[:, 0], points[:, 1], shape)] = True  # type: ignore[no-untyped-call]
    return area


def _make_layer() -> Any:
    from napari.layers import Shapes

    return Shapes(
        name=NAME,
        edge_color="#ffd400",
        face_color="transparent",
        edge_width=2,
        units=("um", "um"),
        metadata={TAG: {"kind": "ring"}},
    )
