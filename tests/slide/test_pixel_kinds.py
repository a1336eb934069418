"""Grey, palette, alpha and deep pixels become RGB, or are refused in so many words."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_maskvit import open_slide
from napari_maskvit.errors import SlideError

RAMP = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
RGB = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=-1)
ALPHA = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (1, 256))


def written(path, data, **how):
    tifffile.imwrite(path, data, **{"metadata": None, **how})
    return path


def grey_of(values):
    return np.repeat(values[..., None], 3, axis=-1).astype(int)


def over_white(colour, alpha):
    a = alpha[..., None] / 255
    return colour * a + 255 * (1 - a)


TWELVE = RAMP.astype(np.uint16) * 16 + RAMP // 16
PALETTE = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)]).astype(np.uint16) * 257
MULTIPLIED = (RGB * (ALPHA[..., None] / 255)).round().astype(np.uint8)
HANDLED = {
    "grey": (RAMP, {"photometric": "minisblack"}, grey_of(RAMP)),
    "grey tiles": (RAMP, {"photometric": "minisblack", "tile": (32, 32)}, grey_of(RAMP)),
    "inverted grey": (RAMP, {"photometric": "miniswhite"}, grey_of(255 - RAMP)),
    "bilevel": (RAMP > 99, {"photometric": "minisblack"}, grey_of((RAMP > 99) * 255)),
    "grey and alpha": (
        np.dstack([RAMP, ALPHA]),
        {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"},
        over_white(grey_of(RAMP), ALPHA),
    ),
    "palette": (
        RAMP,
        {"photometric": "palette", "colormap": PALETTE},
        PALETTE.T[RAMP].astype(int) // 257,
    ),
    "alpha": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (32, 32)},
        over_white(RGB, ALPHA),
    ),
    "multiplied alpha": (
        np.dstack([MULTIPLIED, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
        over_white(RGB, ALPHA),
    ),
    "unknown fourth sample": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["unspecified"]},
        RGB,
    ),
    "16-bit grey": (
        RAMP.astype(np.uint16) * 257,
        {"photometric": "minisblack"},
        grey_of(RAMP),
    ),
    "12 of 16 bits, declared": (
        TWELVE,
        {"photometric": "minisblack", "extratags": [(281, 3, 1, 4095, True)]},
        grey_of(RAMP),
    ),
}


@pytest.mark.parametrize("kind", HANDLED)
def test_becomes_rgb(kind, tmp_path):
    data, how, expected = HANDLED[kind]
    with open_slide(written(tmp_path / "slide.tif", data, **how)) as slide:
        pixels = slide.read_region(0, 0, 256, 64).astype(int)
    assert np.abs(pixels - expected).max() <= 1


FIVE = np.zeros((5, 64, 256), np.uint16)
REFUSED = {
    "float": (RAMP.astype(np.float32), {"photometric": "minisblack"}, "float32"),
    "32-bit": (RAMP.astype(np.uint32), {"photometric": "minisblack"}, "uint32"),
    "signed": (RAMP.astype(np.int16), {"photometric": "minisblack"}, "int16"),
    "CMYK": (np.dstack([RGB, ALPHA]), {"photometric": "separated"}, "CMYK"),
    "five channels": (FIVE, {"photometric": "minisblack", "ome": True}, "5 separate channels"),
    "five samples": (
        np.moveaxis(FIVE, 0, -1).copy(),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "5 separate channels",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_what_and_what_to_do(kind, tmp_path):
    data, how, says = REFUSED[kind]
    if how.get("ome"):
        how = {**how, "metadata": {"axes": "CYX"}}
    path = written(tmp_path / "slide.tif", data, **how)
    with pytest.raises(SlideError, match=says) as caught:
        open_slide(path)
    assert "slide.tif" in str(caught.value)
    assert "RGB" in str(caught.value)


def test_three_pages_a_colour_each(tmp_path):
    path = tmp_path / "planes.ome.tif"
    stacked = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    how = {"photometric": "minisblack", "tile": (32, 32), "metadata": {"axes": "CYX"}}
    tifffile.imwrite(path, stacked, ome=True, **how)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 256, 64), RGB)


def test_focal_planes_show_the_middle_one_and_say_so(tmp_path):
    path = tmp_path / "stack.ome.tif"
    stack = np.stack([RGB, 255 - RGB, RGB // 2])
    how = {"photometric": "rgb", "tile": (32, 32), "metadata": {"axes": "ZYXS"}}
    tifffile.imwrite(path, stack, ome=True, **how)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 256, 64), 255 - RGB)
        assert "3 focal planes" in slide.warnings[0]


PICTURES = {
    "rgb.png": (RGB, "RGB", {"dpi": (50_800, 50_800)}, RGB, 0.5),
    "grey.png": (RAMP, "L", {}, grey_of(RAMP), None),
    "alpha.png": (np.dstack([RGB, ALPHA]), "RGBA", {}, over_white(RGB, ALPHA), None),
    "print.png": (RGB, "RGB", {"dpi": (300, 300)}, RGB, None),
    "screen.jpg": (grey_of(RAMP).astype(np.uint8), "RGB", {"dpi": (72, 72)}, grey_of(RAMP), None),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_flat_slides(name, tmp_path):
    data, mode, how, expected, spacing = PICTURES[name]
    Image.fromarray(data).convert(mode).save(tmp_path / name, quality=98, **how)
    with open_slide(tmp_path / name) as slide:
        assert slide.cache.decoded_count == 0
        assert slide.spacing == (pytest.approx(spacing, rel=1e-3) if spacing else None)
        assert np.abs(slide.read_region(0, 0, 256, 64).astype(int) - expected).max() <= 4


def test_sixteen_bit_png(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    with open_slide(tmp_path / "deep.png") as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 256, 64), grey_of(RAMP))


def test_a_large_picture_gets_a_pyramid(tmp_path):
    Image.fromarray(np.full((3000, 5000, 3), 200, np.uint8)).save(tmp_path / "large.png")
    with open_slide(tmp_path / "large.png") as slide:
        assert slide.downsamples == (1, 4)
        assert (slide.levels[-1].compute() == 200).all()
