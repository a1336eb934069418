"""Which patches a correction puts out of date, at each level."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_maskvit.explain import Heatmap
from napari_maskvit.viewer.layers.stale import Stale, kept_where_stale


@pytest.fixture
def stale():
    """Regions of two by two patches of four tokens, 16 px a token at 0.5 µm: 32 µm a patch."""
    patch = SimpleNamespace(shape=(16, 24), step=16.0, window=4)
    region = SimpleNamespace(shape=(4, 6), step=64.0, window=2)
    made = Stale(SimpleNamespace(layers=[]))
    made.lay_out(SimpleNamespace(levels={"patch": patch, "region": region}, slide_spacing=0.5))
    return made


def test_only_patches_that_changed(stale):
    where = np.zeros((10, 20), bool)
    where[9, 19] = True
    stale.add((slice(8, 18), slice(0, 20)), where, 2.0)  # row 17, column 19 of 16 px a patch
    assert np.argwhere(stale.patches).tolist() == [[1, 1]]
    assert np.argwhere(stale.cells("region")).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert stale.cells("slide").all()
    stale.done([(1, 1), (99, 99)])
    assert not stale.any
    assert not stale.cells("slide").any()


def test_any_pixel_of_any_size_counts_once(stale):
    rng = np.random.default_rng(0)
    for um in (1.0, 2.0, 5.0, 7.3):
        shape = (int(4 * 32 / um), int(6 * 32 / um))
        where = rng.random(shape) < 0.01
        stale.clear()
        stale.add((slice(0, shape[0]), slice(0, shape[1])), where, um)
        rows, columns = np.nonzero(where)
        expected = np.zeros_like(stale.patches)
        expected[((rows + 0.5) * um / 32).astype(int), ((columns + 0.5) * um / 32).astype(int)] = 1
        np.testing.assert_array_equal(stale.patches, expected)


def test_an_unfinished_picture_keeps_what_waits():
    before = Heatmap(
        np.full((8, 12), 0.5, np.float32), 16, 8, "patch", "mean", "rank", "slide", (0, 1)
    )
    array = np.full((8, 12), 0.9, np.float32)
    array[:4, :4] = np.nan  # a patch that is not there yet
    array[4:, 8:] = np.nan  # glass
    fresh = Heatmap(array, 16, 8, "patch", "mean", "rank", "slide", (0, 1))
    waiting = np.zeros((2, 3), bool)
    waiting[0, 0] = True
    made = kept_where_stale(fresh, before, waiting)
    assert (made[:4, :4] == 0.5).all()
    assert np.isnan(made[4:, 8:]).all()
    np.testing.assert_array_equal(kept_where_stale(fresh, None, waiting), array)
