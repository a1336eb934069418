"""A correction costs what it touched: nothing else is read, encoded, joined or climbed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_maskvit.explain import Explainer, LevelAttention
from napari_maskvit.explain import attention as attention_module
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask


def erased(mask: TissueMask, rows: slice, columns: slice) -> TissueMask:
    array = mask.array.copy()
    array[rows, columns] = 0
    return TissueMask(array, mask.spacing)


def shared(left: LevelAttention, right: LevelAttention) -> int:
    return len({id(part) for part in left.parts} & {id(part) for part in right.parts})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch):
    """Sequences that ran through each transformer since it was last asked."""

    def count(explainer: Explainer) -> dict[str, int]:
        runs = {"patch": 0, "region": 0, "slide": 0}
        for level in runs:
            module = getattr(explainer.model, level)
            encode = module.encode

            def counting(*args, level=level, encode=encode):
                runs[level] += 1 if level == "slide" else len(args[2])
                return encode(*args)

            monkeypatch.setattr(module, "encode", counting)
        return runs

    return count


def test_only_the_touched_region_is_made_anew(
    slide: Slide, model: Model, mask: TissueMask, counted
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    runs = counted(explainer)
    first = explainer.explain(mask)
    regions = len(first.levels["patch"].parts)
    assert runs["region"] == regions > 5
    runs.update(patch=0, region=0, slide=0)
    # 64 mask pixels are a region here.
    second = explainer.explain(erased(mask, slice(34, 44), slice(40, 50)))
    assert runs == {"patch": second.statistics.computed_patches, "region": 1, "slide": 1}
    for level in ("patch", "region"):
        assert shared(first.levels[level], second.levels[level]) == regions - 1


def test_undo_runs_nothing(slide: Slide, model: Model, mask: TissueMask, counted) -> None:
    explainer = Explainer(slide, model, precision="float32")
    first = explainer.explain(mask)
    explainer.explain(erased(mask, slice(30, 46), slice(40, 56)))
    runs = counted(explainer)
    decoded = slide.cache.decoded
    undone = explainer.explain(mask)
    assert runs == {"patch": 0, "region": 0, "slide": 0}
    assert slide.cache.decoded == decoded
    assert undone.prediction == first.prediction
    assert shared(undone.levels["patch"], first.levels["patch"]) == len(first.levels["patch"].parts)


def test_a_stroke_within_a_kept_token_changes_coverage_alone(
    slide: Slide, model: Model, mask: TissueMask, counted
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    first = explainer.explain(mask)
    runs = counted(explainer)
    row, column = np.argwhere(mask.tissue)[500]
    second = explainer.explain(erased(mask, slice(row, row + 1), slice(column, column + 1)))
    assert runs == {"patch": 0, "region": 0, "slide": 0}
    assert second.prediction == first.prediction
    change = first.levels["patch"].coverage - second.levels["patch"].coverage
    assert change.sum() == pytest.approx(1 / 16)


def test_order_is_region_after_region_whatever_was_computed_first(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    plain = Explainer(slide, model, precision="float32").explain(mask)
    explainer = Explainer(slide, model, precision="float32")
    explainer.token_budget = 48
    focused = explainer.explain(mask, focus=(600.0, 400.0))
    for level in plain.levels:
        one, other = plain.levels[level], focused.levels[level]
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.columns, other.columns)
        np.testing.assert_array_equal(one.coverage, other.coverage)
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)


def test_joined_arrays_of_a_timeline_are_let_go(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    timeline = []
    for row in range(30, 60, 2):
        timeline.append(explainer.explain(erased(mask, slice(row, row + 2), slice(40, 56))))
        timeline[-1].heatmap("factorised")
    levels = [level for explanation in timeline for level in explanation.levels.values()]
    joined = [level for level in levels if len(level.parts) > 1 and level._flat is not None]
    assert 0 < len(joined) <= attention_module.FLAT_KEPT
    again = timeline[0].levels["patch"]
    assert len(again.rows) == len(again) == timeline[0].statistics.kept["patch"]


def test_the_first_batch_is_small_where_somebody_looks(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model, precision="float32")
    everything = sum(patch.tokens + 1 for patch in explainer.plan(mask).patches())
    explainer.token_budget = everything - 1
    focused = next(explainer.stream(mask, focus=(400.0, 250.0)))
    tokens = sum(patch.tokens for patch in focused.fresh)
    assert 0 < tokens <= 256 + 16
    assert tokens < focused.snapshot().statistics.total["patch"] / 3


def test_what_fits_one_batch_is_one_batch(slide: Slide, model: Model, mask: TissueMask) -> None:
    explainer = Explainer(slide, model, precision="float32")
    patches = list(explainer.plan(mask).patches())
    explainer.token_budget = sum(patch.tokens + 1 for patch in patches)
    first = next(explainer.stream(mask, focus=(400.0, 250.0)))
    assert len(first.fresh) == len(patches)
