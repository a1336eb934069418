"""From missing patches to their results: read ahead, batched, at no more memory than there is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain.patches import PatchResult
from napari_maskvit.explain.reading import Pixels, batches, read_patch, waves

if TYPE_CHECKING:
    from napari_maskvit.explain.hierarchy import Run
    from napari_maskvit.explain.plan import PatchPlan
    from napari_maskvit.explain.progress import Progress
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide

READERS = 2


class PatchComputer:
    """Runs patches through the patch transformer.

    Parameters
    ----------
    slide, model, device
        What is read, what it runs through, and where.
    token_budget
        Tokens a batch; halved where memory does not suffice.
    """

    def __init__(self, slide: Slide, model: Model, device: str, token_budget: int) -> None:
        self.slide, self.model, self.device = slide, model, device
        self.token_budget = token_budget

    def compute(
        self, run: Run, missing: list[PatchPlan], *, watched: bool
    ) -> Generator[Progress, None, None]:
        """Add ``missing`` to a run, a step a batch; the first is small where somebody watches."""
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
            least = self.model.patch.tokens_per_side**2
            self.token_budget = max(least, self.token_budget // 2)
            half = len(batch) // 2
            return self._encode(batch[:half]) + self._encode(batch[half:])
        features = encoded.features.cpu().numpy()
        attention = encoded.attention.cpu().numpy()
        ends = np.cumsum([int(pixels.kept.sum()) for pixels in batch])
        return [
            PatchResult(
                row=pixels.plan.row,
                column=pixels.plan.column,
                # Copies, so that a result that stays in the cache does not keep its whole region's
                # plan, nor its whole batch.
                kept=pixels.kept.copy(),
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
