"""The region and slide transformers on a slide that one patch, or one region, is missing of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.climb import encode_regions, region_input

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_maskvit.explain.patches import Found
    from napari_maskvit.explain.plan import Plan
    from napari_maskvit.explain.regions import RegionAnswer
    from napari_maskvit.model import Model

PATCHES_AT_ONCE = 4096
PAIRS_AT_ONCE = 1 << 22
"""Bounds on a batch: patches in the region transformer, pairs of regions in the slide one."""

Logits = list["Tensor | None"]
Batch = tuple[list[tuple[int, int]], Logits]


def regions_left_out(model: Model, plan: Plan, answers: Sequence[RegionAnswer]) -> Iterator[Batch]:
    """Places of regions, and the slide's logits without each; None where nothing is left."""
    slide = _Regions(model, answers)
    for start in range(0, len(answers), slide.at_once):
        gone = list(range(start, min(start + slide.at_once, len(answers))))
        places = [(answers[at].plan.row, answers[at].plan.column) for at in gone]
        yield places, slide.answers(gone, [None] * len(gone))


def patches_left_out(model: Model, plan: Plan, answers: Sequence[RegionAnswer]) -> Iterator[Batch]:
    """Places of patches, and the slide's logits without each; None where nothing is left."""
    slide = _Regions(model, answers)
    for batch in _variants(plan, answers, slide.at_once):
        features = _encode([found for *_, found in batch], model)
        places = [(patch_row, patch_column) for _, (patch_row, patch_column), _ in batch]
        yield places, slide.answers([at for at, *_ in batch], features)


def _variants(
    plan: Plan, answers: Sequence[RegionAnswer], most: int
) -> Iterator[list[tuple[int, tuple[int, int], Found | None]]]:
    """Number of the region, place of the patch, and what is left of the region, in batches."""
    batch: list[tuple[int, tuple[int, int], Found | None]] = []
    patches = 0
    for at, answer in enumerate(answers):
        found = region_input(answer.plan, answer.results, plan.masking)
        assert found is not None
        for gone, (patch, _) in enumerate(found):
            left = _what_is_left(answer, found, gone, plan.masking, plan.threshold)
            batch.append((at, (patch.row, patch.column), left))
            patches += len(found)
            if patches >= PATCHES_AT_ONCE or len(batch) >= most:
                yield batch
                batch, patches = [], 0
    if batch:
        yield batch


def _what_is_left(
    answer: RegionAnswer, found: Found, gone: int, masking: tuple[str, ...], threshold: float
) -> Found | None:
    """A region's patches without one; None where the region then takes no part."""
    left = found[:gone] + found[gone + 1 :]
    if "slide" not in masking:
        return left
    coverage = answer.plan.patch_coverage.copy()
    coverage.flat[found[gone][0].place] = 0
    return left if left and coverage.mean() > threshold else None


def _encode(variants: Sequence[Found | None], model: Model) -> list[NDArray[np.float32] | None]:
    """Features of regions; None where a region takes no part."""
    assert model.region is not None
    there = [found for found in variants if found is not None]
    encoded = iter(encode_regions(model.region, there, model.patch.dim) if there else [])
    return [None if found is None else next(encoded).feature for found in variants]


class _Regions:
    """The slide transformer on all regions but for one that is another, or gone."""

    def __init__(self, model: Model, answers: Sequence[RegionAnswer]) -> None:
        import torch

        assert model.slide is not None
        self.slide = model.slide
        features = [answer.region.feature for answer in answers if answer.region is not None]
        places = [(answer.plan.row, answer.plan.column) for answer in answers]
        weight = model.slide.classifier.weight
        self.features = torch.from_numpy(np.array(features, np.float32)).to(weight)
        self.places = torch.tensor(places, dtype=torch.int64, device=weight.device)
        self.at_once = max(1, PAIRS_AT_ONCE // (len(features) ** 2 + 64 * len(features)))

    def answers(self, at: Sequence[int], features: Sequence[NDArray[np.float32] | None]) -> Logits:
        """Logits [C] for each; None where no region is left."""
        import torch

        count = len(self.features)
        logits: Logits = [None] * len(at)
        kept = [index for index, feature in enumerate(features) if feature is not None]
        gone = [index for index, feature in enumerate(features) if feature is None]
        with torch.inference_mode():
            if kept:
                states = self.features.expand(len(kept), -1, -1).clone()
                fresh = torch.from_numpy(np.array([features[index] for index in kept]))
                states[torch.arange(len(kept)), [at[index] for index in kept]] = fresh.to(states)
                places = self.places.expand(len(kept), -1, -1)
                for index, row in zip(kept, self.slide(states, places)[0], strict=True):
                    logits[index] = row
            if gone and count > 1:
                left = torch.tensor(
                    [[one for one in range(count) if one != at[index]] for index in gone],
                    device=self.places.device,
                )
                answers = self.slide(self.features[left], self.places[left])[0]
                for index, row in zip(gone, answers, strict=True):
                    logits[index] = row
        return logits
