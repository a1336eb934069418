"""Where the model is run and its attention is shown, beside plain attention where asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.comparison import SideBySide
from napari_maskvit.viewer.display import Display
from napari_maskvit.viewer.jobs import Job, once
from napari_maskvit.viewer.layers import HeatmapLayers, heatmap_for, level0_position
from napari_maskvit.viewer.runs import Step, run_steps

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer, Explanation, Heatmap
    from napari_maskvit.model import Model
    from napari_maskvit.viewer.session import Session

PLAIN = ("slide",)
"""Masking of the baseline: regions without tissue are left out, nothing else is masked."""

SETTLE_MS = 120
SLOW_PICTURE = 0.04


@dataclass(frozen=True)
class RunOptions:
    """How a run is done; changing any of these needs another run.

    Parameters
    ----------
    masking
        Levels whose background is masked.
    threshold
        Coverage above which a position is kept.
    device, precision
        As `napari_maskvit.Explainer` takes them.
    """

    masking: tuple[str, ...] = ("patch", "region", "slide")
    threshold: float = 0.0
    device: str = "auto"
    precision: str = "auto"


class AttentionDesk:
    """Runs, their explanations and the layers that show them.

    Parameters
    ----------
    session
        Whose signals tell what changes here.
    """

    def __init__(self, session: Session) -> None:
        from superqt.utils import qdebounced

        self.session = session
        self.options = RunOptions()
        self.display = Display()
        self.model: Model | None = None
        self.explanation: Explanation | None = None
        self.reference: Explanation | None = None
        self.live = True
        self.layers = HeatmapLayers(session.viewer)
        self.plain = HeatmapLayers(session.viewer, " (plain)")
        self.comparison: SideBySide | None = None
        self._explainers: dict[tuple[Any, ...], Explainer] = {}
        self._engine = threading.Lock()
        self._focus: tuple[float, float] | None = None
        self._picture_seconds = 0.0
        self._run_next = False
        self._settle = qdebounced(self._update, timeout=SETTLE_MS)

    def use_model(self, name: Any) -> None:
        """Load a model in a worker."""

        def work() -> Model:
            from napari_maskvit.model import load_model

            return load_model(name)

        self.session.jobs.start(
            "model", "Loading the model", once(work, torch=True), on_done=self._take_model
        )

    def want_model(self) -> None:
        """Load the default model unless one is there or on its way."""
        if self.model is None and not self.session.jobs.is_running("model"):
            self.use_model(None)

    def run(self) -> None:
        """Explain the mask as it stands, beginning where one is looking."""
        slide, mask = self.session.need_slide(), self.session.tissue.need_mask()
        slide.require_spacing()
        if mask.is_empty:
            raise ExplainError("The tissue mask is empty. Find tissue or paint some, then run.")
        self.want_model()
        self._run_next = self.session.jobs.is_running("model")
        if self._run_next:
            return
        focus, self._focus = self._focus or self._looking_at(), None
        self._start("run", "Running the model", self.options, mask, focus, self._step, self._done)

    def compare(self, on: bool) -> None:
        """Show plain attention beside the masked, on one colour scale."""
        if not on:
            self.session.jobs.cancel("plain")
            self._end_comparison()
        elif self.explanation is None:
            raise ExplainError("There is nothing to compare with yet. Run the model first.")
        elif self.comparison is None:
            self.comparison = SideBySide(self.session.viewer, self.session.slide_layer)
            self.comparison.arrange(self._outline())
            self.layers.set_titles(True)
            self.plain.set_titles(True)
            if self.reference is not None:
                self._show_reference(Step(None, self.reference))
            self._run_plain()
        self.session.compare_changed.emit(self.comparison is not None)

    def show(self, **changes: Any) -> None:
        """Change the display; the picture follows without another run."""
        old, self.display = self.display, replace(self.display, **changes)
        if self.display == old:
            return
        level = self._level()
        again = self.display.values_key != old.values_key or self.display.level != old.level
        if level and again and self._picture_seconds > SLOW_PICTURE and self.display.visible:
            self._show_later(level)
        else:
            started = time.perf_counter()
            self._paint()
            if again:
                self._picture_seconds = time.perf_counter() - started
        self.session.display_changed.emit(self.display)

    def take(self, explanation: Explanation | None, reference: Explanation | None = None) -> None:
        """Show explanations that come from elsewhere."""
        self._end_comparison()
        self.explanation, self.reference = explanation, reference
        if explanation is None:
            self.layers.clear()
        else:
            self.layers.explain(explanation, self.display)
        self.session.explanation_changed.emit()

    def configure(self, **changes: Any) -> None:
        """Change how the next run is done."""
        self.options = replace(self.options, **changes)
        self.session.options_changed.emit(self.options)

    def mask_changed(self, box: tuple[slice, slice]) -> None:
        """The mask changed there: follow it, if that is wanted and there was a run."""
        editor = self.session.tissue.editor
        if not self.live or self.explanation is None or editor is None:
            return
        spacing = editor.spacing / self.session.need_slide().require_spacing()
        rows, columns = box
        self._focus = (
            (columns.start + columns.stop) / 2 * spacing,
            (rows.start + rows.stop) / 2 * spacing,
        )
        self._settle()

    def cancel(self) -> None:
        """Stop every run; what is there so far stays."""
        self._settle.cancel()
        self._run_next = False
        self.session.jobs.cancel("run")
        self.session.jobs.cancel("plain")

    def drop(self) -> None:
        """Forget explanations and layers, as when another slide comes."""
        self.cancel()
        self._end_comparison()
        self.layers.clear()
        self.explanation = self.reference = None
        self._explainers.clear()

    @property
    def is_running(self) -> bool:
        """Whether a run is under way, or waits for its model."""
        jobs = self.session.jobs
        waiting = self._run_next and jobs.is_running("model")
        return waiting or jobs.is_running("run") or jobs.is_running("plain")

    def picture(self) -> Heatmap | None:
        """The heatmap on display."""
        level = self.layers.current_level
        return self.layers.picture(level) if level and self.explanation else None

    def _start(
        self,
        channel: str,
        words: str,
        options: RunOptions,
        mask: Any,
        focus: Any,
        on_step: Callable[[Step], None],
        on_done: Callable[[Step | None], None],
    ) -> None:
        def body(job: Job) -> Generator[Step, None, Step | None]:
            # Two runs share caches and cores: the newer waits for the older one's last batch.
            with self._engine:
                made = lambda: self._explainer(options)  # noqa: E731
                return (yield from run_steps(job, made, mask, focus, lambda: self.display))

        self.session.jobs.start(channel, words, body, on_step=on_step, on_done=on_done)

    def _explainer(self, options: RunOptions) -> Explainer:
        """The explainer for these options, with what it remembers; called in workers."""
        from napari_maskvit.explain import Explainer

        slide = self.session.need_slide()
        assert self.model is not None
        key = (slide.identity, slide.spacing, self.model.sha256, options)
        if key not in self._explainers:
            while len(self._explainers) > 1:
                self._explainers.pop(next(iter(self._explainers)))
            self._explainers[key] = Explainer(
                slide,
                self.model,
                masking=options.masking,
                threshold=options.threshold,
                device=options.device,
                precision=options.precision,
            )
        return self._explainers[key]

    def _take_model(self, model: Model) -> None:
        self.model = model
        waiting, self._run_next = self._run_next, False
        self.session.jobs.cancel("model")
        self.session.model_changed.emit()
        if waiting:
            self.session.run()

    def _step(self, step: Step) -> None:
        if step.explanation is not None:
            self._show_explanation(step)
        if step.progress is not None:
            self.session.progressed.emit(step.progress)

    def _show_explanation(self, step: Step) -> None:
        self.explanation = step.explanation
        assert step.explanation is not None
        ready = step.pictures if step.display.values_key == self.display.values_key else {}
        self.layers.explain(step.explanation, self.display, ready)
        self._share_limits()
        if self.comparison is not None:
            self.comparison.arrange(self._outline())
        self.session.explanation_changed.emit()

    def _done(self, step: Step | None) -> None:
        if step is None:
            return
        self._step(step)
        if self.comparison is not None:
            self._run_plain()

    def _update(self) -> None:
        """Run again after a correction."""
        if self.explanation is not None and not self.session.closed:
            self.session.run()

    def _run_plain(self) -> None:
        mask = self.session.tissue.need_mask()
        options = replace(self.options, masking=PLAIN)
        self._start(
            "plain",
            "Running plain attention",
            options,
            mask,
            self._looking_at(),
            self._plain_step,
            lambda step: self._plain_step(step) if step else None,
        )

    def _plain_step(self, step: Step) -> None:
        if step.explanation is not None:
            self._show_reference(step)
            self.session.explanation_changed.emit()
        if step.progress is not None:
            self.session.progressed.emit(step.progress)

    def _show_reference(self, step: Step) -> None:
        self.reference = step.explanation
        if self.comparison is None or step.explanation is None:
            return
        ready = step.pictures if step.display.values_key == self.display.values_key else {}
        self.plain.explain(step.explanation, self.display, ready)
        self._share_limits()
        self.comparison.arrange(self._outline(), self.plain.in_order)

    def _end_comparison(self) -> None:
        if self.comparison is None:
            return
        self.layers.set_titles(False)
        self.plain.clear()
        self.comparison.close()
        self.comparison = None
        self.layers.limits.clear()
        self.plain.limits.clear()
        self._paint()
        self.session.compare_changed.emit(False)

    def _outline(self) -> Any:
        editor = self.session.tissue.editor
        return editor.outline if editor else None

    def _paint(self) -> None:
        self.layers.show(self.display)
        if self.comparison is not None:
            self.plain.show(self.display)
            self._share_limits()

    def _share_limits(self) -> None:
        """One colour scale for masked and plain."""
        level = self.layers.current_level
        if self.comparison is None or level is None:
            return
        both = [self.layers.pictures.get(level), self.plain.pictures.get(level)]
        limits = [heatmap.limits for heatmap in both if heatmap is not None]
        if limits:
            shared = (min(low for low, _ in limits), max(high for _, high in limits))
            self.layers.set_limits(level, shared)
            self.plain.set_limits(level, shared)

    def _show_later(self, level: str) -> None:
        """Compute a large picture beside the window; the newest display wins."""
        display, explanation = self.display, self.explanation
        assert explanation is not None
        reference = self.reference if self.comparison is not None else None

        def work() -> tuple[float, Any, Any]:
            started = time.perf_counter()
            masked = {level: heatmap_for(explanation, level, display)}
            seconds = time.perf_counter() - started
            plain = {level: heatmap_for(reference, level, display)} if reference else {}
            return seconds, masked, plain

        def done(result: tuple[float, Any, Any]) -> None:
            self._picture_seconds, masked, plain = result
            if self.explanation is explanation and self.display == display:
                self.layers.explain(explanation, display, masked)
                if reference is not None and self.reference is reference and self.comparison:
                    self.plain.explain(reference, display, plain)
                self._share_limits()
                self.session.display_changed.emit(display)

        self.session.jobs.start("picture", "", once(work), on_done=done)

    def _level(self) -> str | None:
        levels = self.explanation.heatmap_levels if self.explanation else ()
        return self.display.level if self.display.level in levels else next(iter(levels), None)

    def _looking_at(self) -> tuple[float, float]:
        center = self.session.viewer.scene.camera.center
        return level0_position(center, self.session.need_slide().spacing)
