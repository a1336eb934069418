"""The engine: reads what is kept, batches it, runs it, remembers it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.cache import ResultCache
from napari_maskvit.explain.hierarchy import Run
from napari_maskvit.explain.lattice import LEVELS, Lattice
from napari_maskvit.explain.patches import PatchResult
from napari_maskvit.explain.plan import PatchPlan, Plan, check_masking
from napari_maskvit.explain.planner import Planner
from napari_maskvit.explain.progress import Progress
from napari_maskvit.explain.reading import Pixels, batches, nearest_first, read_patch, waves

if TYPE_CHECKING:
    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch. On two CPU cores the activations of more no longer fit the cache."""

READERS = 2


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
        Bound on the results that are kept between explanations. Where it is reached, what the
        latest explanation does not use and what is cheapest to compute again goes first.

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
        self._planner = Planner(self.lattice, self.masking, self.threshold, self.cache)
        self.token_budget = TOKEN_BUDGET["cuda" if self.device.startswith("cuda") else "cpu"]

    @property
    def nbytes(self) -> int:
        """Memory that is held between explanations, in bytes: the cache and the latest mask."""
        return self.cache.nbytes + self._planner.nbytes

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
        stream = self.stream(mask, focus=focus)
        try:
            while True:
                step = next(stream)
                if progress is not None:
                    progress(step)
                if cancelled is not None and cancelled():
                    return step.snapshot()
        except StopIteration as end:
            explanation: Explanation = end.value
            return explanation
        finally:
            stream.close()

    def stream(
        self, mask: TissueMask, *, focus: tuple[float, float] | None = None
    ) -> Generator[Progress, None, Explanation]:
        """The same, step by step: yields after each batch and returns the explanation.

        Closing the generator cancels the run; patches that are done stay known.
        """
        planning = time.perf_counter()
        self.cache.begin()
        run = self._run(self.plan(mask), self.cache)
        run.note_time("planning", planning)
        yield from self._advance(run, focus)
        return run.explanation(complete=True)

    def _run(self, plan: Plan, cache: ResultCache, *, keep_answers: bool = True) -> Run:
        return Run(
            self.slide,
            self.model,
            plan,
            self.device,
            self.precision,
            cache,
            keep_answers=keep_answers,
        )

    def _advance(
        self, run: Run, focus: tuple[float, float] | None
    ) -> Generator[Progress, None, None]:
        """Bring a run to its end: first what is known, then the rest."""
        recalling = time.perf_counter()
        missing = nearest_first(run.recall(), run.plan.lattice, focus)
        run.note_time("planning", recalling)
        if run.done:
            yield run.progress(run.known(), None)
        if missing:
            yield from self._compute(run, missing, watched=focus is not None)

    def _compute(
        self, run: Run, missing: list[PatchPlan], *, watched: bool
    ) -> Generator[Progress, None, None]:
        tokens_left = sum(patch.tokens for patch in missing)
        tokens_done = 0
        started = time.perf_counter()
        read = partial(read_patch, self.slide, run.plan.lattice, masked="patch" in run.plan.masking)
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="maskvit-read")
        to_read = deque(waves(missing, self.token_budget, watched=watched))
        ahead: deque[list[Future[Pixels]]] = deque()
        try:
            while to_read or ahead:
                while to_read and len(ahead) < 2:
                    ahead.append([readers.submit(read, patch) for patch in to_read.popleft()])
                waiting = time.perf_counter()
                wave = [future.result() for future in ahead.popleft()]
                run.note_time("reading", waiting)
                for batch in batches(wave, self.token_budget):
                    computing = time.perf_counter()
                    fresh = self._encode(batch)
                    run.note_time("computing", computing)
                    for pixels, result in zip(batch, fresh, strict=True):
                        run.add(pixels.plan, result)
                        tokens_done += pixels.plan.tokens
                    rate = tokens_done / max(time.perf_counter() - started, 1e-9)
                    left = (tokens_left - tokens_done) / rate if rate > 0 else None
                    yield run.progress(tuple(fresh), left)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)

    def _encode(self, batch: list[Pixels]) -> list[PatchResult]:
        """Run a batch through the patch transformer; halve it where memory does not suffice."""
        import torch

        if not batch:
            return []
        try:
            encoded = self.model.patch.encode(
                torch.from_numpy(np.concatenate([pixels.tokens for pixels in batch])),
                torch.from_numpy(np.concatenate([np.flatnonzero(p.kept) for p in batch])),
                torch.tensor([int(pixels.kept.sum()) for pixels in batch]),
            )
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ExplainError(
                    f"Not enough memory on {self.device} for a single patch. Close other programs, "
                    "or run on the CPU (device='cpu')."
                ) from error
            torch.cuda.empty_cache()
            self.token_budget = max(self.lattice.tokens_per_side**2, self.token_budget // 2)
            half = len(batch) // 2
            return self._encode(batch[:half]) + self._encode(batch[half:])
        features = encoded.features.cpu().numpy()
        attention = encoded.attention.cpu().numpy()
        ends = np.cumsum([int(pixels.kept.sum()) for pixels in batch])
        return [
            PatchResult(
                row=pixels.plan.row,
                column=pixels.plan.column,
                kept=pixels.kept,
                # Copies, so that a result that stays in the cache does not keep its whole batch.
                attention=attention[end - int(pixels.kept.sum()) : end].copy(),
                feature=feature.copy(),
                tissue=bool(pixels.kept.any()) or not pixels.plan.kept.any(),
            )
            for pixels, feature, end in zip(batch, features, ends, strict=True)
        ]


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    # On the CPU the allocator raises a bare RuntimeError, known by its words alone.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "can't allocate memory" in str(error) or "not enough memory" in str(error)
    )
