"""What is damaged, missing or no slide at all: said in words, never a hang, never a crash."""

from __future__ import annotations

import os
import shutil
import sys
import time

import numpy as np
import pytest
import slide_writers as w
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_maskvit import open_slide
from napari_maskvit.errors import SlideError

PICTURE = w.picture(640, 512, seed=5)


def text(path):
    path.write_text("name,grade\na,1\n" * 50)


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(10_000))


def folder(path):
    path.mkdir()


def zarr_without_levels(path):
    import zarr

    zarr.open_group(str(path), mode="w")


def tiff_magic_alone(path):
    path.write_bytes(b"II*\0\x08\0\0\0")


def tiff_without_images(path):
    path.write_bytes(b"II*\0\x08\0\0\0" + bytes(100))


def tiff_that_points_to_itself(path):
    """A directory without entries whose successor is itself."""
    path.write_bytes(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")


def huge_strip(path):
    """One deflated strip of 60,000 x 60,000 px."""
    strip = iter([b"\x78\x9c" + bytes(100)])
    shape = (60_000, 60_000, 3)
    how = {"photometric": "rgb", "compression": "deflate", "rowsperstrip": 60_000, "bigtiff": True}
    tifffile.imwrite(path, strip, shape=shape, dtype=np.uint8, metadata=None, **how)


def cut_png(path):
    Image.fromarray(PICTURE).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:-5000])


def cut_jpeg(path):
    Image.fromarray(PICTURE).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-5000])


def png_header_alone(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))


