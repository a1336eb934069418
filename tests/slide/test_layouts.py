"""Every layout opens, with the right levels, spacing and pixels."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import slide_writers as w
import tifffile

from napari_maskvit import open_slide

LOSSLESS, JPEG, SUBSAMPLED = 0, 6, 60


def plain(path, pixels, **how):
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", "metadata": None, **how})


def planes(path, pixels, **how):
    plain(path, np.ascontiguousarray(pixels.transpose(2, 0, 1)), planarconfig="separate", **how)


def grey(path, pixels, **how):
    plain(path, pixels[..., 0], **{"photometric": "minisblack", **how})


def sixteen(path, pixels, **how):
    plain(path, pixels.astype(np.uint16) * 257, **how)


def imagej(path, pixels):
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 4), metadata={"unit": "um"})


def uneven(path, pixels):
    """Steps of 4 and then 2, which no rule of powers explains."""
    how = {"tile": (64, 64), "photometric": "rgb", "compression": "zstd", "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 4, 8):
            tiff.write(w.halve(pixels, factor) if factor > 1 else pixels, **how)


RGB_JPEG = {"level": 95, "outcolorspace": "rgb"}
# name: (writer, tolerance, spacing, source, downsamples, images)
LAYOUTS = {
    "tiled.tif": (w.write_tiled, LOSSLESS, 0.5, "TIFF resolution tag", (1, 2, 4), ()),
    "big_endian.tif": (
        partial(w.write_tiled, bigtiff=True, compression=None),
        *(LOSSLESS, 0.5, "TIFF resolution tag", (1, 2, 4), ()),
    ),
    "panda.tiff": (
        partial(w.write_tiled, reduced=False, compression="jpeg", factor=4),
        *(SUBSAMPLED, 0.5, "TIFF resolution tag", (1, 4, 16), ()),
    ),
    "uneven.tif": (uneven, LOSSLESS, None, "unknown", (1, 4, 8), ()),
    "single.tif": (
        partial(w.write_tiled, levels=1),
        LOSSLESS,
        0.5,
        "TIFF resolution tag",
        (1,),
        (),
    ),
    "sub.ome.tif": (w.write_ome, LOSSLESS, 0.5, "OME PhysicalSizeX", (1, 2, 4), ()),
    "nm.ome.tif": (
        partial(w.write_ome, size=250, unit="nm"),
        *(LOSSLESS, 0.25, "OME PhysicalSizeX", (1, 2, 4), ()),
    ),
    "ycbcr.svs": (
        w.write_svs,
        *(SUBSAMPLED, 0.499, "aperio.MPP", (1, 4), ("thumbnail", "label", "macro")),
    ),
    "rgb.svs": (
        partial(w.write_svs, compressionargs=RGB_JPEG),
        *(JPEG, 0.499, "aperio.MPP", (1, 4), ("thumbnail", "label", "macro")),
    ),
    "33005.svs": (
        partial(w.write_svs, encode=w.jpeg2000, compression=33005),
        *(LOSSLESS, 0.499, "aperio.MPP", (1, 4), ("thumbnail", "label", "macro")),
    ),
    "33003.svs": (
        partial(w.write_svs, encode=w.jpeg2000_ycbcr, compression=33003),
        *(2, 0.499, "aperio.MPP", (1, 4), ("thumbnail", "label", "macro")),
    ),
    "slide.ndpi": (w.write_ndpi, JPEG, 0.5, "Hamamatsu resolution tag", (1, 2), ("macro",)),
    "slide.scn": (w.write_scn, SUBSAMPLED, 0.25, "leica.view", (1, 4), ()),
    "slide.qptiff": (
        w.write_qptiff,
        *(LOSSLESS, 0.5, "PerkinElmer resolution tag", (1, 2, 4), ("thumbnail",)),
    ),
    "v2.zarr": (
        partial(w.write_zarr, version=2, order="yxc"),
        *(LOSSLESS, 0.5, "OME-Zarr scale", (1, 2, 4), ()),
    ),
    "v3.zarr": (w.write_zarr, LOSSLESS, 0.5, "OME-Zarr scale", (1, 2, 4), ()),
    "raw.tif": (plain, LOSSLESS, None, "unknown", (1,), ()),
    "raw_big_endian.tif": (
        partial(plain, byteorder=">", bigtiff=True),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "lzw_strips.tif": (
        partial(plain, compression="lzw", rowsperstrip=7, predictor=True),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "one_strip.tif": (
        partial(plain, compression="deflate", rowsperstrip=896),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "row_strips.tif": (
        partial(plain, compression="zstd", rowsperstrip=1),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "jpeg_strips.tif": (
        partial(plain, compression="jpeg", rowsperstrip=64),
        *(SUBSAMPLED, None, "unknown", (1,), ()),
    ),
    "raw_planes.tif": (planes, LOSSLESS, None, "unknown", (1,), ()),
    "strip_planes.tif": (
        partial(planes, compression="lzw", rowsperstrip=50),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "tile_planes.tif": (
        partial(planes, compression="lzw", tile=(64, 64)),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "sixteen.tif": (sixteen, LOSSLESS, None, "unknown", (1,), ()),
    "sixteen_big_endian.tif": (
        partial(sixteen, byteorder=">"),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "sixteen_tiled.tif": (
        partial(sixteen, tile=(128, 128), compression="zstd"),
        *(LOSSLESS, None, "unknown", (1,), ()),
    ),
    "imagej.tif": (imagej, LOSSLESS, 0.25, "ImageJ unit", (1,), ()),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_opens_with_its_own_pixels(name, layout, pixels):
    write, tolerance, spacing, source, downsamples, images = LAYOUTS[name]
    path = layout(name, write)
    started = time.perf_counter()
    with open_slide(path) as slide:
        assert time.perf_counter() - started < 2, "the first opening of a process loads libraries"
        assert slide.cache.decoded_count == 0
        assert slide.shape == pixels.shape[:2]
        assert slide.spacing == (pytest.approx(spacing, rel=1e-6) if spacing else None)
        assert slide.spacing_source == source
        assert slide.downsamples == downsamples
        assert set(slide.image_names) == set(images)
        assert all(slide.image(each).ndim == 3 for each in images)
        assert slide.warnings == ()
        whole = slide.read(0, 0, pixels.shape[1], pixels.shape[0])
        assert np.abs(whole.pixels.astype(int) - pixels).max() <= tolerance
        assert whole.valid.all()
        assert not slide.undecodable


@pytest.mark.parametrize("name", LAYOUTS)
def test_levels_are_what_read_gives(name, layout):
    with open_slide(layout(name, LAYOUTS[name][0])) as slide:
        assert max(slide.levels[-1].shape[:2]) <= 2048
        for array, downsample in zip(slide.levels, slide.downsamples, strict=True):
            assert array.dtype == np.uint8
            assert array.shape[2] == 3
            height, width = array.shape[:2]
            scaled = slide.with_spacing(1.0).read_region(0, 0, width, height, downsample)
            np.testing.assert_array_equal(array.compute(), scaled)


@pytest.mark.parametrize("name", ["ycbcr.svs", "rgb.svs", "33005.svs", "33003.svs", "tiled.tif"])
def test_pixels_equal_openslide(name, layout):
    openslide = pytest.importorskip("openslide")
    path = layout(name, LAYOUTS[name][0])
    with open_slide(path) as slide, openslide.OpenSlide(path) as other:
        for index, size in enumerate(other.level_dimensions):
            theirs = np.asarray(other.read_region((0, 0), index, size).convert("RGB")).astype(int)
            assert np.abs(slide.levels[index].compute() - theirs).max() <= 1


def test_label_macro_and_thumbnail_are_themselves(layout, pixels):
    with open_slide(layout("ycbcr.svs", LAYOUTS["ycbcr.svs"][0])) as slide:
        label = slide.image("label")
        assert label.shape == (90, 80, 3)
        assert (label == (10, 200, 30)).all()
        macro = slide.image("macro").astype(int)
        assert np.abs(macro - w.halve(pixels, 8)).mean() < 8
