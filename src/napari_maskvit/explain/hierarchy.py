"""From patch results up the hierarchy: region and slide transformers, and the explanation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.attention import LevelAttention
from napari_maskvit.explain.caveats import caveats
from napari_maskvit.explain.explanation import Explanation, Statistics
from napari_maskvit.explain.lattice import LEVELS
from napari_maskvit.explain.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_maskvit.explain.patches import PatchResult
    from napari_maskvit.explain.plan import PatchPlan, Plan
    from napari_maskvit.model import Model, Prediction
    from napari_maskvit.slide import Slide

REGION_BATCH = 64


@dataclass(frozen=True)
class RegionResult:
    """A computed region.

    Parameters
    ----------
    patches
        Serial numbers of the patch results that it was computed from.
    positions
        (K,) row-major places of the kept patches in the region.
    attention
        (K, heads) attention of CLS to them, raw.
    feature
        (D,) what the slide transformer reads.
    """

    patches: tuple[int, ...]
    positions: NDArray[np.int64]
    attention: NDArray[np.float32]
    feature: NDArray[np.float32]


class Run:
    """Collects the patches of one run and climbs from them to the prediction.

    Parameters
    ----------
    known_regions
        Region results of earlier runs by (row, column); read and refilled here.
    """

    def __init__(
        self,
        slide: Slide,
        model: Model,
        plan: Plan,
        device: str,
        precision: str,
        known_regions: dict[tuple[int, int], RegionResult],
    ) -> None:
        self.slide, self.model, self.plan = slide, model, plan
        self.device, self.precision = device, precision
        self.known_regions = known_regions
        self.results: dict[tuple[int, int], PatchResult] = {}
        self.computed = 0
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def add(self, patch: PatchPlan, result: PatchResult, *, computed: bool) -> None:
        """Take a patch's result in."""
        self.results[patch.row, patch.column] = result
        self.computed += computed

    def note_time(self, stage: str, since: float) -> None:
        """Add the wall time since ``since`` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since

    def progress(
        self, fresh: tuple[PatchResult, ...], total: int, seconds_left: float | None
    ) -> Progress:
        """The step that has just been made."""
        return Progress(
            done=len(self.results),
            total=total,
            seconds_left=seconds_left,
            fresh=fresh,
            snapshot=lambda: self.explanation(complete=False),
        )

    def explanation(self, *, complete: bool) -> Explanation:
        """Climb from the patches that are there; the prediction needs all of them."""
        climbing = time.perf_counter()
        levels = {"patch": self._patch_level()}
        prediction: Prediction | None = None
        if self.model.region is not None:
            indices, regions = self._regions()
            levels["region"] = self._region_level(indices, regions)
            if self.model.slide is not None and complete and regions:
                levels["slide"], prediction = self._slide_level(indices, regions)
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
        )

    def _patch_level(self) -> LevelAttention:
        lattice = self.plan.lattice
        n, t = lattice.patches_per_side, lattice.tokens_per_side
        results = list(self.results.values())
        index = {(int(r), int(c)): i for i, (r, c) in enumerate(self.plan.regions)}
        kept = np.array([result.kept for result in results], bool).reshape(-1, t, t)
        rows = np.array([result.row for result in results], np.int64)
        columns = np.array([result.column for result in results], np.int64)
        region = np.array(
            [index[result.row // n, result.column // n] for result in results], np.int64
        )
        patch, i, j = np.nonzero(kept)
        heads = self.model.patch.heads
        values = [result.attention for result in results] or [np.zeros((0, heads), np.float32)]
        coverage = self.plan.token_coverage[
            region[patch], rows[patch] % n, columns[patch] % n, i, j
        ]
        return LevelAttention(
            level="patch",
            rows=(rows[patch] * t + i).astype(np.int32),
            columns=(columns[patch] * t + j).astype(np.int32),
            values=np.concatenate(values),
            coverage=coverage,
            shape=lattice.shape("patch"),
            step=lattice.step("patch"),
            window=lattice.window("patch"),
        )

    def _regions(self) -> tuple[list[int], list[RegionResult]]:
        """Results of the regions whose patches are all there, with their places in the plan."""
        indices, inputs = region_inputs(self.plan, self.results)
        return indices, self._encode_regions(indices, inputs)

    def _encode_regions(
        self, indices: list[int], inputs: list[list[tuple[int, PatchResult]]]
    ) -> list[RegionResult]:
        keys = [(int(r), int(c)) for r, c in self.plan.regions[indices]]
        stale = [
            at
            for at, (key, found) in enumerate(zip(keys, inputs, strict=True))
            if key not in self.known_regions
            or self.known_regions[key].patches != tuple(patch.serial for _, patch in found)
        ]
        for start in range(0, len(stale), REGION_BATCH):
            batch = stale[start : start + REGION_BATCH]
            for at, result in zip(batch, self._encode([inputs[at] for at in batch]), strict=True):
                self.known_regions[keys[at]] = result
        return [self.known_regions[key] for key in keys]

    def _encode(self, batch: list[list[tuple[int, PatchResult]]]) -> list[RegionResult]:
        import torch

        assert self.model.region is not None
        width = self.model.patch.dim
        features = [patch.feature for found in batch for _, patch in found]
        lengths = [len(found) for found in batch]
        encoded = self.model.region.encode(
            torch.from_numpy(np.array(features, np.float32).reshape(-1, width)),
            torch.tensor([place for found in batch for place, _ in found], dtype=torch.int64),
            torch.tensor(lengths, dtype=torch.int64),
        )
        attention = np.split(encoded.attention.cpu().numpy(), np.cumsum(lengths)[:-1])
        return [
            RegionResult(
                patches=tuple(patch.serial for _, patch in found),
                positions=np.array([place for place, _ in found], np.int64),
                attention=rows.copy(),
                feature=feature.copy(),
            )
            for found, rows, feature in zip(
                batch, attention, encoded.features.cpu().numpy(), strict=True
            )
        ]

    def _region_level(self, indices: list[int], regions: list[RegionResult]) -> LevelAttention:
        lattice = self.plan.lattice
        n = lattice.patches_per_side
        assert self.model.region is not None
        positions = [region.positions for region in regions] or [np.zeros(0, np.int64)]
        owner = np.repeat(
            np.array(indices, np.int64), [len(region.positions) for region in regions]
        )
        i, j = np.divmod(np.concatenate(positions), n)
        values = [region.attention for region in regions]
        return LevelAttention(
            level="region",
            rows=(self.plan.regions[owner, 0] * n + i).astype(np.int32),
            columns=(self.plan.regions[owner, 1] * n + j).astype(np.int32),
            values=np.concatenate(values or [np.zeros((0, self.model.region.heads), np.float32)]),
            coverage=self.plan.patch_coverage[owner, i, j],
            shape=lattice.shape("region"),
            step=lattice.step("region"),
            window=lattice.window("region"),
        )

    def _slide_level(
        self, indices: list[int], regions: list[RegionResult]
    ) -> tuple[LevelAttention, Prediction | None]:
        import torch

        assert self.model.slide is not None
        places = self.plan.regions[indices]
        encoded = self.model.slide.encode(
            torch.from_numpy(np.array([region.feature for region in regions], np.float32)),
            torch.from_numpy(places),
        )
        lattice = self.plan.lattice
        attention = LevelAttention(
            level="slide",
            rows=places[:, 0].astype(np.int32),
            columns=places[:, 1].astype(np.int32),
            values=encoded.attention.cpu().numpy(),
            coverage=self.plan.region_coverage[indices],
            shape=lattice.shape("slide"),
            step=lattice.step("slide"),
            window=None,
        )
        if self.model.config.head is None:
            return attention, None
        return attention, self.model.predict(encoded.logits)

    def _statistics(self, levels: dict[str, LevelAttention]) -> Statistics:
        lattice, threshold = self.plan.lattice, self.plan.threshold
        positions = {
            "patch": int(sum(result.kept.sum() for result in self.results.values())),
            "region": sum(result.tissue for result in self.results.values()),
            "slide": len(self.plan.regions),
        }
        return Statistics(
            kept=positions,
            total={level: lattice.cells(level) for level in LEVELS},
            background_mass={
                name: attention.background_mass(threshold) for name, attention in levels.items()
            },
            undecodable_tiles=len(self.slide.undecodable),
            computed_patches=self.computed,
            cached_patches=len(self.results) - self.computed,
            seconds=dict(self.seconds),
        )


def region_inputs(
    plan: Plan, results: Mapping[tuple[int, int], PatchResult]
) -> tuple[list[int], list[list[tuple[int, PatchResult]]]]:
    """What the region transformer reads.

    Parameters
    ----------
    plan
        What is kept.
    results
        Patch results by (row, column) in the patch lattice.

    Returns
    -------
    indices : list of int
        Regions of the plan whose patches are all there.
    inputs : list of list of (int, PatchResult)
        For each of them, its patches with their row-major places in it.
    """
    n = plan.lattice.patches_per_side
    keep_empty = "region" not in plan.masking
    indices: list[int] = []
    inputs: list[list[tuple[int, PatchResult]]] = []
    for index, (row, column) in enumerate(plan.regions):
        places = np.argwhere(plan.patch_kept[index])
        patches = [results.get((int(row * n + i), int(column * n + j))) for i, j in places]
        found = [
            (int(i * n + j), patch)
            for (i, j), patch in zip(places, patches, strict=True)
            if patch is not None and (patch.tissue or keep_empty)
        ]
        if any(patch is None for patch in patches):
            continue
        if found or "slide" not in plan.masking:
            indices.append(index)
            inputs.append(found)
    return indices, inputs
