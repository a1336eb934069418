"""The engine: reads what is kept, batches it, runs it, remembers it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from napari_maskvit.explain.cache import ResultCache
from napari_maskvit.explain.computing import PatchComputer
from napari_maskvit.explain.hierarchy import Run
from napari_maskvit.explain.lattice import LEVELS, Lattice
from napari_maskvit.explain.plan import Plan, check_masking
from napari_maskvit.explain.planner import Planner
from napari_maskvit.explain.progress import Progress, Share, drive
from napari_maskvit.explain.reading import nearest_first

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_maskvit.explain.contribution import Contribution
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.explain.granular import Granular, GranularProgress
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch. On two CPU cores the activations of more no longer fit the cache."""


class Explainer:
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

    def __init__(
        self,
        slide: Slide,
        model: Model,
        *,
        masking: Sequence[str] = LEVELS,
        threshold: float = 0.0,
        device: str = "auto",
        precision: str = "auto",
        cache_bytes: int = 1 << 30,
    ) -> None:
        from napari_maskvit.model import resolve_device, resolve_precision

        self.slide = slide
        self.masking = check_masking(tuple(masking), threshold)
        self.threshold = float(threshold)
        self.lattice = Lattice.of(slide, model.config)
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.model = model.to(self.device, self.precision)
        self.cache = ResultCache(cache_bytes)
        self.shifted_cache = ResultCache(cache_bytes, fallback=self.cache)
        self._planner = Planner(self.lattice, self.masking, self.threshold, self.cache)
        budget = TOKEN_BUDGET["cuda" if self.device.startswith("cuda") else "cpu"]
        self._computer = PatchComputer(slide, self.model, self.device, budget)

    @property
    def token_budget(self) -> int:
        """Tokens a batch of the patch transformer; halved where memory does not suffice."""
        return self._computer.token_budget

    @token_budget.setter
    def token_budget(self, tokens: int) -> None:
        self._computer.token_budget = tokens

    @property
    def nbytes(self) -> int:
        """Memory that is held between explanations, in bytes: caches and the latest mask."""
        return self.cache.nbytes + self.shifted_cache.nbytes + self._planner.nbytes

    def plan(self, mask: TissueMask) -> Plan:
        """What an explanation under ``mask`` keeps; reads no pixel."""
        return self._planner.plan(mask)

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

    def stream(
        self, mask: TissueMask, *, focus: tuple[float, float] | None = None
    ) -> Generator[Progress, None, Explanation]:
        """The same, step by step: yields after each batch and returns the explanation.

        Closing the generator cancels the run; patches that are done stay known.
        """
        run = yield from self.run(mask, focus=focus)
        return run.explanation(complete=True)

    def run(
        self, mask: TissueMask, *, focus: tuple[float, float] | None = None
    ) -> Generator[Progress, None, Run]:
        """As `stream`, for those who climb from the patches themselves: returns the run."""
        planning = time.perf_counter()
        self.cache.begin()
        run = self.run_of(self.plan(mask), self.cache)
        run.note_time("planning", planning)
        yield from self.advance(run, focus)
        return run

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
        from napari_maskvit.explain.contribution import mask_without

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
        from napari_maskvit.explain.contribution import contribution_steps

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
        from napari_maskvit.explain.granular import granular_steps

        def tell(step: GranularProgress) -> None:
            if progress is not None:
                progress(step.share)

        steps = granular_steps(self, mask, level, divisions=divisions, focus=focus)
        return drive(steps, tell, cancelled, lambda step: step.snapshot())

    def run_of(self, plan: Plan, cache: ResultCache, *, keep_answers: bool = True) -> Run:
        """A run of this model over a plan; nothing is computed yet."""
        return Run(
            self.slide,
            self.model,
            plan,
            self.device,
            self.precision,
            cache,
            keep_answers=keep_answers,
        )

    def advance(
        self, run: Run, focus: tuple[float, float] | None
    ) -> Generator[Progress, None, None]:
        """Bring a run to its end: first what is known, then the rest."""
        recalling = time.perf_counter()
        missing = nearest_first(run.recall(), run.plan.lattice, focus)
        run.note_time("planning", recalling)
        if run.done:
            yield run.progress(run.known(), None)
        if missing:
            yield from self._computer.compute(run, missing, watched=focus is not None)
