"""The shared slides, and one too large to be written out."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import slide_writers as w
import tifffile

from napari_maskvit import open_slide


def test_aperio_equals_openslide(shared_svs):
    openslide = pytest.importorskip("openslide")
    with open_slide(shared_svs) as slide, openslide.OpenSlide(shared_svs) as other:
        assert slide.shape == (2967, 2220)
        assert slide.spacing == pytest.approx(0.499)
        assert slide.spacing_source == "aperio.MPP"
        assert set(slide.image_names) == {"label", "macro", "thumbnail"}
        for name in slide.image_names:
            theirs = np.asarray(other.associated_images[name].convert("RGB")).astype(int)
            assert np.abs(slide.image(name) - theirs).max() <= 2
        for x, y, width, height in [(0, 0, 2220, 2967), (301, 507, 333, 777), (2200, 2950, 20, 17)]:
            theirs = np.asarray(other.read_region((x, y), 0, (width, height)).convert("RGB"))
            ours = slide.read_region(x, y, width, height)
            # Both stand on libjpeg; one step is a decoder's rounding.
            assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_shared_cores_open_at_one_micrometre(shared_cores):
    assert len(shared_cores) == 10
    for path in shared_cores:
        started = time.perf_counter()
        with open_slide(path) as slide:
            assert time.perf_counter() - started < 1
            assert slide.spacing == pytest.approx(1.0)
            assert slide.spacing_source == "TIFF resolution tag"
            assert max(slide.levels[-1].shape) <= 2048
            coarse = slide.levels[-1].compute()
            assert coarse.std() > 5
            assert not slide.undecodable
            assert not slide.warnings


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """Header of 200,000 x 160,000 px in a pyramid whose tiles are nearly all empty."""
    path = tmp_path_factory.mktemp("huge") / "huge.tif"
    tile = w.picture(512, 512)

    def tiles(rows, columns):
        yield tile
        for _ in range(rows * columns - 1):
            yield None

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in (1, 4, 16, 64):
            shape = (160_000 // factor, 200_000 // factor, 3)
            rows, columns = (-(-side // 512) for side in shape[:2])
            tiff.write(
                tiles(rows, columns),
                shape=shape,
                dtype=np.uint8,
                tile=(512, 512),
                photometric="rgb",
                compression="zstd",
                resolution=(40_000 / factor,) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=0 if factor == 1 else 1,
                metadata=None,
            )
    return path


def test_a_huge_slide_opens_at_once_and_in_little_memory(huge):
    open_slide(huge).close()
    tracemalloc.start()
    started = time.perf_counter()
    with open_slide(huge) as slide:
        seconds = time.perf_counter() - started
        assert slide.shape == (160_000, 200_000)
        assert slide.downsamples == (1, 4, 16, 64, 128)
        assert slide.cache.decoded_count == 0
        levels = slide.levels
        assert time.perf_counter() - started < 2
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert max(levels[-1].shape) <= 2048
        pixels = slide.read_region(0, 0, 600, 600)
        np.testing.assert_array_equal(pixels[:512, :512], w.picture(512, 512))
        assert (pixels[512:] == 255).all()
    assert seconds < 0.8
    assert peak < 200 << 20


def test_opening_a_slide_loads_neither_torch_nor_napari_nor_other_formats(huge):
    code = (
        "import sys; from napari_maskvit import open_slide; "
        f"slide = open_slide({str(huge)!r}); slide.read_region(0, 0, 10, 10); "
        "heavy = {'torch', 'timm', 'napari', 'qtpy', 'zarr', 'openslide', 'dask'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
