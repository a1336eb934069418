"""The explainers of a session: one a model and way of running it, with what they remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.work.spare_memory import give_back
from napari_maskvit.viewer.work.torch_import import import_torch, share_cores

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer, Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide

MOST = 2
"""Explainers that are kept: the masked run's and the one beside it."""


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


class Explainers:
    """Makes explainers and keeps the latest ones.

    Attributes
    ----------
    earlier
        Explanations of the slide that others made: an explainer knows what those of its own kind
        know.
    """

    def __init__(self) -> None:
        self._engine = Lock()
        """Held by whatever computes: runs share caches and cores."""
        self.earlier: tuple[Explanation, ...] = ()
        self._kept: dict[tuple[Any, ...], _Kept] = {}

    @contextmanager
    def at_work(
        self,
        slide: Slide,
        model: Model,
        options: RunOptions,
        on_busy: Callable[[], object] = lambda: None,
    ) -> Iterator[Explainer]:
        """The explainer for a slide, a model and options, while nothing else computes.

        For workers: a newer run waits for the older one's last batch, and says so by ``on_busy``.
        """
        if not self._engine.acquire(blocking=False):
            on_busy()
            self._engine.acquire()
        try:
            import_torch()
            share_cores()
            yield self._of(slide, model, options)
        finally:
            give_back()
            self._engine.release()

    def _of(self, slide: Slide, model: Model, options: RunOptions) -> Explainer:
        from napari_maskvit.explain import Explainer

        key = (slide.identity, slide.spacing, model.sha256, options)
        kept = self._kept.pop(key, None)
        while len(self._kept) >= MOST:
            self._kept.pop(next(iter(self._kept)))
        if kept is None:
            made = Explainer(
                slide,
                model,
                masking=options.masking,
                threshold=options.threshold,
                device=options.device,
                precision=options.precision,
            )
            kept = _Kept(made)
        self._kept[key] = kept
        kept.learn(self.earlier)
        return kept.explainer

    @property
    def nbytes(self) -> int:
        """Memory of what they know, in bytes."""
        return sum(kept.explainer.nbytes for kept in self._kept.values())

    def clear(self) -> None:
        """Forget all, as when another slide comes."""
        self._kept, self.earlier = {}, ()


@dataclass
class _Kept:
    """An explainer, and the explanations whose patches it was told."""

    explainer: Explainer
    told: tuple[Explanation, ...] = ()

    def learn(self, earlier: tuple[Explanation, ...]) -> None:
        if self.told is not earlier:
            for explanation in earlier:
                self.explainer.recall(explanation)
            self.told = earlier
