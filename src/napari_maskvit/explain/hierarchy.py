"""From patch results up the hierarchy: region and slide transformers, and the explanation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from napari_maskvit.explain.attention import AttentionPart, LevelAttention
from napari_maskvit.explain.caveats import caveats
from napari_maskvit.explain.climb import climb_regions, climb_slide
from napari_maskvit.explain.explanation import Explanation, Statistics
from napari_maskvit.explain.lattice import LEVELS
from napari_maskvit.explain.patch_features import FeaturePart, PatchFeatures, maker_of
from napari_maskvit.explain.progress import Progress
from napari_maskvit.explain.regions import RegionAnswer, patch_attention, token_attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_maskvit.explain.cache import ResultCache
    from napari_maskvit.explain.patches import Found, PatchResult
    from napari_maskvit.explain.plan import PatchPlan, Plan, RegionPlan
    from napari_maskvit.model import Model, Prediction
    from napari_maskvit.slide import Slide

ANSWER_COST = 10.0
"""Of joining what is known of a region, in tokens of a patch transformer."""

REGION_BATCH = 64


@dataclass
class _Work:
    """One region of a run: its answer, or the patches that are there so far."""

    plan: RegionPlan
    answer: RegionAnswer | None = None
    results: dict[int, PatchResult] = field(default_factory=dict)
    partial: tuple[int, AttentionPart] | None = None

    @property
    def done(self) -> int:
        return len(self.answer.results if self.answer else self.results)

    @property
    def found(self) -> Found:
        """Patches that are there, in the plan's order."""
        return [
            (patch, self.results[patch.place])
            for patch in self.plan.patches
            if patch.place in self.results
        ]


