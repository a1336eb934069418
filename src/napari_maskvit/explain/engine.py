"""The engine: reads what is kept, batches it, runs it, remembers it."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_maskvit.explain.cache import ResultCache
from napari_maskvit.explain.computing import PatchComputer
from napari_maskvit.explain.hierarchy import Run
from napari_maskvit.explain.lattice import LEVELS, Lattice
from napari_maskvit.explain.plan import Plan, check_masking
from napari_maskvit.explain.planner import Planner
from napari_maskvit.explain.progress import Progress
from napari_maskvit.explain.reading import nearest_first

if TYPE_CHECKING:
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch. On two CPU cores the activations of more no longer fit the cache."""


class Engine:
    """What an `Explainer` is made of, which says what the arguments are: work in steps.

    Every run is a generator that yields after each batch; closing it cancels, and patches that
    are done stay known.
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

    def stream(
        self, mask: TissueMask, *, focus: tuple[float, float] | None = None
    ) -> Generator[Progress, None, Explanation]:
        """Explain a mask; parameters as `Explainer.explain` takes them.

        Yields after each batch, and returns the explanation.
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
