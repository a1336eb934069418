"""The status bar says what lies under the mouse: attention there, and in which patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.viewer.layers.placing import level0_position

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation, Heatmap
    from napari_maskvit.viewer.session import Session

_GAP = "   "


class Hover:
    """Adds a sentence to napari's own status.

    Parameters
    ----------
    session
        Whose attention to tell.
    """

    def __init__(self, session: Session) -> None:
        from superqt.utils import qdebounced

        self.session = session
        # Not from within napari's own change of its status, which would tell itself again.
        self._soon = qdebounced(self._tell, timeout=15)
        self._said = ""
        session.viewer.events.status.connect(self._on_status)
        # Another level, or another answer, under a mouse that stands still.
        session.display_changed.connect(self._on_status)
        session.explanation_changed.connect(self._on_status)

    def close(self) -> None:
        """Stop telling."""
        self._soon.cancel()
        self.session.viewer.events.status.disconnect(self._on_status)
        self.session.display_changed.disconnect(self._on_status)
        self.session.explanation_changed.disconnect(self._on_status)

    def _on_status(self, _event: object = None) -> None:
        if self.session.explanation is not None or self._said:
            self._soon()

    def _tell(self) -> None:
        # Each sentence has the whole window drawn again, which a moving brush should not wait for.
        if self.session.hand.courtesy.is_drawing:
            return
        viewer = self.session.viewer
        status = viewer.status
        text = "" if self.session.closed else self.describe(viewer.cursor.position)
        said, self._said = self._said, text
        if isinstance(status, dict):
            place = _with(text, str(status.get("coordinates", "")), said)
            if place != status.get("coordinates", ""):
                viewer.status = {**status, "coordinates": place}
        elif status and status != "Ready" and (told := _with(text, str(status), said)) != status:
            viewer.status = told

    def describe(self, world: Any) -> str:
        """Attention at a world position (y, x), in words; empty off the lattice."""
        session = self.session
        if (
            session.slide is None
            or session.explanation is None
            or not session.attention.drawn.visible
        ):
            return ""
        x, y = level0_position(world, session.slide.spacing)
        heatmap = session.attention.picture()
        if heatmap is None:
            return ""
        value = value_at(heatmap, x, y)
        if value is None:
            return ""
        text = f"{heatmap.level} attention: {in_words(value, heatmap.normalisation)}"
        if session.comparing:
            plain = session.attention.beside.layers.pictures.get(heatmap.level)
            other = value_at(plain, x, y) if plain is not None else None
            if other is not None:
                text += f", plain: {in_words(other, heatmap.normalisation)}"
        return f"{text} · {place(session.explanation, x, y)}"


def _with(text: str, status: str, said: str) -> str:
    """The status as napari says it behind our sentence, in place of the one said before."""
    own = status.removeprefix(f"{said}{_GAP}") if said else status
    return f"{text}{_GAP}{own}" if text else own


def value_at(heatmap: Heatmap, x: float, y: float) -> float | None:
    """Value of the cell under a level-0 pixel; NaN on background, None off the lattice."""
    row, column = int(y // heatmap.step), int(x // heatmap.step)
    rows, columns = heatmap.array.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return None
    return float(heatmap.array[row, column])


def in_words(value: float, normalisation: str) -> str:
    """A value as its normalisation means it."""
    if np.isnan(value):
        return "none (background)"
    if normalisation == "relative":
        return f"{value:.2f}× even"
    if normalisation == "rank":
        return f"{value:.2f} (above {value:.0%} of the tissue)"
    return f"{value:.2f}"


def place(explanation: Explanation, x: float, y: float) -> str:
    """Patch and region under a level-0 pixel, counted from 1."""
    parts = []
    patch, region = explanation.levels.get("patch"), explanation.levels.get("region")
    if patch is not None and patch.window:
        side = patch.step * patch.window
        parts.append(f"patch row {int(y // side) + 1}, column {int(x // side) + 1}")
    if region is not None and region.window:
        side = region.step * region.window
        parts.append(f"region row {int(y // side) + 1}, column {int(x // side) + 1}")
    return " · ".join(parts)
