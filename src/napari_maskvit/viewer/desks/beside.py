"""Plain attention beside the masked: its run, its layers, one colour scale for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.layers.comparison import SideBySide
from napari_maskvit.viewer.layers.heatmaps import HeatmapLayers
from napari_maskvit.viewer.work.runs import Request, Step

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.viewer.desks.attention import AttentionDesk
    from napari_maskvit.viewer.display import Display

PLAIN = ("slide",)
"""Masking of the baseline: regions without tissue are left out, nothing else is masked."""


class PlainBeside:
    """What the same model attends to without the mask, in a view of its own.

    Parameters
    ----------
    desk
        Whose masked attention stands on the left.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        self.desk, self.session = desk, desk.session
        self.layers = HeatmapLayers(desk.session.viewer, " (plain)")
        self.explanation: Explanation | None = None
        self.views: SideBySide | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the two stand side by side."""
        return self.views is not None

    def start(self) -> None:
        """Divide the window and run without the mask."""
        self.views = SideBySide(self.session.viewer, self.session.slide_layer)
        self.arrange()
        self.desk.layers.set_titles(True)
        self.layers.set_titles(True)
        if self.explanation is not None:
            self.show(Step(None, self.explanation))
        self.run()

    def run(self) -> None:
        """Run again, as after a correction; the tissue decides which regions take part."""
        request = Request(
            self.session.tissue.need_mask(), self.desk.looking_at(), lambda: self.desk.display
        )
        self.session.runs.start(
            "plain",
            "Running plain attention",
            replace(self.session.models.options, masking=PLAIN),
            request,
            self._step,
            lambda step: self._step(step) if step else None,
        )

    def show(self, step: Step) -> None:
        """Show what a step brings."""
        self.explanation = step.explanation
        if self.views is None or step.explanation is None:
            return
        self.layers.explain(step.explanation, self.desk.drawn, self.desk.usable(step))
        self.share_limits()
        self.views.arrange(self._outline(), self.layers.in_order)

    def paint(self, display: Display) -> None:
        """Follow a change of the display."""
        if self.views is not None:
            self.layers.show(display)
            self.share_limits()

    def arrange(self) -> None:
        """Keep layers on their sides."""
        if self.views is not None:
            self.views.arrange(self._outline())

    def share_limits(self) -> None:
        """One colour scale for masked and plain."""
        masked = self.desk.layers
        level = masked.current_level
        if self.views is None or level is None:
            return
        both = [masked.pictures.get(level), self.layers.pictures.get(level)]
        limits = [heatmap.limits for heatmap in both if heatmap is not None]
        if limits:
            shared = (min(low for low, _ in limits), max(high for _, high in limits))
            masked.set_limits(level, shared)
            self.layers.set_limits(level, shared)

    def end(self, repaint: Callable[[], None]) -> None:
        """One view again; ``repaint`` draws what is left on its own scale."""
        if self.views is None:
            return
        self.desk.layers.set_titles(False)
        self.layers.clear()
        self.views.close()
        self.views = None
        self.desk.layers.limits.clear()
        self.layers.limits.clear()
        repaint()
        self.session.compare_changed.emit(False)

    def _step(self, step: Step) -> None:
        if step.explanation is not None:
            self.show(step)
            self.session.explanation_changed.emit()
        if step.progress is not None:
            self.session.progressed.emit(step.progress)

    def _outline(self) -> Any:
        editor = self.session.tissue.editor
        return editor.outline if editor else None