def bomb(path):
    """A PNG whose header claims 60,000 x 60,000 px."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


# name: (what writes it, what the message says)
BAD = {
    "missing.svs": (lambda path: None, "There is no file"),
    "empty.svs": (lambda path: path.touch(), "is empty"),
    "table.svs": (text, "not a slide"),
    "noise.tif": (noise, "not a slide"),
    "folder.svs": (folder, "is a folder"),
    "bare.zarr": (zarr_without_levels, "lists no levels"),
    "magic.tif": (tiff_magic_alone, "cut short"),
    "void.tif": (tiff_without_images, "damaged|without any image|no image"),
    "loop.tif": (tiff_that_points_to_itself, "damaged|without any image|no image"),
    "strip.tif": (huge_strip, "one piece.*tiled pyramid"),
    "cut.png": (cut_png, "cut short"),
    "cut.jpg": (cut_jpeg, "cut short"),
    "header.png": (png_header_alone, "damaged"),
    "bomb.png": (bomb, "too many.*tiled pyramid"),
}


@pytest.mark.parametrize("name", BAD)
def test_opening_says_what_is_wrong(name, tmp_path):
    write, says = BAD[name]
    write(tmp_path / name)
    started = time.perf_counter()
    with pytest.raises(SlideError, match=says) as caught:
        open_slide(tmp_path / name)
    assert time.perf_counter() - started < 5
    assert name in str(caught.value)
    assert str(caught.value).count(". ") <= 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.svs")
    with pytest.raises(SlideError, match="not an ordinary file"):
        open_slide(tmp_path / "pipe.svs")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions elsewhere")
def test_no_permission(tmp_path):
    path = w.write_tiled(tmp_path / "a.tif", PICTURE)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SlideError, match="Permission denied"):
        open_slide(path)


def jpeg_slide(path):
    return w.write_tiled(path, PICTURE, compression="jpeg", levels=2)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return jpeg_slide(tmp_path_factory.mktemp("sound") / "sound.tif").read_bytes()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["jpeg", "raw", "strips", "svs", "ndpi", "ome"])
def test_a_file_cut_anywhere_is_refused_or_its_lost_tiles_are_background(tmp_path, kind, share):
    """What is read is right, what is lost is white, not valid, counted and warned of."""
    path = tmp_path / "slide.tif"
    writers = {
        "jpeg": jpeg_slide,
        "raw": lambda path: tifffile.imwrite(path, PICTURE, photometric="rgb", metadata=None),
        "strips": lambda path: tifffile.imwrite(
            path, PICTURE, photometric="rgb", compression="jpeg", rowsperstrip=16, metadata=None
        ),
        "svs": lambda path: w.write_svs(path, PICTURE),
        "ndpi": lambda path: w.write_ndpi(path, PICTURE),
        "ome": lambda path: w.write_ome(path, PICTURE),
    }
    writers[kind](path)
    with open_slide(path) as slide:
        expected = slide.read_region(0, 0, 512, 640)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    try:
        slide = open_slide(path)
    except SlideError as error:
        said = str(error)
    else:
        said = None
    if said is not None:
        assert "slide.tif" in said
        return
    with slide:
        if slide.shape != (640, 512):
            pytest.fail(f"a coarser image passes for the slide: {slide}")
        region = slide.read(0, 0, 512, 640)
        assert (region.pixels[region.valid] == expected[region.valid]).all()
        assert (region.pixels[~region.valid] == 255).all()
        assert bool(slide.undecodable) == (not region.valid.all())
        if slide.undecodable:
            assert any("cut short" in warning for warning in slide.warnings)


def damaged(tmp_path, sound, change):
    """Apply `change` to the bytes of the first tile of level 0."""
    path = tmp_path / "damaged.tif"
    path.write_bytes(sound)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        index = 5
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        row, column = divmod(index, 4)
    data = bytearray(sound)
    data[offset : offset + count] = change(bytes(data[offset : offset + count]))
    path.write_bytes(data)
    return path, row, column


DAMAGE = {
    "cut": lambda tile: tile[: len(tile) // 2] + bytes(len(tile) - len(tile) // 2),
    "zeros": lambda tile: bytes(len(tile)),
    "garbage": lambda tile: (
        tile[:200] + np.random.default_rng(1).bytes(len(tile) - 202) + tile[-2:]
    ),
    "another file": lambda tile: (b"not a picture " * len(tile))[: len(tile)],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_tile_is_background_and_counted(tmp_path, sound, kind):
    path, row, column = damaged(tmp_path, sound, DAMAGE[kind])
    with open_slide(path) as slide:
        region = slide.read(0, 0, 512, 640)
        lost = np.zeros((640, 512), bool)
        lost[row * 128 : row * 128 + 128, column * 128 : column * 128 + 128] = True
        np.testing.assert_array_equal(region.valid, ~lost)
        assert (region.pixels[lost] == 255).all()
        assert slide.undecodable == {(0, row, column)}
        # Shown white, not raised, in the view.
        assert (slide.levels[0].compute()[lost] == 255).all()


def test_a_cut_jpeg_2000_tile_is_background(tmp_path):
    path = w.write_svs(tmp_path / "a.svs", PICTURE, encode=w.jpeg2000, compression=33005)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data[offset + count // 2 : offset + count] = bytes(count - count // 2)
    path.write_bytes(data)
    with open_slide(path) as slide:
        assert not slide.read(0, 0, 240, 240).valid.any()
        assert slide.undecodable == {(0, 0, 0)}


def test_a_slide_over_several_files_is_refused(tmp_path):
    """An OME-TIFF whose header places its pixels in a file beside it."""
    own, other = (f"urn:uuid:00000000-0000-0000-0000-00000000000{k}" for k in (1, 2))
    xml = (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{own}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
        'SizeX="512" SizeY="640" SizeC="3" SizeZ="1" SizeT="1" Interleaved="true">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
        '<TiffData IFD="0" PlaneCount="1" FirstC="0" FirstZ="0" FirstT="0">'
        f'<UUID FileName="b.ome.tif">{other}</UUID></TiffData></Pixels></Image></OME>'
    )
    how = {"photometric": "rgb", "tile": (128, 128), "metadata": None}
    for name, uuid in (("a.ome.tif", own), ("b.ome.tif", other)):
        described = xml.replace(f'UUID="{own}"', f'UUID="{uuid}"')
        tifffile.imwrite(tmp_path / name, PICTURE, description=described, **how)
    with pytest.raises(SlideError, match="one of several files"):
        open_slide(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("scale", [1.002, 1.7, 0.6])
def test_resampling_near_a_damaged_tile_is_not_valid(tmp_path, sound, scale):
    path, row, column = damaged(tmp_path, sound, DAMAGE["cut"])
    with open_slide(path, spacing=1.0) as slide:
        top, left = row * 128, column * 128
        region = slide.read(left - 20 * scale, top - 20 * scale, 40, 40, scale)
        assert region.valid[:18, :].all()
        assert region.valid[:, :18].all()
        assert not region.valid[22:, 22:].any()
        assert (region.pixels[~region.valid] == 255).all()
        keep = np.array([[True, True], [True, False]])
        without = slide.read(left - 20 * scale, top - 20 * scale, 40, 40, scale, keep)
        assert without.valid.all()


def test_made_levels_know_what_was_lost(tmp_path):
    large = np.full((2500, 2500, 3), 90, np.uint8)
    path = w.write_tiled(tmp_path / "one.tif", large, levels=1, compression="jpeg", tile=(256, 256))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    with open_slide(path, spacing=1.0) as slide:
        assert slide.downsamples == (1, 2)
        region = slide.read(0, 0, 300, 300, 2.0)
        assert not region.valid[:128, :128].any()
        assert region.valid[128:].all()
        assert region.valid[:, 128:].all()
        assert (region.pixels[:128, :128] == 255).all()
        assert slide.undecodable == {(0, 0, 0)}


@pytest.mark.parametrize(("kind", "valid"), [("generic", True), ("aperio", False)])
def test_tiles_without_data_are_empty_where_the_format_says_so(tmp_path, kind, valid):
    """Neither place nor size: never scanned in a generic TIFF, lost by the scanner in Aperio's."""
    path = tmp_path / "sparse.tif"
    write = w.write_tiled if kind == "generic" else w.write_svs
    write(path, PICTURE)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages[0]
        for name in ("TileOffsets", "TileByteCounts"):
            values = list(page.tags[name].value)
            values[0] = 0
            page.tags[name].overwrite(values)
    with open_slide(path) as slide:
        region = slide.read(0, 0, 120, 120)
        assert (region.pixels == 255).all()
        assert (region.valid == valid).all()
        assert bool(slide.undecodable) == (not valid)


