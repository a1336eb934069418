"""The region and slide transformers on what is known of a slide, results kept by content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.attention import AttentionPart
from napari_maskvit.explain.patches import Found
from napari_maskvit.explain.regions import RegionAnswer, RegionResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.cache import ResultCache
    from napari_maskvit.explain.patches import PatchResult
    from napari_maskvit.explain.plan import RegionPlan
    from napari_maskvit.model import Model, Prediction
    from napari_maskvit.model.region import RegionTransformer

PATCH_COST = 0.3
"""Of a patch in a region transformer, in tokens of a patch transformer."""


def region_input(
    plan: RegionPlan, results: Sequence[PatchResult], masking: tuple[str, ...]
) -> Found | None:
    """What the region transformer reads of a region; None where the region takes no part."""
    found = [
        (patch, result)
        for patch, result in zip(plan.patches, results, strict=True)
        if result.tissue or "region" not in masking
    ]
    return found if found or "slide" not in masking else None


def encode_regions(
    transformer: RegionTransformer, batch: Sequence[Found], width: int
) -> list[RegionResult]:
    """Run regions through the region transformer.

    Parameters
    ----------
    transformer
        The model's.
    batch
        For each region its kept patches.
    width
        Of a patch feature.
    """
    import torch

    features = [result.feature for found in batch for _, result in found]
    lengths = [len(found) for found in batch]
    encoded = transformer.encode(
        torch.from_numpy(np.array(features, np.float32).reshape(-1, width)),
        torch.tensor([patch.place for found in batch for patch, _ in found], dtype=torch.int64),
        torch.tensor(lengths, dtype=torch.int64),
    )
    attention = np.split(encoded.attention.cpu().numpy(), np.cumsum(lengths)[:-1])
    return [
        RegionResult(
            positions=np.array([patch.place for patch, _ in found], np.int64),
            # Copies, so that a result that stays does not keep its whole batch.
            attention=rows.copy(),
            feature=feature.copy(),
        )
        for found, rows, feature in zip(
            batch, attention, encoded.features.cpu().numpy(), strict=True
        )
    ]


def climb_regions(
    model: Model,
    masking: tuple[str, ...],
    cache: ResultCache,
    items: Sequence[tuple[RegionPlan, Sequence[PatchResult]]],
) -> list[RegionResult | None]:
    """What the region transformer says of regions whose patches are all there.

    Parameters
    ----------
    model, masking
        As the run has them.
    cache
        Read and refilled.
    items
        Regions with the results of their patches.

    Returns
    -------
    list of RegionResult or None
        None where the model has no region transformer, or the region takes no part.
    """
    if model.region is None:
        return [None] * len(items)
    inputs = [region_input(plan, results, masking) for plan, results in items]
    keys = [
        None
        if found is None
        else ("climb", *((patch.place, result.serial) for patch, result in found))
        for found in inputs
    ]
    answers = [None if key is None else cache.get(key) for key in keys]
    stale = [at for at, key in enumerate(keys) if key is not None and answers[at] is None]
    if stale:
        chosen = [found for at in stale if (found := inputs[at]) is not None]
        fresh = encode_regions(model.region, chosen, model.patch.dim)
        for at, result, found in zip(stale, fresh, chosen, strict=True):
            answers[at] = result
            cost = PATCH_COST * (len(found) + 1)
            cache.put(keys[at], result, nbytes=result.nbytes, cost=cost)
    return answers


def climb_slide(
    model: Model, cache: ResultCache, answers: Sequence[RegionAnswer]
) -> tuple[AttentionPart, Prediction | None]:
    """The slide level's attention over regions that take part, and what the model predicts."""
    places = np.array([(answer.plan.row, answer.plan.column) for answer in answers], np.int64)
    regions = [answer.region for answer in answers if answer.region is not None]
    key = ("slide", *(region.serial for region in regions))
    known: tuple[NDArray[np.float32], Prediction | None] | None = cache.get(key)
    if known is None:
        known = _encode_slide(model, regions, places)
        cost = PATCH_COST * (len(regions) + 1)
        cache.put(key, known, nbytes=40 * len(regions) + 2000, cost=cost)
    values, prediction = known
    part = AttentionPart(
        rows=places[:, 0].astype(np.int32),
        columns=places[:, 1].astype(np.int32),
        values=values,
        coverage=np.array([answer.plan.coverage for answer in answers], np.float32),
    )
    return part, prediction


def _encode_slide(
    model: Model, regions: Sequence[RegionResult], places: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Prediction | None]:
    import torch

    assert model.slide is not None
    encoded = model.slide.encode(
        torch.from_numpy(np.array([region.feature for region in regions], np.float32)),
        torch.from_numpy(places),
    )
    prediction = model.predict(encoded.logits) if model.config.head is not None else None
    return encoded.attention.cpu().numpy(), prediction
