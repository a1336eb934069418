"""Reads across borders, at any scale, with cells left out, against a dense reference."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import slide_writers as w
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter

from napari_maskvit import open_slide
from napari_maskvit.errors import SlideError, SpacingUnknown

HEIGHT, WIDTH = 310, 270
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
coordinate = st.integers(-150, 400)
side = st.integers(1, 200)


@pytest.fixture(scope="module")
def dense():
    """The picture in a wide white frame; level-0 pixel (0, 0) stands at (FRAME, FRAME)."""
    return w.picture(HEIGHT, WIDTH, seed=3)


@pytest.fixture(scope="module")
def path(tmp_path_factory, dense):
    folder = tmp_path_factory.mktemp("reading")
    return w.write_tiled(folder / "a.tif", dense, tile=(64, 48), levels=2, per_cm=10_000)


@pytest.fixture(scope="module")
def slide(path):
    with open_slide(path) as opened:
        yield opened


def framed(dense, x, y, width, height):
    out = np.full((height, width, 3), 255, np.uint8)
    y0, y1 = max(y, 0), min(y + height, dense.shape[0])
    x0, x1 = max(x, 0), min(x + width, dense.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0 - y : y1 - y, x0 - x : x1 - x] = dense[y0:y1, x0:x1]
    return out


@SETTINGS
@given(x=coordinate, y=coordinate, width=side, height=side)
def test_equals_the_picture_in_a_white_frame(slide, dense, x, y, width, height):
    region = slide.read(x, y, width, height)
    np.testing.assert_array_equal(region.pixels, framed(dense, x, y, width, height))
    assert region.valid.all()


@SETTINGS
@given(
    x=coordinate,
    y=coordinate,
    off=st.floats(-0.49, 0.49),
    spacing=st.sampled_from([None, 1.0, 1.0009, 0.9995]),
)
def test_places_off_by_rounding_are_exact_crops(slide, dense, x, y, off, spacing):
    pixels = slide.read_region(x + off, y - off, 40, 30, spacing)
    np.testing.assert_array_equal(pixels, framed(dense, x, y, 40, 30))


@SETTINGS
@given(x=st.integers(-80, 160), y=st.integers(-80, 160))
def test_a_coarser_level_is_used_where_it_fits(slide, dense, x, y):
    pixels = slide.read_region(2 * x, 2 * y, 50, 40, 2.0)
    np.testing.assert_array_equal(pixels, framed(w.halve(dense), x, y, 50, 40))


@SETTINGS
@example(x=-1.25, y=-1.25, scale=1.002)
@example(x=-1.25, y=-1.25, scale=3.0)
@given(
    x=st.floats(-60, 250), y=st.floats(-60, 250), scale=st.sampled_from([1.002, 1.3, 1.9, 3.0, 7.3])
)
def test_resampled_pixels_are_means_of_what_they_cover(slide, dense, x, y, scale):
    """Against the exact mean of the square; the picture is smooth, its border is not."""
    out = slide.read_region(x, y, 20, 16, scale).astype(float)
    wide = framed(dense, -100, -100, 700, 700)
    expected = area_mean(wide, x + 100, y + 100, 20, 16, scale)
    frame = framed(np.zeros_like(dense), -100, -100, 700, 700)
    white = area_mean(frame, x + 100 - scale, y + 100 - scale, 22, 18, scale)[..., 0]
    alike = (white == white.round()) & np.isin(white.round(), (0, 255))
    alike &= minimum_filter(white, 3) == maximum_filter(white, 3)
    difference = np.abs(out - expected)
    assert difference[alike[1:-1, 1:-1]].max(initial=0) <= 2
    far = difference.max(axis=-1)
    assert (far > 64).sum() <= 1, "white reaches at most a quarter into the first pixel"
    assert far.max() <= 112, "and into the pixel at a corner from both sides: 1 - (3 / 4) ** 2"


def area_mean(picture, x, y, width, height, scale):
    """Means over squares with fractional edges, through an integral image."""
    integral = np.zeros((picture.shape[0] + 1, picture.shape[1] + 1, 3))
    integral[1:, 1:] = picture.astype(float).cumsum(0).cumsum(1)

    def along(table, edges):
        low = np.floor(edges).astype(int)
        part = (edges - low).reshape(-1, *[1] * (table.ndim - 1))
        return table[low] * (1 - part) + table[low + 1] * part

    ys, xs = y + np.arange(height + 1) * scale, x + np.arange(width + 1) * scale
    sums = along(along(integral, ys).swapaxes(0, 1), xs).swapaxes(0, 1)
    return np.diff(np.diff(sums, axis=0), axis=1) / scale**2


@SETTINGS
@given(value=st.integers(0, 255), scale=st.floats(0.4, 9), x=st.floats(40, 60))
def test_resampling_makes_no_brightness(tmp_path_factory, value, scale, x):
    folder = tmp_path_factory.mktemp("flat")
    pixels = np.full((400, 400, 3), value, np.uint8)
    tifffile.imwrite(folder / "flat.tif", pixels, tile=(128, 128), photometric="rgb")
    with open_slide(folder / "flat.tif", spacing=1) as flat:
        assert (flat.read_region(x, x, 20, 20, scale) == value).all()


def test_pieces_join_without_a_seam(slide):
    whole = slide.read_region(10, 20, 120, 100, 1.37)
    parts = [slide.read_region(10 + 40 * 1.37 * k, 20, 40, 100, 1.37) for k in range(3)]
    assert np.abs(np.hstack(parts).astype(int) - whole).max() <= 1


# --- keep ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twin(tmp_path_factory, dense):
    """Write the picture with noise at the pixels of each level that `background` tells."""
    folder = tmp_path_factory.mktemp("twin")

    def write(background):
        rng = np.random.default_rng(11)
        with tifffile.TiffWriter(folder / "twin.tif") as tiff:
            for level, image in enumerate((dense, w.halve(dense))):
                noisy = image.copy()
                bad = background(image.shape[:2], 2**level)
                noisy[bad] = rng.integers(0, 256, (int(bad.sum()), 3), dtype=np.uint8)
                tiff.write(
                    noisy,
                    tile=(64, 48),
                    photometric="rgb",
                    resolution=(10_000 / 2**level,) * 2,
                    resolutionunit="CENTIMETER",
                    subfiletype=level,
                    metadata=None,
                )
        return folder / "twin.tif"

    return write


@SETTINGS
@given(
    x=st.floats(-60, 250),
    y=st.floats(-60, 250),
    scale=st.sampled_from([1.0, 1.002, 1.5, 2.0, 3.3, 0.7]),
    grid=st.sampled_from([(1, 1), (4, 4), (8, 4), (1, 16)]),
    seed=st.integers(0, 99),
)
@example(x=0.0, y=0.0, scale=1.0, grid=(4, 4), seed=0)
def test_left_out_pixels_have_no_influence(slide, twin, x, y, scale, grid, seed):
    keep = np.random.default_rng(seed).random(grid) < 0.4
    width = height = 64

    def background(shape, downsample):
        """Pixels whose centre is in a False cell or outside the rectangle."""
        # Equal spacings are crops at whole pixels.
        same = abs(scale / downsample - 1) < 1e-3
        x0 = np.floor(x / downsample + 0.5) if same else x / downsample
        y0 = np.floor(y / downsample + 0.5) if same else y / downsample
        i = np.floor((np.arange(shape[0]) + 0.5 - y0) * downsample / scale / height * grid[0])
        j = np.floor((np.arange(shape[1]) + 0.5 - x0) * downsample / scale / width * grid[1])
        inside = ((i >= 0) & (i < grid[0]))[:, None] & ((j >= 0) & (j < grid[1]))[None]
        cell = np.ix_(i.clip(0, grid[0] - 1).astype(int), j.clip(0, grid[1] - 1).astype(int))
        return ~(inside & keep[cell])

    expected = slide.read(x, y, width, height, scale, keep)
    with open_slide(twin(background)) as noisy:
        found = noisy.read(x, y, width, height, scale, keep)
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert found.valid.all()
        if not keep.any():
            assert not noisy.cache.decoded


@SETTINGS
@given(x=st.integers(-60, 250), y=st.integers(-60, 250), seed=st.integers(0, 99))
def test_crops_with_keep_are_the_picture_and_white(slide, dense, x, y, seed):
    keep = np.random.default_rng(seed).random((4, 8)) < 0.5
    cells = np.kron(keep, np.ones((16, 8), bool))
    expected = np.where(cells[..., None], framed(dense, x, y, 64, 64), 255)
    np.testing.assert_array_equal(slide.read_region(x, y, 64, 64), framed(dense, x, y, 64, 64))
    np.testing.assert_array_equal(slide.read(x, y, 64, 64, keep=keep).pixels, expected)


@pytest.mark.parametrize("scale", [1.0, 1.002, 1.9, 2.0, 2.5])
def test_only_tiles_under_kept_cells_are_decoded(path, scale):
    keep = np.zeros((4, 4), bool)
    keep[0, 0] = keep[3, 2] = True
    with open_slide(path) as fresh:
        fresh.read(0, 0, 100, 100, scale, keep)
        level = 1 if scale >= 2 else 0
        ratio = scale / fresh.downsamples[level]
        allowed = set()
        for row, column in np.argwhere(keep):
            for i in range(int(row * 25 * ratio) // 64, int((row + 1) * 25 * ratio) // 64 + 1):
                for j in range(
                    int(column * 25 * ratio) // 48, int((column + 1) * 25 * ratio) // 48 + 1
                ):
                    allowed.add((level, i, j))
        assert fresh.cache.decoded
        assert fresh.cache.decoded <= allowed


def test_keep_does_not_use_made_levels(tmp_path, dense):
    """A made level mixes pixels across the edges of cells."""
    path = tmp_path / "large.tif"
    large = np.tile(dense, (8, 10, 1))
    tifffile.imwrite(path, large, tile=(128, 128), photometric="rgb", compression="zstd")
    keep = np.eye(5, dtype=bool)
    with open_slide(path, spacing=1) as big:
        assert big.downsamples == (1, 2)
        big.read(3, 5, 45, 45, 2.0, keep)
        assert {level for level, _, _ in big.cache.decoded} == {0}
        assert all(key[0] == 0 for key in big.cache.decoded)


def test_keep_all_equals_no_keep_for_crops(slide):
    np.testing.assert_array_equal(
        slide.read(7, 9, 64, 64, keep=np.ones((4, 4), bool)).pixels, slide.read_region(7, 9, 64, 64)
    )


@SETTINGS
@given(x=st.floats(0, 100), y=st.floats(0, 100), scale=st.sampled_from([1.002, 1.5, 2.7, 0.7]))
def test_keep_all_lies_where_no_keep_does(slide, x, y, scale):
    """They differ at the rim alone, where no keep sees the pixels beyond."""
    free = slide.read_region(x, y, 40, 40, scale).astype(int)
    kept = slide.read(x, y, 40, 40, scale, np.ones((4, 4), bool)).pixels
    difference = np.abs(free - kept)
    assert difference[3:-3, 3:-3].max() <= 1
    assert difference.max() <= 24


# --- spacing, sizes, sharing ------------------------------------------------------------------


def test_bad_requests_say_why(slide, path):
    with pytest.raises(SlideError, match="0 x 5 px"):
        slide.read(0, 0, 0, 5)
    with pytest.raises(SlideError, match="positive"):
        slide.read(0, 0, 10**6, 10**6)
    with pytest.raises(SlideError, match="finite"):
        slide.read(float("nan"), 0, 5, 5)
    for spacing in (0, -1, float("nan")):
        with pytest.raises(SlideError, match="positive number"):
            slide.read(0, 0, 5, 5, spacing)
        with pytest.raises(SlideError, match="positive number"):
            open_slide(path, spacing=spacing)
    with pytest.raises(SlideError, match="no picture named 'label'"):
        slide.image("label")
    with pytest.raises(SlideError, match="grid"):
        slide.read(0, 0, 5, 5, keep=[True])


def test_unknown_spacing_is_asked_for_and_can_be_given(tmp_path, dense):
    tifffile.imwrite(tmp_path / "a.tif", dense, photometric="rgb")
    with open_slide(tmp_path / "a.tif") as bare:
        for ask in (bare.require_spacing, lambda: bare.size_um, lambda: bare.read(0, 0, 5, 5, 1.0)):
            with pytest.raises(SpacingUnknown, match=r"--spacing 0\.25.*open_slide\(path, spacing"):
                ask()
        given_it = bare.with_spacing(0.5)
        assert given_it.spacing_source == "given"
        assert given_it.size_um == (HEIGHT * 0.5, WIDTH * 0.5)
        assert given_it.cache is bare.cache
        assert given_it.identity == bare.identity


def test_identity_changes_with_the_content(tmp_path, dense):
    seen = set()
    for name, image in (("a.tif", dense), ("b.tif", dense), ("a.tif", 255 - dense)):
        tifffile.imwrite(tmp_path / name, image, photometric="rgb")
        with open_slide(tmp_path / name) as each:
            seen.add(each.identity)
            assert each.identity == each.with_spacing(1).identity
    assert len(seen) == 3


def test_threads_read_the_same_pixels(path, dense):
    with open_slide(path, cache_bytes=200_000) as shared_slide:
        rng = np.random.default_rng(0)
        places = rng.integers(-50, 260, (400, 2))

        def check(place):
            x, y = (int(v) for v in place)
            found = shared_slide.read_region(x, y, 60, 60)
            return np.array_equal(found, framed(dense, x, y, 60, 60))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(check, places))
        assert shared_slide.cache.nbytes <= 200_000


def test_closing_while_reading_ends_in_words(path):
    opened = open_slide(path, cache_bytes=1)
    problems, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            try:
                opened.read(0, 0, 200, 200)
            except SlideError:
                return
            except Exception as error:
                problems.append(error)
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    opened.close()
    for thread in threads:
        thread.join(20)
    stop.set()
    assert not problems
    assert not any(thread.is_alive() for thread in threads)
    assert not opened.undecodable
    with pytest.raises(SlideError, match="closed"):
        opened.read(0, 0, 5, 5)


def test_what_was_decoded_as_the_file_was_closed_is_not_read(path):
    opened = open_slide(path)
    entered, closed = threading.Event(), threading.Event()
    decode = opened._pyramid.backend.decode_tile

    def slow(*where):
        pixels = decode(*where)
        entered.set()
        assert closed.wait(20)
        return pixels

    opened._pyramid.backend.decode_tile = slow
    thread = threading.Thread(target=opened.read, args=(0, 0, 5, 5))
    thread.start()
    assert entered.wait(20)
    opened.close()
    closed.set()
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(SlideError, match="closed"):
        opened.read(0, 0, 5, 5)