def test_a_lost_zarr_chunk_is_background(tmp_path):
    path = w.write_zarr(tmp_path / "a.zarr", PICTURE)
    chunk = path / "0/c/1/2/3"
    chunk.write_bytes(b"broken")
    with open_slide(path) as slide:
        region = slide.read(0, 0, 512, 640)
        assert not region.valid[200:300, 300:400].any()
        assert slide.undecodable


FUZZ = settings(
    max_examples=120, deadline=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(data=st.data())
def test_flipped_bytes_never_crash(tmp_path_factory, sound, data):
    """Any damage to the directories ends in a slide or a SlideError."""
    path = tmp_path_factory.mktemp("fuzz") / "slide.tif"
    changed = bytearray(sound)
    with tifffile.TiffFile(_write(path, sound)) as tiff:
        spans = [(page.offset, 220) for page in tiff.pages] + [(0, 8)]
    for _ in range(data.draw(st.integers(1, 4))):
        start, length = data.draw(st.sampled_from(spans))
        changed[start + data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    _write(path, bytes(changed))
    try:
        with open_slide(path) as slide:
            slide.read(0, 0, 300, 300)
            slide.read(-10, 500, 300, 300)
    except SlideError:
        pass
    finally:
        shutil.rmtree(path.parent)


def _write(path, data):
    path.write_bytes(data)
    return path
