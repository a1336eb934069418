"""Where the model is run and its attention is shown, beside plain attention where asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.heatmap import heatmap_levels
from napari_maskvit.explain.lattice import Lattice
from napari_maskvit.viewer.desks.ahead import Ahead
from napari_maskvit.viewer.desks.beside import PlainBeside
from napari_maskvit.viewer.desks.changes import ChangesDesk
from napari_maskvit.viewer.desks.check import MaskCheck
from napari_maskvit.viewer.desks.covers import Covers
from napari_maskvit.viewer.desks.finer import FinerDesk
from napari_maskvit.viewer.desks.late_picture import show_later
from napari_maskvit.viewer.desks.live import LiveUpdate
from napari_maskvit.viewer.desks.models import missing
from napari_maskvit.viewer.desks.recalling import Recalling
from napari_maskvit.viewer.desks.why import WhyDesk
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.layers.heatmaps import HeatmapLayers
from napari_maskvit.viewer.layers.placing import level0_position
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.work.explainers import RunOptions
from napari_maskvit.viewer.work.jobs import Job
from napari_maskvit.viewer.work.runs import Request, Step, run_steps

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation, Heatmap
    from napari_maskvit.viewer.session import Session

SLOW_PICTURE = 0.04


class AttentionDesk:
    """Runs, their explanations and the layers that show them.

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
        self._run_next = False
        self._told_missing: Explanation | None = None

    @property
    def drawn(self) -> Display:
        """The display as it is drawn: another picture may cover attention for now."""
        return self.covers.drawn(self.display)

    @property
    def reference(self) -> Explanation | None:
        """Plain attention, once it was compared with."""
        return self.beside.explanation

    def run(self) -> None:
        """Explain the mask as it stands, beginning where one is looking."""
        slide, mask = self.session.slides.need(), self.session.tissue.need_mask()
        slide.require_spacing()
        if mask.is_empty:
            raise ExplainError("The tissue mask is empty. Find tissue or paint some, then run.")
        models = self.session.models
        if not models.want():
            assert self.explanation is not None
            raise ExplainError(missing(self.explanation))
        self._run_next = models.is_loading
        if self._run_next:
            self.session.busy_changed.emit(self.session.busy)
        else:
            request = Request(
                mask,
                self.looking_at(),
                lambda: self.display,
                stale=self.live.stale.cells("region").copy(),
                serial=self.session.timeline.serial,
            )
            self.run_for(request, "Running the model")

    def update(self, focus: tuple[float, float]) -> None:
        """Follow a correction of the mask; the run before it, if one goes on, is replaced."""
        explanation, models = self.explanation, self.session.models
        if explanation is None or (models.model is None and models.want()) or models.is_loading:
            self.run()
        elif models.model is None:
            self._say_missing(explanation)
        elif self.recalling.is_unknown(explanation):
            self.check.follow()
        elif explanation.complete and explanation.model_sha256 == models.model.sha256:
            self.run_for(self.live.request(focus), "")
        else:
            self.run_for(replace(self.live.request(focus), update=False), "Running the model")

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

    def cancel(self) -> None:
        """Stop every run; what is there so far stays."""
        waited, self._run_next = self.is_waiting, False
        if waited:
            self.session.busy_changed.emit(self.session.busy)
        self.session.jobs.cancel("run")
        self.session.jobs.cancel("plain")
        self.why.cancel()
        self.finer.cancel()

    def drop(self) -> None:
        """Forget explanations and layers, as when another slide comes."""
        self.cancel()
        self.ahead.stop()
        self.beside.end(self.paint)
        self.live.drop()
        self.layers.clear()
        self.explanation = self.beside.explanation = None
        self.session.models.explainers.clear()

    @property
    def is_running(self) -> bool:
        """Whether a run is under way, or waits for its model."""
        jobs = self.session.jobs
        return self.is_waiting or jobs.is_running("run") or jobs.is_running("plain")

    @property
    def is_waiting(self) -> bool:
        """Whether a run starts as soon as the model is loaded."""
        return self._run_next and self.session.models.is_loading

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

    def start(
        self,
        channel: str,
        words: str,
        options: RunOptions,
        request: Request,
        on_step: Callable[[Step], None],
        on_done: Callable[[Step | None], None],
    ) -> None:
        """Run the model in a worker; a run that the channel has is replaced."""
        slide, models = self.session.slides.need(), self.session.models
        model, explainers = models.need(), models.explainers
        # What can wait gives way; it goes on from what it had.
        self.why.cancel()
        self.finer.cancel()

        def body(job: Job) -> Generator[Step, None, Step | None]:
            with explainers.at_work(slide, model, options) as explainer:
                return (yield from run_steps(job, explainer, request))

        self.session.jobs.start(channel, words, body, on_step=on_step, on_done=on_done)

    def run_for(self, request: Request, words: str) -> None:
        """Run the model for a request, in place of the run that goes on."""
        model = self.session.models.model
        assert model is not None
        lattice = Lattice.of(self.session.slides.need(), model.config)
        self.live.started(request.update)
        self.start(
            "run",
            words,
            self.session.models.options,
            request,
            self._step,
            lambda step: self._done(step, request),
        )
        if not request.update:
            self.ahead.start(heatmap_levels(model.levels), lattice)

    def go_on(self) -> None:
        """A model is there: run it, if that was asked for."""
        waiting, self._run_next = self._run_next, False
        if waiting and self.live.stale.any:
            self.check.follow()
        elif waiting:
            self.run()
        self.recalling.start()

    def _say_missing(self, explanation: Explanation) -> None:
        """Say once that a correction is not followed, and why."""
        if self._told_missing is not explanation:
            self._told_missing = explanation
            notices.tell(missing(explanation))

    def _step(self, step: Step) -> None:
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

    def _done(self, step: Step | None, request: Request) -> None:
        if step is None or step.explanation is None:
            return
        # Over before anybody is told of the result, so that no panel still offers Cancel.
        self.session.jobs.cancel("run")
        self.live.done()
        self._step(step)
        self.live.prepare()
        self.session.timeline.answered(request.serial, step.explanation)
        if self.beside.is_shown:
            self.beside.run()

    def paint(self) -> None:
        """Draw what is there as the display asks for."""
        self.layers.show(self.drawn)
        self.beside.paint(self.drawn)
        self.live.show()

    def _level(self) -> str | None:
        levels = self.explanation.heatmap_levels if self.explanation else ()
        return self.display.level if self.display.level in levels else next(iter(levels), None)
