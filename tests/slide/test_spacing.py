"""Spacing is what the file says, with its source, and never a guess."""

from __future__ import annotations

import numpy as np
import pytest
import slide_writers as w
import tifffile

from napari_maskvit import open_slide
from napari_maskvit.errors import SpacingUnknown
from napari_maskvit.slide.spacing import from_density, from_sizes

SMALL = w.picture(64, 64)


# (per unit x, per unit y, unit): spacing or what the message says
TAGS = [
    ((20_000, 20_000), "CENTIMETER", 0.5),
    ((40_000, 40_000), "CENTIMETER", 0.25),
    ((50_800, 50_800), "INCH", 0.5),
    ((2_540, 2_540), "INCH", 10.0),
    ((20_000, 20_200), "CENTIMETER", 0.49752),
    ((20_000, 10_000), "CENTIMETER", "not square"),
    ((72, 72), "INCH", "72 dpi"),
    ((96, 96), "INCH", "96 dpi"),
    ((300, 300), "INCH", "300 dpi"),
    ((118.11, 118.11), "CENTIMETER", "300 dpi"),
    ((28.346, 28.346), "CENTIMETER", "72 dpi"),
    ((20_000, 20_000), "NONE", "does not say"),
    ((1, 1), "CENTIMETER", "no size"),
    ((1e8, 1e8), "CENTIMETER", "no size"),
    (None, "NONE", "does not say"),
]


@pytest.mark.parametrize(("resolution", "unit", "expected"), TAGS)
def test_resolution_tags(tmp_path, resolution, unit, expected):
    how = {} if resolution is None else {"resolution": resolution, "resolutionunit": unit}
    tifffile.imwrite(tmp_path / "a.tif", SMALL, photometric="rgb", metadata=None, **how)
    with open_slide(tmp_path / "a.tif") as slide:
        if isinstance(expected, float):
            assert slide.spacing == pytest.approx(expected, rel=1e-4)
            assert slide.spacing_source == "TIFF resolution tag"
        else:
            assert slide.spacing is None
            assert slide.spacing_source == "unknown"
            with pytest.raises(SpacingUnknown, match=expected):
                slide.require_spacing()
    with open_slide(tmp_path / "a.tif", spacing=0.3) as slide:
        assert (slide.spacing, slide.spacing_source) == (0.3, "given")


OME = [("µm", 0.5, 0.5), ("nm", 500, 0.5), ("mm", 0.0005, 0.5), ("pixel", 1, None)]


@pytest.mark.parametrize(("unit", "size", "expected"), OME)
def test_ome_units(tmp_path, unit, size, expected):
    path = w.write_ome(tmp_path / "a.ome.tif", w.picture(256, 256), size, unit)
    with open_slide(path) as slide:
        assert slide.spacing == (pytest.approx(expected) if expected else None)


ZARR = [("micrometer", 0.5), ("nanometer", None), ("millimeter", None), ("", None)]


@pytest.mark.parametrize(("unit", "expected"), ZARR)
def test_zarr_units(tmp_path, unit, expected):
    """Half a nanometre and half a millimetre are no pixel of a slide."""
    with open_slide(w.write_zarr(tmp_path / "a.zarr", SMALL, unit=unit)) as slide:
        assert slide.spacing == expected


def test_aperio_without_mpp_is_unknown(tmp_path):
    path = tmp_path / "a.svs"
    text = "Aperio Image Library v11\r\n64x64|AppMag = 20"
    tifffile.imwrite(path, SMALL, tile=(64, 64), photometric="rgb", description=text, metadata=None)
    with open_slide(path) as slide:
        assert slide.spacing is None
        assert slide.properties["aperio.AppMag"] == "20"


def test_philips_states_it_in_mm_by_rows_and_columns(tmp_path):
    levels = "".join(
        '<DataObject ObjectType="PixelDataRepresentation">'
        f'<Attribute Name="DICOM_PIXEL_SPACING">"{s}" "{s}"</Attribute></DataObject>'
        for s in (0.00025, 0.0005)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array><DataObject ObjectType="DPScannedImage">'
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>{levels}</Array>'
        "</Attribute></DataObject></Array></Attribute></DataObject>"
    )
    pixels = w.picture(512, 512)
    how = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(tmp_path / "a.tiff") as tiff:
        tiff.write(pixels, description=xml, software="Philips DP v1.0", **how)
        tiff.write(w.halve(pixels), description="level=1", **how)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide.format == "Philips TIFF"
        assert slide.spacing == pytest.approx(0.25)
        assert slide.spacing_source == "philips.DICOM_PIXEL_SPACING"
        assert slide.downsamples == (1, 2)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_nonsense_is_unknown(bad):
    assert from_sizes(bad, 0.5, "x").value is None
    assert from_density(bad, 1.0, "cm", "x").value is None


def test_sides_that_differ_a_little_are_averaged():
    assert from_sizes(0.5, 0.505, "x").value == pytest.approx(0.5025)
    assert np.isclose(from_sizes(0.2525, 0.25, "x").value, 0.25125)
