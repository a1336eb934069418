"""What a slide's answer is, and what it rests on: every question that can be asked of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_maskvit.explain.contribution import Contribution, contribution_steps, mask_without
from napari_maskvit.explain.engine import Engine
from napari_maskvit.explain.granular import Granular, GranularProgress, granular_steps
from napari_maskvit.explain.progress import Progress, Share, drive
from napari_maskvit.explain.recall import Recalled, recall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.tissue import TissueMask


class Explainer(Engine):
    """Explains one slide with one model, again and again, computing only what changed.

    Results are kept by content (a patch and its token mask, a region and its patches), so that
    an explanation after a correction of the mask costs only what the correction touched, and one
    after an undo costs nothing. Background is never decoded nor computed.

    Parameters
    ----------
    slide
        An open slide of known spacing.
    model
        From `load_model`.
    masking
        Levels whose background is masked, of "patch", "region", "slide"; () is plain attention.
    threshold
        A position is kept if its coverage is > threshold.
    device
        "auto", "cpu", "cuda" or "cuda:N".
    precision
        "auto", "float32" or "bfloat16" (the weights are held in it).
    cache_bytes
        Bound on the results that are kept between explanations, and once more on those of
        granular attention. Where it is reached, what the latest explanation does not use and what
        is cheapest to compute again goes first.

    Raises
    ------
    SpacingUnknown
        If the slide's spacing is not known.
    ExplainError
        If the slide is too coarse for the model, or an argument is wrong.
    """

    def explain(
        self,
        mask: TissueMask,
        *,
        focus: tuple[float, float] | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Explanation:
        """Prediction and attention under a tissue mask.

        Parameters
        ----------
        mask
            What is tissue.
        focus
            Level-0 pixel (x, y) whose surroundings are computed first.
        progress
            Called after each batch.
        cancelled
            Asked after each batch; once it says True, what is there so far is returned
            (``complete`` is False).

        Raises
        ------
        ExplainError
            If memory does not suffice for a single patch.
        """
        steps = self.stream(mask, focus=focus)
        return drive(steps, progress, cancelled, lambda step: step.snapshot())

    def recall(self, explanation: Explanation) -> Recalled:
        """Know again what an earlier explanation knew: the next computes only what that lacks.

        Patches come back exactly as they were computed. Those of which tiles could not be decoded
        do not: they are read, and missed, again.

        Parameters
        ----------
        explanation
            Loaded, or another explainer's; a cancelled one has the patches that were done. Nothing
            is taken of another slide or model, precision, masking or threshold.
        """
        return recall(self, explanation)

    def without(
        self,
        mask: TissueMask,
        area: TissueMask | NDArray[np.bool_],
        *,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Explanation:
        """Prediction and attention if an area were not there.

        Parameters
        ----------
        mask
            What is tissue.
        area
            What to leave out of it: bool (rows, columns) on the mask's pixels, or the tissue of
            another mask of the same geometry.
        progress, cancelled
            As `explain` takes them.

        Raises
        ------
        ExplainError
            If the area lies on other pixels than the mask.
        """
        return self.explain(mask_without(mask, area), progress=progress, cancelled=cancelled)

    def contribution(
        self,
        mask: TissueMask,
        left_out: str = "patch",
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Contribution | None:
        """How much the prediction changes when one patch, or one region, is left out.

        See `napari_maskvit.explain.contribution.contribution_steps`.

        Parameters
        ----------
        mask
            What is tissue.
        left_out
            "patch" or "region".
        progress
            Called with what is done and how much there is to do.
        cancelled
            Asked after each batch; once it says True, nothing is returned.

        Raises
        ------
        ExplainError
            If the model makes no prediction, or ``left_out`` is neither.
        """

        def tell(step: Share) -> None:
            if progress is not None:
                progress(step.done, step.total)

        steps = contribution_steps(self, mask, left_out)
        return drive(steps, tell, cancelled, lambda _: None)

    def granular(
        self,
        mask: TissueMask,
        level: str = "patch",
        *,
        divisions: int = 2,
        focus: tuple[float, float] | None = None,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Granular:
        """Attention averaged over shifted grids; see `granular_steps`.

        Parameters
        ----------
        mask
            What is tissue.
        level
            "patch" or "region".
        divisions
            Shifts along each axis; their square is the number of grids.
        focus
            Level-0 pixel (x, y) whose surroundings are computed first.
        progress
            Called after each batch with the share that is done, in [0, 1].
        cancelled
            Asked after each batch; once it says True, the grids that are done are returned
            (``complete`` is False).

        Raises
        ------
        ExplainError
            If the model has no such level, or ``divisions`` is no small whole number.
        """

        def tell(step: GranularProgress) -> None:
            if progress is not None:
                progress(step.share)

        steps = granular_steps(self, mask, level, divisions=divisions, focus=focus)
        return drive(steps, tell, cancelled, lambda step: step.snapshot())
