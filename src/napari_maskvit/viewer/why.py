"""Why the answer is what it is: what holds it up, and what it would be without an area."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.layers import TAG, remove
from napari_maskvit.viewer.runs import STEP_SECONDS
from napari_maskvit.viewer.signed import SignedLayers
from napari_maskvit.viewer.torch_import import import_torch, share_cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explainer, Explanation
    from napari_maskvit.explain.contribution import Contribution
    from napari_maskvit.explain.signed import SignedHeatmap
    from napari_maskvit.model import Prediction
    from napari_maskvit.viewer.jobs import Job
    from napari_maskvit.viewer.session import Session

CHANNEL = "why"
RING = "what if not there"


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
        self.ring: Any = None
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
        if self.ring is None or self.ring not in self.session.viewer.layers:
            self.ring = self._make_ring()
            self.session.viewer.add_layer(self.ring)
            self.ring.events.data.connect(self._drawn)
        self.session.viewer.layers.selection.active = self.ring
        # In µm, as wide as three pixels now: a thinner line is lost where all of the slide is seen.
        self.ring.current_edge_width = max(2.0, 3.0 / self.session.viewer.scene.camera.zoom)
        self.changed.emit()
        self.ring.mode = "add_polygon_lasso"

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
        if self.ring is not None:
            remove(self.session.viewer, [self.ring])
            self.ring = None
            if self.session.tissue.layer is not None:
                # What is marked as in the hand should be.
                self.session.viewer.layers.selection.active = self.session.tissue.layer
        self.changed.emit()

    def _start(
        self,
        words: str,
        work: Callable[[Explainer], Generator[Any, None, Any]],
        done: Callable[[Any], None],
    ) -> None:
        desk = self.session.attention
        slide, model, options = self.session.need_slide(), desk.model, desk.options
        if model is None:
            raise ExplainError("No model is loaded. Choose one, then run it.")

        def body(job: Job) -> Generator[tuple[int, int], None, Any]:
            with desk.explainers.engine:
                import_torch()
                share_cores()
                steps = work(desk.explainers.of(slide, model, options))
                return (yield from _paced(job, steps))

        def finished(found: Any) -> None:
            self.share = None
            if found is not None:
                self.session.jobs.cancel(CHANNEL)
                done(found)

        self.share = (0, 0)
        self.without = None
        self.session.jobs.start(CHANNEL, words, body, on_step=self._step, on_done=finished)
        self.changed.emit()

    def _step(self, share: tuple[int, int]) -> None:
        self.share = share
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
        if self.session.explanation is None and (self.contribution or self.ring or self.without):
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

    def _make_ring(self) -> Any:
        from napari.layers import Shapes

        return Shapes(
            name=RING,
            edge_color="#ffd400",
            face_color="transparent",
            edge_width=2,
            units=("um", "um"),
            metadata={TAG: {"kind": "ring"}},
        )

    def _drawn(self, event: Any) -> None:
        from qtpy.QtCore import QTimer

        # napari tells of a shape while it is still being drawn.
        QTimer.singleShot(0, self._ring_closed)

    def _ring_closed(self) -> None:
        ring, editor = self.ring, self.session.tissue.editor
        if ring is None or ring._is_creating or not len(ring.data) or editor is None:
            return
        if len(ring.data) > 1:
            with ring.events.data.blocker(self._drawn):
                ring.data = [ring.data[-1]]
        if ring.metadata[TAG].get("asked") is not None and np.array_equal(
            ring.metadata[TAG]["asked"], ring.data[-1]
        ):
            return
        ring.metadata[TAG]["asked"] = np.array(ring.data[-1])
        try:
            self.leave_out(inside(editor.layer, ring.data[-1]))
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


def _paced(job: Job, steps: Generator[Any, None, Any]) -> Generator[tuple[int, int], None, Any]:
    """What is done and how much there is, at most ten times a second; None once cancelled."""
    told = 0.0
    try:
        while not job.cancelled:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if time.perf_counter() >= told:
                yield step.done, step.total
                told = time.perf_counter() + STEP_SECONDS
    finally:
        steps.close()
    return None