class Run:
    """Collects the patches of one run and climbs from them to the prediction.

    Parameters
    ----------
    slide, model, device, precision
        What is explained with what.
    plan
        What is kept.
    cache
        Results of earlier runs; read and refilled here.
    keep_answers
        Whether the plan's regions may come again, so that their answers are worth keeping.
    """

    def __init__(
        self,
        slide: Slide,
        model: Model,
        plan: Plan,
        device: str,
        precision: str,
        cache: ResultCache,
        *,
        keep_answers: bool = True,
    ) -> None:
        self.slide, self.model, self.plan = slide, model, plan
        self.device, self.precision = device, precision
        self.cache, self.keep_answers = cache, keep_answers
        self.computed = 0
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()
        self._works = [_Work(part) for part in plan.parts]
        self._at = {
            (part.row, part.column): work
            for part, work in zip(plan.parts, self._works, strict=True)
        }
        self.total = sum(len(part.patches) for part in plan.parts)
        self.done = 0

    def recall(self) -> list[PatchPlan]:
        """Take in all that is known; returns the patches that are not."""
        missing: list[PatchPlan] = []
        for work in self._works:
            work.answer = self.cache.get(("region", work.plan.serial))
            if work.answer is not None:
                continue
            for patch in work.plan.patches:
                known = self.cache.get(patch.key)
                if known is None:
                    missing.append(patch)
                else:
                    work.results[patch.place] = known
        self.done = self.total - len(missing)
        return missing

    def add(self, patch: PatchPlan, result: PatchResult) -> None:
        """Take the result of a patch in that was computed in this run."""
        n = self.plan.lattice.patches_per_side
        self.cache.put(patch.key, result, nbytes=result.nbytes, cost=result.tokens + 1.0)
        self._at[patch.row // n, patch.column // n].results[patch.place] = result
        self.computed += 1
        self.done += 1

    def known(self) -> tuple[PatchResult, ...]:
        """Every patch that is there, region after region."""
        return tuple(
            chain.from_iterable(
                work.answer.results if work.answer else work.results.values()
                for work in self._works
            )
        )

    def note_time(self, stage: str, since: float) -> None:
        """Add the wall time since ``since`` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since

    def progress(self, fresh: tuple[PatchResult, ...], seconds_left: float | None) -> Progress:
        """The step that has just been made."""
        return Progress(
            done=self.done,
            total=self.total,
            seconds_left=seconds_left,
            fresh=fresh,
            snapshot=lambda: self.explanation(complete=False),
        )

    def explanation(self, *, complete: bool) -> Explanation:
        """Climb from the patches that are there; the prediction needs all of them."""
        climbing = time.perf_counter()
        answers = self.answers()
        levels = {"patch": self.patch_level()}
        prediction: Prediction | None = None
        if self.model.region is not None:
            levels["region"] = self.region_level()
            taking_part = [answer for answer in answers if answer.region is not None]
            if self.model.slide is not None and complete and taking_part:
                part, prediction = climb_slide(self.model, self.cache, taking_part)
                levels["slide"] = self._level("slide", [part], self.model.slide.heads)
        self.note_time("region and slide", climbing)
        self.seconds["total"] = time.perf_counter() - self._started
        statistics = self._statistics(levels)
        config = self.model.config
        return Explanation(
            slide_name=self.slide.name,
            slide_identity=self.slide.identity,
            slide_shape=self.slide.shape,
            slide_spacing=self.plan.lattice.slide_spacing,
            model_name=self.model.name,
            model_title=config.title,
            model_sha256=self.model.sha256,
            masking=self.plan.masking,
            threshold=self.plan.threshold,
            device=self.device,
            precision=self.precision,
            spacing=self.plan.lattice.spacing,
            levels=levels,
            frozen=tuple(config.frozen),
            prediction=prediction,
            statistics=statistics,
            warnings=caveats(self.slide, config, self.plan, statistics, complete=complete),
            complete=complete,
            features=self._features(),
        )

    def patch_level(self) -> LevelAttention:
        """Attention over tokens, of the patches that are there."""
        parts = [self._token_part(work) for work in self._works]
        return self._level("patch", parts, self.model.patch.heads)

    def region_level(self) -> LevelAttention:
        """Attention over patches, of the regions that are there whole."""
        assert self.model.region is not None
        parts = [answer.region_attention for answer in self.answers()]
        return self._level("region", parts, self.model.region.heads)

    def answers(self) -> list[RegionAnswer]:
        """The regions whose patches are all there, climbed."""
        whole = [
            work
            for work in self._works
            if work.answer is None and len(work.results) == len(work.plan.patches)
        ]
        for start in range(0, len(whole), REGION_BATCH):
            self._climb(whole[start : start + REGION_BATCH])
        return [work.answer for work in self._works if work.answer is not None]

    def _climb(self, works: Sequence[_Work]) -> None:
        items = [
            (work.plan, tuple(work.results[patch.place] for patch in work.plan.patches))
            for work in works
        ]
        regions = climb_regions(self.model, self.plan.masking, self.cache, items)
        lattice = self.plan.lattice
        for work, (plan, patches), region in zip(works, items, regions, strict=True):
            work.answer = RegionAnswer(
                plan=plan,
                results=patches,
                tokens=sum(patch.tokens for patch in patches),
                tissue=sum(patch.tissue for patch in patches),
                attention=self._token_part(work),
                features=FeaturePart.of(work.found),
                region=region,
                region_attention=None if region is None else patch_attention(plan, region, lattice),
            )
            work.results = {}
            if self.keep_answers:
                self._keep(work.answer)

    def _keep(self, answer: RegionAnswer) -> None:
        patches = answer.plan.patches
        for patch, result in zip(patches, answer.results, strict=True):
            if patch.key not in self.cache:
                self.cache.put(patch.key, result, nbytes=result.nbytes, cost=result.tokens + 1.0)
        # An answer whose patches find no room would hold memory that nobody counts.
        if all(patch.key in self.cache for patch in patches):
            self.cache.put(
                ("region", answer.plan.serial),
                answer,
                nbytes=answer.nbytes,
                cost=ANSWER_COST,
                needs=[patch.key for patch in patches],
            )

    def _token_part(self, work: _Work) -> AttentionPart:
        if work.answer is not None:
            return work.answer.attention
        if work.partial is None or work.partial[0] != len(work.results):
            heads = self.model.patch.heads
            part = token_attention(work.plan, work.found, self.plan.lattice, heads)
            work.partial = len(work.results), part
        return work.partial[1]

    def _features(self) -> PatchFeatures:
        parts = (
            work.answer.features if work.answer else FeaturePart.of(work.found)
            for work in self._works
        )
        return PatchFeatures(tuple(parts), self.model.patch.dim, maker_of(self.model.config))

    def _level(
        self, level: str, parts: Sequence[AttentionPart | None], heads: int
    ) -> LevelAttention:
        lattice = self.plan.lattice
        return LevelAttention.of_parts(
            level,
            [part for part in parts if part],
            heads=heads,
            shape=lattice.shape(level),
            step=lattice.step(level),
            window=lattice.window(level),
        )

    def _statistics(self, levels: dict[str, LevelAttention]) -> Statistics:
        lattice, threshold = self.plan.lattice, self.plan.threshold
        tokens = tissue = 0
        for work in self._works:
            if work.answer is not None:
                tokens += work.answer.tokens
                tissue += work.answer.tissue
            else:
                tokens += sum(result.tokens for result in work.results.values())
                tissue += sum(result.tissue for result in work.results.values())
        return Statistics(
            kept={"patch": tokens, "region": tissue, "slide": len(self.plan.parts)},
            total={level: lattice.cells(level) for level in LEVELS},
            background_mass={
                name: attention.background_mass(threshold) for name, attention in levels.items()
            },
            undecodable_tiles=len(self.slide.undecodable),
            computed_patches=self.computed,
            cached_patches=self.done - self.computed,
            seconds=dict(self.seconds),
        )
