"""Shifted grids: each copy a run of its own, the mean never a blur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import Explainer
from napari_maskvit.explain.granular import granular_factorised, granular_steps
from napari_maskvit.model import Model
from napari_maskvit.slide import Slide
from napari_maskvit.tissue import TissueMask

from .conftest import write_slide


def padded(array: np.ndarray, down: int, right: int, value: int) -> np.ndarray:
    width = [(down, 0), (right, 0), (0, 0)][: array.ndim]
    return np.pad(array, width, constant_values=value)


@pytest.mark.parametrize(("level", "unit"), [("patch", 32), ("region", 64)])
def test_every_copy_is_the_explanation_of_a_shifted_slide(
    opened: Callable[..., Slide],
    tmp_path: Path,
    pixels: np.ndarray,
    slide: Slide,
    model: Model,
    mask: TissueMask,
    level: str,
    unit: int,
) -> None:
    granular = Explainer(slide, model).granular(mask, level)
    assert granular.complete
    assert [shift for shift, _ in granular.copies] == [
        (0, 0), (0, unit), (unit, 0), (unit, unit),
    ]  # fmt: skip
    for (down, right), attention in granular.copies:
        moved = opened(
            write_slide(tmp_path / f"{down}-{right}.tif", padded(pixels, down, right, 255))
        )
        # A mask pixel is 4 slide pixels here.
        array = padded(mask.array, down // 4, right // 4, 0)
        expected = Explainer(moved, model).explain(TissueMask(array, mask.spacing)).levels[level]
        np.testing.assert_array_equal(attention.rows, expected.rows)
        np.testing.assert_array_equal(attention.columns, expected.columns)
        np.testing.assert_array_equal(attention.coverage, expected.coverage)
        np.testing.assert_allclose(attention.values, expected.values, atol=1e-6)


@pytest.mark.parametrize(("level", "divisions"), [("patch", 2), ("patch", 3), ("region", 4)])
def test_a_cell_is_the_mean_of_what_covers_it(
    slide: Slide, model: Model, mask: TissueMask, level: str, divisions: int
) -> None:
    explainer = Explainer(slide, model)
    granular = explainer.granular(mask, level, divisions=divisions)
    heatmap = granular.heatmap(normalisation="relative", head=1)
    tokens = explainer.explain(mask).attention("patch") > 0
    cell_px = round(heatmap.spacing / granular.lattice.spacing)
    assert len(granular.copies) == divisions**2
    random = np.random.default_rng(0)
    for row, column in random.integers(0, heatmap.array.shape, (200, 2)):
        middle = (np.array([row, column]) + 0.5) * cell_px
        seen = []
        for shift, attention in granular.copies:
            windows = attention.windows()
            relative = attention.values[:, 1] * np.bincount(windows)[windows]
            at = ((middle + shift) // (attention.step)).astype(int)
            there = (attention.rows == at[0]) & (attention.columns == at[1])
            seen += relative[there].tolist()
        if seen and (level == "patch" or tokens[row, column]):
            assert heatmap.array[row, column] == pytest.approx(np.mean(seen), rel=1e-5)
        else:
            assert np.isnan(heatmap.array[row, column])


def test_background_stays_background_and_the_lattice_fits_the_slide(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    granular = Explainer(slide, model).granular(mask, "patch")
    heatmap = granular.heatmap()
    assert granular.cell_px == 16
    assert heatmap.array.shape == (32, 44)
    covered = mask.coverage(0, 0, heatmap.spacing, *heatmap.array.shape) > 0
    np.testing.assert_array_equal(np.isfinite(heatmap.array), covered)
    assert np.nanmin(heatmap.array) >= 0
    assert np.nanmax(heatmap.array) <= 1
    assert heatmap.legend.endswith("mean over 4 shifted grids")


def test_grids_shifted_by_whole_patches_read_nothing_new(
    slide: Slide, model: Model, mask: TissueMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(slide, model)
    explainer.explain(mask)
    monkeypatch.setattr(explainer.model.patch, "encode", None)
    assert explainer.granular(mask, "region").complete


def test_a_correction_computes_what_it_touched_on_each_grid(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    explainer.granular(mask, "patch")
    computed = []
    encode = explainer.model.patch.encode
    explainer.model.patch.encode = lambda *args: computed.append(len(args[2])) or encode(*args)
    explainer.granular(mask, "patch")
    assert not computed
    array = mask.array.copy()
    array[34:40, 40:46] = 0
    corrected = TissueMask(array, mask.spacing)
    granular = explainer.granular(corrected, "patch")
    assert 4 <= sum(computed) <= 16
    scratch = Explainer(slide, model).granular(corrected, "patch").heatmap(normalisation="relative")
    np.testing.assert_allclose(
        granular.heatmap(normalisation="relative").array, scratch.array, atol=1e-5
    )


def test_memory_is_bounded_and_corrections_keep_theirs(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    explainer.explain(mask)
    bound = int(explainer.cache.nbytes * 1.1)
    explainer = Explainer(slide, model, cache_bytes=bound)
    explainer.explain(mask)
    explainer.granular(mask, "patch", divisions=4)
    assert explainer.shifted_cache.nbytes <= bound
    assert explainer.explain(mask).statistics.computed_patches == 0


def test_cancelled_midway_the_grids_that_are_done_are_shown(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    shares: list[float] = []
    granular = explainer.granular(mask, progress=shares.append, cancelled=lambda: shares[-1] > 0.5)
    assert not granular.complete
    assert len(granular.copies) == 2
    assert np.isfinite(granular.heatmap().array).any()
    assert shares == sorted(shares)
    nothing = next(granular_steps(Explainer(slide, model), mask)).snapshot()
    assert np.isnan(nothing.heatmap().array).all()


def test_what_cannot_be_shifted_is_said(slide: Slide, model: Model, mask: TissueMask) -> None:
    config = model.config.model_copy(update={"region": None, "slide": None, "head": None})
    encoder = Explainer(slide, replace(model, config=config, region=None, slide=None))
    with pytest.raises(ExplainError, match="no grid to shift at level 'region'; it has: patch"):
        encoder.granular(mask, "region")
    with pytest.raises(ExplainError, match="whole number from 1 to 8"):
        encoder.granular(mask, "patch", divisions=9)
    assert encoder.granular(mask, "patch").complete


def test_all_levels_in_one_take_the_finer_ones(
    slide: Slide, model: Model, mask: TissueMask
) -> None:
    explainer = Explainer(slide, model)
    explanation = explainer.explain(mask)
    finer = {name: explainer.granular(mask, name).heatmap() for name in ("patch", "region")}
    heatmap = granular_factorised(explanation, finer, gamma=0.3, combine="average")
    plain = explanation.heatmap("factorised", gamma=0.3)
    assert heatmap.level == "factorised"
    assert heatmap.legend.endswith("mean over 4 shifted grids")
    kept = np.isfinite(plain.array)
    np.testing.assert_array_equal(np.isfinite(heatmap.array), kept)
    tuned = [name for name in explanation.levels if name not in explanation.frozen]
    weights = {name: 0.3 if name in tuned else 0.7 for name in explanation.levels}
    slide_level = explanation.heatmap("slide").array
    rows, columns = finer["patch"].array.shape
    expected = sum(
        weights[name] * picture[:rows, :columns]
        for name, picture in (
            ("patch", finer["patch"].array),
            ("region", finer["region"].array),
            ("slide", slide_level),
        )
    ) / sum(weights.values())
    seen = kept[: expected.shape[0], : expected.shape[1]]
    np.testing.assert_allclose(heatmap.array[:rows, :columns][seen], expected[seen], atol=1e-5)
