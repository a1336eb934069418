"""Where attention is shown: its layers, plain attention beside it, other pictures in its place."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.desks.ahead import Ahead
from napari_maskvit.viewer.desks.beside import PlainBeside
from napari_maskvit.viewer.desks.changes import ChangesDesk
from napari_maskvit.viewer.desks.check import MaskCheck
from napari_maskvit.viewer.desks.covers import Covers
from napari_maskvit.viewer.desks.finer import FinerDesk
from napari_maskvit.viewer.desks.late_picture import show_later
from napari_maskvit.viewer.desks.live import LiveUpdate
from napari_maskvit.viewer.desks.recalling import Recalling
from napari_maskvit.viewer.desks.why import WhyDesk
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.layers.heatmaps import HeatmapLayers
from napari_maskvit.viewer.layers.placing import level0_position
from napari_maskvit.viewer.work.runs import Step

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation, Heatmap
    from napari_maskvit.viewer.session import Session

SLOW_PICTURE = 0.04


class AttentionDesk:
    """The explanation on display, and how it is shown.

    Parameters
    ----------
    session
        Whose signals tell what changes here.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.display = Display()
        self.explanation: Explanation | None = None
        self.covers = Covers(self)
        self.layers = HeatmapLayers(session.viewer)
        self.ahead = Ahead(self)
        self.beside = PlainBeside(self)
        self.live = LiveUpdate(self)
        self.check = MaskCheck(self)
        self.recalling = Recalling(self)
        self.changes = ChangesDesk(session)
        self.why = WhyDesk(session)
        self.finer = FinerDesk(session)
        self.picture_seconds = 0.0

    @property
    def drawn(self) -> Display:
        """The display as it is drawn: another picture may cover attention for now."""
        return self.covers.drawn(self.display)

    @property
    def reference(self) -> Explanation | None:
        """Plain attention, once it was compared with."""
        return self.beside.explanation

    def compare(self, on: bool) -> None:
        """Show plain attention beside the masked, on one colour scale."""
        if not on:
            self.session.jobs.cancel("plain")
            self.beside.end(self.paint)
        elif self.explanation is None:
            raise ExplainError("There is nothing to compare with yet. Run the model first.")
        elif not self.beside.is_shown:
            self.beside.start()
        self.session.compare_changed.emit(self.beside.is_shown)

    def show(self, **changes: Any) -> None:
        """Change the display; the picture follows without another run."""
        if changes.get("visible"):
            self.covers.lift()
        old, self.display = self.display, replace(self.display, **changes)
        if self.display == old:
            return
        level = self._level()
        again = self.display.values_key != old.values_key or self.display.level != old.level
        if level and again and self.picture_seconds > SLOW_PICTURE and self.drawn.visible:
            show_later(self, level)
        else:
            started = time.perf_counter()
            self.paint()
            if again:
                self.picture_seconds = time.perf_counter() - started
        self.session.display_changed.emit(self.display)

    def take(self, explanation: Explanation | None, reference: Explanation | None = None) -> None:
        """Show explanations that come from elsewhere."""
        self.beside.end(self.paint)
        self.explanation, self.beside.explanation = explanation, reference
        self.live.drop()
        if explanation is None:
            self.layers.clear()
        else:
            self.layers.explain(explanation, self.drawn)
        self.session.explanation_changed.emit()
        self.check.start()
        self.recalling.take(explanation, reference)

    def mask_changed(self, box: tuple[slice, slice]) -> None:
        """The mask changed there: note it, and follow it if that is wanted."""
        self.live.corrected(box, self.session.timeline.record(box))

    def drop(self) -> None:
        """Forget explanations and layers, as when another slide comes."""
        self.session.runs.cancel()
        self.ahead.stop()
        self.beside.end(self.paint)
        self.live.drop()
        self.layers.clear()
        self.explanation = self.beside.explanation = None
        self.session.models.explainers.clear()

    def picture(self) -> Heatmap | None:
        """The heatmap on display."""
        level = self.layers.current_level
        return self.layers.picture(level) if level and self.explanation else None

    def limits(self) -> tuple[float, float] | None:
        """Values at the two ends of the colour scale on display."""
        heatmap = self.picture()
        return self.layers.limits.get(heatmap.level, heatmap.limits) if heatmap else None

    def looking_at(self) -> tuple[float, float]:
        """Level-0 pixel (x, y) in the middle of the view."""
        center = self.session.viewer.scene.camera.center
        return level0_position(center, self.session.slides.need().spacing)

    def usable(self, step: Step) -> dict[str, Heatmap]:
        """Pictures of a step that still are what the display asks for."""
        same = step.display.values_key == self.display.values_key
        return step.pictures if same else {}

    def step(self, step: Step) -> None:
        """Show what a step of a run brings."""
        self.live.step(step)
        if step.explanation is not None:
            self._show_explanation(step)
        elif step.pictures:
            self.layers.preview(self.usable(step))
        if step.progress is not None:
            self.session.progressed.emit(step.progress)

    def _show_explanation(self, step: Step) -> None:
        self.explanation = step.explanation
        assert step.explanation is not None
        self.layers.explain(step.explanation, self.drawn, self.usable(step))
        self.ahead.go_on()
        self.beside.share_limits()
        self.beside.arrange()
        self.session.explanation_changed.emit()

    def paint(self) -> None:
        """Draw what is there as the display asks for."""
        self.layers.show(self.drawn)
        self.beside.paint(self.drawn)
        self.live.show()

    def _level(self) -> str | None:
        levels = self.explanation.heatmap_levels if self.explanation else ()
        return self.display.level if self.display.level in levels else next(iter(levels), None)
