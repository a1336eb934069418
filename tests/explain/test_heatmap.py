"""Normalising, factorising and colouring attention."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_maskvit.errors import ExplainError
from napari_maskvit.explain import LevelAttention
from napari_maskvit.explain.ground import Ground
from napari_maskvit.explain.heatmap import factorised_heatmap, level_heatmap
from napari_maskvit.explain.normalise import normalise

SIDE = {"patch": 4, "region": 2, "slide": None}
STEP = {"patch": 16.0, "region": 64.0, "slide": 128.0}


def level(name: str, shape: tuple[int, int], seed: int, heads: int = 3) -> LevelAttention:
    """Random attention on a random part of a lattice."""
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(random.random(shape) < 0.6)
    return LevelAttention(
        level=name,
        rows=rows.astype(np.int32),
        columns=columns.astype(np.int32),
        values=random.random((len(rows), heads), dtype=np.float32) + 1e-3,
        coverage=np.ones(len(rows), np.float32),
        shape=shape,
        step=STEP[name],
        window=SIDE[name],
    )


def hierarchy(seed: int) -> dict[str, LevelAttention]:
    """Three levels over two by three regions, all positions kept."""
    random = np.random.default_rng(seed)
    levels = {}
    for name, shape, heads in (("patch", (16, 24), 3), ("region", (4, 6), 3), ("slide", (2, 3), 1)):
        rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        values = random.random((len(rows), heads), dtype=np.float32)
        levels[name] = LevelAttention(
            name, rows.astype(np.int32), columns.astype(np.int32), values,
            np.ones(len(rows), np.float32), shape, STEP[name], SIDE[name],
        )  # fmt: skip
    return levels


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scope=st.sampled_from(["slide", "window"]))
def test_rank_is_the_share_of_kept_values_strictly_smaller(seed: int, scope: str) -> None:
    attention = level("patch", (12, 16), seed)
    if not len(attention.rows):
        return
    windows = attention.windows()
    counts = np.array([(windows == window).sum() for window in windows])
    relative = attention.pooled("mean").astype(float) * counts
    expected = [
        np.mean(relative[windows == windows[k] if scope == "window" else slice(None)] < value)
        for k, value in enumerate(relative)
    ]
    np.testing.assert_allclose(normalise(attention, "mean", "rank", scope), expected, atol=1e-6)


def test_ties_share_their_rank() -> None:
    attention = level("slide", (2, 4), 0, heads=1)
    even = LevelAttention(
        "slide", attention.rows, attention.columns, np.ones_like(attention.values),
        attention.coverage, attention.shape, attention.step, None,
    )  # fmt: skip
    assert (normalise(even, "mean", "rank") == 0).all()
    assert (normalise(even, "mean", "min-max") == 0).all()


@pytest.mark.parametrize("scope", ["slide", "window"])
def test_min_max_spans_zero_to_one_in_every_group(scope: str) -> None:
    attention = level("patch", (12, 16), 3)
    values = normalise(attention, 1, "min-max", scope)
    windows = attention.windows() if scope == "window" else np.zeros(len(values), int)
    for window in np.unique(windows):
        group = values[windows == window]
        assert group.min() == 0
        assert group.max() == (1 if len(group) > 1 else 0)


def test_even_attention_is_one_everywhere_however_little_tissue_a_window_has() -> None:
    attention = level("patch", (12, 16), 5)
    windows = attention.windows()
    even = (1 / np.bincount(windows)[windows]).astype(np.float32)[:, None]
    flat = LevelAttention(
        "patch", attention.rows, attention.columns, even, attention.coverage,
        attention.shape, attention.step, attention.window,
    )  # fmt: skip
    for scope in ("slide", "window"):
        np.testing.assert_allclose(normalise(flat, "mean", "relative", scope), 1, rtol=1e-6)


def test_background_is_transparent_and_kept_values_are_not() -> None:
    attention = level("patch", (12, 16), 7)
    heatmap = level_heatmap(attention, slide_spacing=0.5)
    kept = np.zeros(attention.shape, bool)
    kept[attention.rows, attention.columns] = True
    assert (np.isfinite(heatmap.array) == kept).all()
    rgba = heatmap.colourise("inferno")
    assert (rgba[..., 3] == np.where(kept, 255, 0)).all()
    assert (rgba[~kept] == 0).all()
    assert heatmap.spacing == pytest.approx(8.0)


@pytest.mark.parametrize("name", ["region", "slide"])
def test_coarser_levels_lie_on_kept_tokens_alone(name: str) -> None:
    levels = hierarchy(4)
    levels["patch"] = some = level("patch", (16, 24), 4)
    heatmap = level_heatmap(levels[name], 0.5, ground=Ground.of(levels))
    own = level_heatmap(levels[name], 0.5)
    assert heatmap.array.shape == some.shape
    assert (heatmap.step, heatmap.spacing) == (some.step, some.step * 0.5)
    assert heatmap.limits == own.limits
    side = round(own.step / some.step)
    expected = np.kron(own.array, np.ones((side, side)))
    kept = np.isfinite(level_heatmap(some, 0.5).array)
    np.testing.assert_array_equal(np.isfinite(heatmap.array), kept)
    np.testing.assert_allclose(heatmap.array[kept], expected[kept])


def test_a_position_without_a_finer_one_is_shown_whole_and_no_background_past_the_slide() -> None:
    levels = hierarchy(4)
    every = levels["patch"]
    kept = ~((every.rows < 4) & (every.columns < 4))  # the first patch holds no token
    levels["patch"] = LevelAttention(
        "patch", every.rows[kept], every.columns[kept], every.values[kept],
        ((every.rows < 15) | (every.columns == 7))[kept].astype(np.float32),
        every.shape, every.step, every.window,
    )  # fmt: skip
    ground = Ground.of(levels, (15 * 16 - 3, 24 * 16))
    region = level_heatmap(levels["region"], 0.5, ground=ground)
    assert np.isfinite(region.array[:15]).all()
    # Past the edge there is no background, and tissue where the mask reaches over.
    past = np.isfinite(region.array[15])
    assert np.flatnonzero(past).tolist() == [7]
    own = level_heatmap(levels["region"], 0.5)
    assert (region.array[:4, :4] == own.array[0, 0]).all()
    patch = level_heatmap(levels["patch"], 0.5, ground=ground)
    assert np.isnan(patch.array[:4, :4]).all()
    assert np.flatnonzero(np.isfinite(patch.array[15])).tolist() == [7]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    gamma=st.floats(0, 1),
    frozen=st.sets(st.sampled_from(["patch", "region", "slide"])),
    combine=st.sampled_from(["average", "multiply"]),
    normalisation=st.sampled_from(["rank", "min-max"]),
)
def test_factorised_stays_within_zero_and_one_for_every_gamma(
    seed: int, gamma: float, frozen: set[str], combine: str, normalisation: str
) -> None:
    heatmap = factorised_heatmap(
        hierarchy(seed), 0.5, frozen=tuple(frozen), gamma=gamma, combine=combine,
        normalisation=normalisation,
    )  # fmt: skip
    assert heatmap.array.shape == (16, 24)
    assert np.nanmin(heatmap.array) >= 0
    assert np.nanmax(heatmap.array) <= 1


@pytest.mark.parametrize(
    ("gamma", "combine", "shown"),
    [(0.0, "average", "patch"), (0.0, "multiply", "patch")],
)
def test_gamma_zero_shows_the_frozen_level_alone(gamma: float, combine: str, shown: str) -> None:
    levels = hierarchy(1)
    heatmap = factorised_heatmap(levels, 0.5, frozen=("patch",), gamma=gamma, combine=combine)
    alone = level_heatmap(levels[shown], 0.5)
    np.testing.assert_allclose(heatmap.array, alone.array, atol=1e-6)


def test_factorised_average_is_the_weighted_mean_of_the_levels() -> None:
    levels = hierarchy(2)
    heatmap = factorised_heatmap(levels, 0.5, frozen=("patch",), gamma=0.3)
    patch = level_heatmap(levels["patch"], 0.5).array
    region = np.kron(level_heatmap(levels["region"], 0.5).array, np.ones((4, 4)))
    slide = np.kron(level_heatmap(levels["slide"], 0.5).array, np.ones((8, 8)))
    expected = (0.7 * patch + 0.3 * region + 0.3 * slide) / 1.3
    np.testing.assert_allclose(heatmap.array, expected, atol=1e-6)


def test_a_level_with_one_position_does_not_darken_the_factorised_map() -> None:
    levels = hierarchy(3)
    one = levels["slide"]
    levels["slide"] = LevelAttention(
        "slide", one.rows[:1], one.columns[:1], one.values[:1], one.coverage[:1], (1, 1), 1e6, None
    )
    with_slide = factorised_heatmap(levels, 0.5, frozen=(), gamma=0.5, combine="multiply")
    del levels["slide"]
    without = factorised_heatmap(levels, 0.5, frozen=(), gamma=0.5, combine="multiply")
    np.testing.assert_allclose(with_slide.array, without.array, atol=1e-6)


def test_background_mass_is_the_share_of_attention_on_uncovered_positions() -> None:
    attention = LevelAttention(
        "region", np.arange(4, dtype=np.int32), np.zeros(4, np.int32),
        np.array([[0.1], [0.2], [0.3], [0.4]], np.float32),
        np.array([0, 0.5, 0, 1], np.float32), (4, 1), 1.0, 4,
    )  # fmt: skip
    assert attention.background_mass(0.0) == pytest.approx(0.4)
    assert attention.background_mass(0.5) == pytest.approx(0.6)


def test_a_saved_heatmap_carries_its_spacing(tmp_path) -> None:
    heatmap = level_heatmap(level("patch", (12, 16), 7), slide_spacing=0.5)
    path = heatmap.save(tmp_path / "patch.tif")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        numerator, denominator = page.tags["XResolution"].value
        assert page.tags["ResolutionUnit"].value == 3
        assert 1e4 / (numerator / denominator) == pytest.approx(8.0, rel=1e-4)
        np.testing.assert_array_equal(page.asarray(), heatmap.array)
    assert [item.name for item in tmp_path.iterdir()] == ["patch.tif"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"normalisation": "softmax"}, "normalisation is 'softmax'"),
        ({"scope": "page"}, "scope is 'page'"),
        ({"head": 3}, "no head 3"),
        ({"head": "median"}, "no head 'median'"),
    ],
)
def test_unknown_choices_are_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(ExplainError, match=says):
        level_heatmap(level("patch", (12, 16), 7), 0.5, **change)


def test_an_unknown_colormap_is_named() -> None:
    with pytest.raises(ExplainError, match="no colormap 'nosuchmap'"):
        level_heatmap(level("patch", (12, 16), 7), 0.5).colourise("nosuchmap")


def test_factorising_one_level_says_what_is_missing() -> None:
    with pytest.raises(ExplainError, match="at least two levels"):
        factorised_heatmap({"patch": level("patch", (8, 8), 0)}, 0.5, frozen=())
