"""Knowing again what an explanation knew that was saved, or made by another engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.explain.patch_features import PatchFeatures, maker_of
from napari_maskvit.explain.patches import PatchResult
from napari_maskvit.explain.plan import PatchKey, patch_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.attention import LevelAttention
    from napari_maskvit.explain.engine import Engine
    from napari_maskvit.explain.explanation import Explanation


@dataclass(frozen=True)
class Recalled:
    """What became of an earlier explanation.

    Parameters
    ----------
    patches
        How many of its patches are known now.
    reason
        Why none is, to follow "is not used: "; empty where some are.
    """

    patches: int = 0
    reason: str = ""


def recall(engine: Engine, explanation: Explanation) -> Recalled:
    """Fill an engine's cache with the patches of an explanation; see `Explainer.recall`."""
    reason = why_not(engine, explanation)
    if reason:
        return Recalled(reason=reason)
    assert explanation.features is not None
    cache, keys = engine.cache, []
    for key, result in _results(explanation.features, explanation.levels["patch"]):
        keys.append(key)
        if key not in cache:
            cache.put(key, result, nbytes=result.nbytes, cost=result.tokens + 1.0)
    known = sum(key in cache for key in keys)
    return Recalled(known, "" if known else "none of its patches can be known again")


def why_not(engine: Engine, explanation: Explanation) -> str:
    """Why an engine cannot go on from an explanation; empty where it can."""
    made, model, features = explanation, engine.model, explanation.features
    lattice = engine.lattice
    device, other_device = (one.partition(":")[0] for one in (engine.device, made.device))
    if features is None:
        return "it was saved by a version that did not keep what is needed for it"
    if made.slide_identity != engine.slide.identity:
        if made.slide_name == engine.slide.name:
            return "the file of the slide is another one, or has changed since"
        return f"it is of another slide, {made.slide_name}"
    if not model.sha256 or made.model_sha256 != model.sha256:
        return f"another model made it, {made.model_title!r}"
    if (made.slide_spacing, made.spacing) != (lattice.slide_spacing, lattice.spacing):
        return f"it took the slide's pixels to be {made.slide_spacing:g} µm wide"
    if made.precision != engine.precision:
        return f"it was computed in {made.precision}, not {engine.precision}"
    if other_device != device:
        return f"it was computed on {other_device}, not {device}"
    if made.masking != engine.masking:
        return f"it masks {_named(made.masking)}, not {_named(engine.masking)}"
    if made.threshold != engine.threshold:
        return f"its threshold is {made.threshold:g}, not {engine.threshold:g}"
    if features.maker != maker_of(model.config) or not _same_lattice(engine, made):
        return "another version of napari-maskvit or of the model's settings made it"
    if made.statistics.undecodable_tiles and "patch" not in made.masking:
        # Unmasked, they were white, and nothing tells which patches saw that.
        return "some of the slide could not be decoded"
    return ""


def _results(
    features: PatchFeatures, tokens: LevelAttention
) -> Iterator[tuple[PatchKey, PatchResult]]:
    """Key and result of each patch, put together from its feature and its tokens' attention."""
    side = tokens.window or 1
    across = -(-tokens.shape[1] // side)
    joined, values = (tokens.rows, tokens.columns), tokens.values
    (down, i), (right, j) = (np.divmod(one.astype(np.int64), side) for one in joined)
    place, patch = i * side + j, down * across + right
    order = np.argsort(patch * side**2 + place, kind="stable")
    patch, place = patch[order], place[order]
    rows, columns = features.rows.tolist(), features.columns.tolist()
    wanted = features.rows.astype(np.int64) * across + features.columns
    starts = np.searchsorted(patch, wanted, side="left").tolist()
    ends = np.searchsorted(patch, wanted, side="right").tolist()
    each = zip(rows, columns, starts, ends, features.values, strict=True)
    for row, column, start, end, feature in each:
        kept = _kept(place[start:end], side)
        yield (
            patch_key(row, column, kept),
            # Copies, so that what stays in the cache does not keep the whole explanation.
            PatchResult(row, column, kept, values[order[start:end]].copy(), feature.copy()),
        )


def _kept(places: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
    kept = np.zeros(side * side, bool)
    kept[places] = True
    return kept.reshape(side, side)


def _same_lattice(engine: Engine, explanation: Explanation) -> bool:
    lattice, tokens = engine.lattice, explanation.levels["patch"]
    there = (tokens.shape, tokens.step, tokens.window)
    return there == (lattice.shape("patch"), lattice.step("patch"), lattice.window("patch"))


def _named(masking: tuple[str, ...]) -> str:
    return ", ".join(masking) or "nothing"
