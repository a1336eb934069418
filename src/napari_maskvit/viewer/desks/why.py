"""Why the answer is what it is: what holds it up, and what it would be without an area."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.desks.ring import Ring
from napari_maskvit.viewer.layers.signed import SignedLayers
from napari_maskvit.viewer.work.jobs import paced
from napari_maskvit.viewer.work.runs import STEP_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explainer, Explanation
    from napari_maskvit.explain.contribution import Contribution
    from napari_maskvit.explain.signed import SignedHeatmap
    from napari_maskvit.model import Prediction
    from napari_maskvit.viewer.session import Session
    from napari_maskvit.viewer.work.jobs import Job

CHANNEL = "why"


@dataclass(frozen=True)
class Without:
    """What the model says with an area left out, and what it said with it."""

    then: Prediction | None
    now: Prediction | None
    mm2: float


class WhyDesk:
    """Takes the answer apart.

    Parameters
    ----------
    session
        Whose answer it is.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.contribution: Contribution | None = None
        self.picture: SignedHeatmap | None = None
        self.without: Without | None = None
        self.shown = False
        self.share: tuple[int, int] | None = None
        self.layers = SignedLayers(session.viewer, "contribution")
        self.ring = Ring(session, self.leave_out)
        self._of: Explanation | None = None
        session.explanation_changed.connect(self._explained)
        session.mask_changed.connect(self._fade)

    @property
    def is_outdated(self) -> bool:
        """Whether answer or tissue has changed since the answer was taken apart."""
        if self.contribution is None:
            return False
        return self._of is not self.session.explanation or self.session.outdated

    @property
    def is_running(self) -> bool:
        """Whether something is being worked out."""
        return self.session.jobs.is_running(CHANNEL)

    def compute(self, left_out: str = "patch") -> None:
        """Work out the contribution of every patch, or region, in a worker.

        Raises
        ------
        MaskvitError
            If there is no mask, or no answer.
        """
        mask, explanation = self.session.tissue.need_mask(), self._need_answer()

        def work(explainer: Explainer) -> Generator[Any, None, tuple[Any, Any]]:
            from napari_maskvit.explain.contribution import contribution_steps

            contribution = yield from contribution_steps(explainer, mask, left_out)
            return contribution, contribution.heatmap()

        def done(found: tuple[Contribution, SignedHeatmap]) -> None:
            self.contribution, self.picture = found
            self._of = explanation
            self.show(True)

        self._start("What holds the answer up", work, done)

    def show(self, on: bool) -> None:
        """Show contributions in place of attention, or attention again."""
        changes, picture = self.session.attention.changes, self.picture
        if on and picture is not None and self.contribution is not None:
            if changes.on:
                changes.switch(False)
            self.session.attention.covers.put("contribution", True)
            spacing = self.contribution.slide_spacing
            self.layers.show(self.contribution.left_out, picture, spacing)
            self._fade()
        elif self.shown:
            self.layers.clear()
            self.session.attention.covers.put("contribution", False)
        self.shown = on and picture is not None
        self.changed.emit()

    def draw(self) -> None:
        """Put a lasso in hand; what a person draws a ring round is left out.

        Raises
        ------
        MaskvitError
            If there is no mask, or no answer.
        """
        self.session.tissue.need_mask()
        self._need_answer()
        self.ring.draw()
        self.changed.emit()

    def leave_out(self, area: NDArray[np.bool_]) -> None:
        """Ask what the answer would be without an area of the mask.

        Parameters
        ----------
        area
            (rows, columns) bool, on the mask's pixels.

        Raises
        ------
        MaskvitError
            If there is no tissue in it, or no answer.
        """
        mask, explanation = self.session.tissue.need_mask(), self._need_answer()
        pixels = int(np.count_nonzero(mask.tissue & area))
        if not pixels:
            raise ExplainError("There is no tissue in that ring. Draw it round some tissue.")
        mm2 = pixels * mask.spacing**2 / 1e6

        def work(explainer: Explainer) -> Generator[Any, None, Without]:
            from napari_maskvit.explain.contribution import mask_without

            less = yield from explainer.stream(mask_without(mask, area))
            return Without(explanation.prediction, less.prediction, mm2)

        def done(found: Without) -> None:
            self.without = found
            self.changed.emit()

        self._start("Leaving out an area", work, done)

    def cancel(self) -> None:
        """Stop working it out."""
        if self.session.jobs.cancel(CHANNEL):
            self.share = None
            self.changed.emit()

    def clear_ring(self) -> None:
        """Forget the area that was drawn."""
        self.without = None
        self.ring.clear()
        self.changed.emit()

    def _start(
        self,
        words: str,
        work: Callable[[Explainer], Generator[Any, None, Any]],
        done: Callable[[Any], None],
    ) -> None:
        slide, models = self.session.slides.need(), self.session.models
        model, options = models.need(), models.options

        def body(job: Job) -> Generator[Any, None, Any]:
            with models.explainers.at_work(slide, model, options) as explainer:
                return (yield from paced(job, work(explainer), STEP_SECONDS))

        def finished(found: Any) -> None:
            self.share = None
            if found is not None:
                self.session.jobs.cancel(CHANNEL)
                done(found)

        self.share = (0, 0)
        self.without = None
        self.session.jobs.start(CHANNEL, words, body, on_step=self._step, on_done=finished)
        self.changed.emit()

    def _step(self, step: Any) -> None:
        self.share = (step.done, step.total)
        self.changed.emit()

    def _need_answer(self) -> Explanation:
        explanation = self.session.explanation
        if explanation is None or not explanation.complete:
            raise ExplainError("There is no answer to take apart yet. Run the model first.")
        if explanation.prediction is None:
            raise ExplainError(
                f"{explanation.model_title} makes no prediction, so there is nothing to take "
                "apart. Choose a model that makes one."
            )
        return explanation

    def _explained(self) -> None:
        if self.session.explanation is None and (
            self.contribution or self.ring.layer or self.without
        ):
            self.session.jobs.cancel(CHANNEL)
            self.contribution = self.picture = self._of = self.share = None
            self.shown = False
            self.layers.clear()
            self.session.attention.covers.put("contribution", False)
            self.clear_ring()
        else:
            self._fade()
            self.changed.emit()

    def _fade(self) -> None:
        """A map of an answer that no longer stands must not look like one that does."""
        if self.layers.faded != self.is_outdated:
            self.layers.fade(self.is_outdated)
            self.changed.emit()
