"""Where runs of the model are started, followed and stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.heatmap import heatmap_levels
from napari_maskvit.explain.lattice import Lattice
from napari_maskvit.viewer.desks.models import missing
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.work.explainers import RunOptions
from napari_maskvit.viewer.work.jobs import Job
from napari_maskvit.viewer.work.runs import Request, Step, run_steps

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.viewer.desks.attention import AttentionDesk

ANSWER_S = 0.06
"""About as long as a processor draws a frame: an answer that comes by then saves one."""


class RunDesk:
    """The runs of one session: the masked one, and the plain one beside it.

    Parameters
    ----------
    desk
        Where their explanations are shown.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        self.desk, self.session = desk, desk.session
        self._run_next = False
        self._told_missing: Explanation | None = None

    def run(self) -> None:
        """Explain the mask as it stands, beginning where one is looking."""
        slide, mask = self.session.slides.need(), self.session.tissue.need_mask()
        slide.require_spacing()
        if mask.is_empty:
            raise ExplainError("The tissue mask is empty. Find tissue or paint some, then run.")
        desk, models = self.desk, self.session.models
        if not models.want():
            assert desk.explanation is not None
            raise ExplainError(missing(desk.explanation))
        self._run_next = models.is_loading
        if self._run_next:
            self.session.busy_changed.emit(self.session.busy)
        else:
            request = Request(
                mask,
                desk.looking_at(),
                lambda: desk.display,
                stale=desk.live.stale.cells("region").copy(),
                serial=self.session.timeline.serial,
            )
            self.run_for(request, "Running the model")

    def update(self, focus: tuple[float, float]) -> None:
        """Follow a correction of the mask; the run before it, if one goes on, is replaced."""
        desk, models = self.desk, self.session.models
        explanation = desk.explanation
        if explanation is None or (models.model is None and models.want()) or models.is_loading:
            self.run()
        elif models.model is None:
            self._say_missing(explanation)
        elif desk.recalling.is_unknown(explanation):
            desk.check.follow()
        elif explanation.complete and explanation.model_sha256 == models.model.sha256:
            self.run_for(desk.live.request(focus), "")
        else:
            self.run_for(replace(desk.live.request(focus), update=False), "Running the model")

    def start(
        self,
        channel: str,
        words: str,
        options: RunOptions,
        request: Request,
        on_step: Callable[[Step], None],
        on_done: Callable[[Step | None], None],
    ) -> Job | None:
        """Run the model in a worker; a run that the channel has is replaced."""
        slide, models = self.session.slides.need(), self.session.models
        model, explainers = models.need(), models.explainers
        courtesy = self.session.hand.courtesy
        # What can wait gives way; it goes on from what it had.
        self.desk.why.cancel()
        self.desk.finer.cancel()

        def body(job: Job) -> Generator[Step, None, Step | None]:
            with explainers.at_work(slide, model, options, job.takes_longer) as explainer:
                return (yield from run_steps(job, explainer, request, courtesy))

        return self.session.jobs.start(channel, words, body, on_step=on_step, on_done=on_done)

    def run_for(self, request: Request, words: str) -> None:
        """Run the model for a request, in place of the run that goes on."""
        desk, models = self.desk, self.session.models
        model = models.need()
        lattice = Lattice.of(self.session.slides.need(), model.config)
        desk.live.started(request.update)
        job = self.start(
            "run",
            words,
            models.options,
            request,
            desk.step,
            lambda step: self._done(step, request),
        )
        if not request.update:
            desk.ahead.start(heatmap_levels(model.levels), lattice)
        elif job is not None:
            self._await(job)

    def _await(self, job: Job) -> None:
        """Let an answer that is known already come before the window draws the correction.

        Posted, so that what the correction itself has to tell is told first.
        """
        from qtpy.QtCore import QTimer

        def wait() -> None:
            if not self.session.hand.courtesy.is_drawing:
                job.wait(ANSWER_S)

        QTimer.singleShot(0, wait)

    def go_on(self) -> None:
        """A model is there: run it, if that was asked for."""
        waiting, self._run_next = self._run_next, False
        if waiting and self.desk.live.stale.any:
            self.desk.check.follow()
        elif waiting:
            self.run()
        self.desk.recalling.start()

    def cancel(self) -> None:
        """Stop every run; what is there so far stays."""
        waited, self._run_next = self.is_waiting, False
        if waited:
            self.session.busy_changed.emit(self.session.busy)
        self.session.jobs.cancel("run")
        self.session.jobs.cancel("plain")
        self.desk.why.cancel()
        self.desk.finer.cancel()

    @property
    def is_running(self) -> bool:
        """Whether a run is under way, or waits for its model."""
        jobs = self.session.jobs
        return self.is_waiting or jobs.is_running("run") or jobs.is_running("plain")

    @property
    def is_waiting(self) -> bool:
        """Whether a run starts as soon as the model is loaded."""
        return self._run_next and self.session.models.is_loading

    def _say_missing(self, explanation: Explanation) -> None:
        """Say once that a correction is not followed, and why."""
        if self._told_missing is not explanation:
            self._told_missing = explanation
            notices.tell(missing(explanation))

    def _done(self, step: Step | None, request: Request) -> None:
        if step is None or step.explanation is None:
            return
        desk = self.desk
        # Over before anybody is told of the result, so that no panel still offers Cancel.
        self.session.jobs.cancel("run")
        desk.live.done()
        desk.step(step)
        desk.live.prepare()
        self.session.timeline.answered(request.serial, step.explanation)
        if desk.beside.is_shown:
            desk.beside.run()
