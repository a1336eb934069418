"""The difference of two explanations: nothing of itself, signed, centred, gain and loss apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import Explainer
from napari_maskvit.explain.change import change, heatmap_change, level_change
from napari_maskvit.tissue import TissueMask

LEVELS = ("patch", "region", "slide", "factorised")


@pytest.fixture
def explainer(slide, model):
    return Explainer(slide, model)


@pytest.fixture
def then(explainer, mask):
    return explainer.explain(mask)


@pytest.fixture
def erased(mask):
    array = mask.array.copy()
    array[:, 100:] = 0
    return TissueMask(array, mask.spacing)


@pytest.mark.parametrize("normalisation", ["rank", "min-max", "relative"])
@pytest.mark.parametrize("level", LEVELS)
def test_an_explanation_against_itself_is_nothing(then, level, normalisation):
    same = level_change(then, then, level, normalisation=normalisation)
    kept = np.isfinite(then.heatmap(level).array)
    np.testing.assert_array_equal(np.isfinite(same.array), kept)
    assert not same.array[kept].any()
    assert same.limits[0] == -same.limits[1] < 0
    whole = change(then, then)
    assert (whole.gained_mm2, whole.lost_mm2) == (0, 0)
    assert whole.now is whole.then


def test_it_is_signed_and_undone_by_its_reverse(explainer, then, erased):
    now = explainer.explain(erased)
    for level in LEVELS:
        forth, back = level_change(now, then, level), level_change(then, now, level)
        np.testing.assert_array_equal(forth.array, -back.array)
        assert forth.limits == back.limits


def test_what_was_dropped_loses_what_it_had(explainer, then, erased):
    now = explainer.explain(erased)
    made = level_change(now, then, "patch")
    before, after = (
        then.heatmap("patch", normalisation="relative").array,
        now.heatmap("patch").array,
    )
    dropped = np.isfinite(before) & np.isnan(after)
    assert dropped.any()
    np.testing.assert_array_equal(made.array[dropped], -before[dropped])
    assert np.isnan(made.array[np.isnan(before) & np.isnan(after)]).all()
    assert (np.abs(made.array[dropped]) <= made.limits[1]).mean() > 0.9


def test_areas_are_those_of_the_masks(explainer, then, erased, mask):
    now = explainer.explain(erased)
    found = change(now, then)
    expected = erased.difference(mask)
    assert found.gained_mm2 == 0
    assert found.lost_mm2 == pytest.approx(expected.removed_mm2, rel=1e-5)
    back = change(then, now)
    assert back.gained_mm2 == pytest.approx(expected.removed_mm2, rel=1e-5)
    assert found.then is then.prediction
    assert found.now is now.prediction


def test_plain_attention_compares_with_masked(slide, model, then, mask):
    plain = Explainer(slide, model, masking=("slide",)).explain(mask)
    made = level_change(then, plain, "patch")
    only_plain = np.isnan(then.heatmap("patch").array) & np.isfinite(plain.heatmap("patch").array)
    assert only_plain.any()
    assert (made.array[only_plain] <= 0).all()
    assert change(then, plain).gained_mm2 == pytest.approx(0, abs=1e-9)


def test_lattices_of_two_models_meet_on_the_finer(then):
    fine = then.heatmap("patch", normalisation="relative")
    pooled = fine.array[::2, ::2]
    coarse = replace(fine, array=pooled, step=fine.step * 2, spacing=fine.spacing * 2)
    made = heatmap_change(coarse, fine)
    assert made.array.shape == fine.array.shape
    assert made.step == fine.step
    corner = made.array[::2, ::2]
    kept = np.isfinite(corner)
    assert kept.any()
    assert not corner[kept].any()
    repeated = np.nan_to_num(pooled.repeat(2, 0).repeat(2, 1)[: fine.array.shape[0]])
    np.testing.assert_allclose(
        np.nan_to_num(made.array), repeated - np.nan_to_num(fine.array), atol=1e-6
    )


def test_other_slides_and_missing_levels_are_told(then):
    with pytest.raises(ExplainError, match="different slides"):
        change(replace(then, slide_identity="another"), then)
    lacks = replace(then, levels={"patch": then.levels["patch"]})
    with pytest.raises(ExplainError, match="no region level before"):
        level_change(then, lacks, "region")
