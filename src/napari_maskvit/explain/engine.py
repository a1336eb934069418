"""The engine: reads what is kept, batches it, runs it, remembers it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.hierarchy import RegionResult, Run
from napari_maskvit.explain.lattice import LEVELS, Lattice
from napari_maskvit.explain.patches import PatchCache, PatchResult
from napari_maskvit.explain.plan import PatchPlan, Plan, check_masking, make_plan
from napari_maskvit.explain.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.explanation import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch. On two CPU cores the activations of more no longer fit the cache."""

WAVE = 4
"""Batches read ahead and sorted by length together."""

READERS = 2


@dataclass(frozen=True)
class _Pixels:
    """Kept tokens of one patch: (K, p, p, 3) uint8 and the (t, t) tokens that could be read."""

    plan: PatchPlan
    tokens: NDArray[np.uint8]
    kept: NDArray[np.bool_]


class Explainer:
    """Explains one slide with one model, again and again, computing only what changed.

    Patch results are kept by content (patch, its token mask), so that an explanation after a
    correction of the mask costs only the patches whose tokens changed. Background is never
    decoded nor computed.

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
        Bound on the patch results that are kept between explanations.

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
        self.cache = PatchCache(cache_bytes)
        self._regions: dict[tuple[int, int], RegionResult] = {}
        self.token_budget = TOKEN_BUDGET["cuda" if self.device.startswith("cuda") else "cpu"]

    def plan(self, mask: TissueMask) -> Plan:
        """What an explanation under ``mask`` keeps; reads no pixel."""
        return make_plan(mask, self.lattice, self.masking, self.threshold)

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
        plan = self.plan(mask)
        patches = _ordered(plan, focus)
        run = Run(self.slide, self.model, plan, self.device, self.precision, self._regions)
        missing = []
        for patch in patches:
            known = self.cache.get(patch.key)
            if known is None:
                missing.append(patch)
            else:
                run.add(patch, known, computed=False)
        run.note_time("planning", planning)
        if run.results:
            yield run.progress(tuple(run.results.values()), len(patches), None)
        yield from self._compute(run, missing, len(patches))
        return run.explanation(complete=True)

    def _compute(
        self, run: Run, missing: list[PatchPlan], total: int
    ) -> Generator[Progress, None, None]:
        tokens_left = sum(int(patch.kept.sum()) for patch in missing)
        tokens_done = 0
        started = time.perf_counter()
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="maskvit-read")
        waves = deque(_waves(missing, self.token_budget))
        ahead: deque[list[Future[_Pixels]]] = deque()
        try:
            while waves or ahead:
                while waves and len(ahead) < 2:
                    ahead.append([readers.submit(self._read, patch) for patch in waves.popleft()])
                waiting = time.perf_counter()
                wave = [future.result() for future in ahead.popleft()]
                run.note_time("reading", waiting)
                for batch in _batches(wave, self.token_budget):
                    computing = time.perf_counter()
                    fresh = self._encode(batch)
                    run.note_time("computing", computing)
                    for pixels, result in zip(batch, fresh, strict=True):
                        self.cache.put(pixels.plan.key, result)
                        run.add(pixels.plan, result, computed=True)
                        tokens_done += int(pixels.plan.kept.sum())
                    rate = tokens_done / max(time.perf_counter() - started, 1e-9)
                    left = (tokens_left - tokens_done) / rate if rate > 0 else None
                    yield run.progress(tuple(fresh), total, left)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)

    def _read(self, patch: PatchPlan) -> _Pixels:
        """Pixels of the kept tokens of a patch; those that cannot be decoded become background."""
        lattice = self.lattice
        t, p, side = lattice.tokens_per_side, lattice.token_px, lattice.patch_px
        if not patch.kept.any():
            return _Pixels(patch, np.zeros((0, p, p, 3), np.uint8), patch.kept)
        step = lattice.step("region")
        region = self.slide.read(
            patch.column * step, patch.row * step, side, side, lattice.spacing, keep=patch.kept
        )
        kept = patch.kept
        if "patch" in self.masking and not region.valid.all():
            kept = kept & region.valid.reshape(t, p, t, p).all(axis=(1, 3))
        tokens = region.pixels.reshape(t, p, t, p, 3).transpose(0, 2, 1, 3, 4)[kept]
        return _Pixels(patch, tokens, kept)

    def _encode(self, batch: list[_Pixels]) -> list[PatchResult]:
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


def _ordered(plan: Plan, focus: tuple[float, float] | None) -> list[PatchPlan]:
    patches = list(plan.patches())
    if focus is None:
        return patches
    step = plan.lattice.step("region")
    x, y = focus[0] / step - 0.5, focus[1] / step - 0.5
    return sorted(patches, key=lambda patch: (patch.column - x) ** 2 + (patch.row - y) ** 2)


def _waves(patches: list[PatchPlan], budget: int) -> list[list[PatchPlan]]:
    """Cut the order of computation into stretches that are read together.

    The first is a single batch, so that something is seen at once.
    """
    waves: list[list[PatchPlan]] = []
    wave: list[PatchPlan] = []
    tokens = 0
    for patch in patches:
        wave.append(patch)
        tokens += int(patch.kept.sum()) + 1
        if tokens >= budget * (WAVE if waves else 1):
            waves.append(wave)
            wave, tokens = [], 0
    return [*waves, wave] if wave else waves


def _batches(wave: list[_Pixels], budget: int) -> list[list[_Pixels]]:
    """Patches of like length together, each batch within the token budget."""
    batches: list[list[_Pixels]] = []
    batch: list[_Pixels] = []
    tokens = 0
    for pixels in sorted(wave, key=lambda pixels: len(pixels.tokens), reverse=True):
        if batch and tokens + len(pixels.tokens) + 1 > budget:
            batches.append(batch)
            batch, tokens = [], 0
        batch.append(pixels)
        tokens += len(pixels.tokens) + 1
    return [*batches, batch] if batch else batches


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    # On the CPU the allocator raises a bare RuntimeError, known by its words alone.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "can't allocate memory" in str(error) or "not enough memory" in str(error)
    )
