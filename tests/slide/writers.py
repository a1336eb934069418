"""Real files in every layout that slides come in, written with tifffile, zarr and Pillow."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

APERIO = "Aperio Image Library v11.2.1\r\n{w}x{h} (240x240) JPEG/RGB Q=90|AppMag = 20|MPP = 0.4990"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth colour field with structure: JPEG keeps it, and no two places look the same."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    planes = []
    for _ in range(3):
        fx, fy, phase = (*rng.uniform(0.004, 0.05, 2), rng.uniform(0, 6))
        planes.append(128 + 60 * np.sin(x * fx + phase) + 60 * np.cos(y * fy + phase * 2))
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def halve(pixels: np.ndarray, factor: int = 2) -> np.ndarray:
    """Block means, cut to whole blocks."""
    h, w = pixels.shape[0] // factor, pixels.shape[1] // factor
    cut = pixels[: h * factor, : w * factor].astype(float)
    means = cut.reshape(h, factor, w, factor, *pixels.shape[2:]).mean(axis=(1, 3))
    return (means + 0.5).astype(pixels.dtype)


def write_tiled(
    path: Path, pixels: np.ndarray, *, levels: int = 3, factor: int = 2, reduced: bool = True, **how
) -> Path:
    """A generic tiled pyramid, one page a level."""
    how = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate", **how}
    per_cm = how.pop("per_cm", 20_000.0)
    with tifffile.TiffWriter(path, bigtiff=how.pop("bigtiff", False)) as tiff:
        for level in range(levels):
            tiff.write(
                pixels,
                resolution=(per_cm / factor**level,) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=1 if reduced and level else 0,
                metadata=None,
                **how,
            )
            pixels = halve(pixels, factor)
    return path


def write_ome(path: Path, pixels: np.ndarray, size: float = 0.5, unit: str = "µm") -> Path:
    """OME-TIFF with its coarser levels in SubIFDs."""
    how = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate"}
    metadata = {
        "axes": "YXS",
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": unit,
    }
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(pixels, subifds=2, metadata=metadata, **how)
        tiff.write(halve(pixels), subfiletype=1, **how)
        tiff.write(halve(pixels, 4), subfiletype=1, **how)
    return path


def write_svs(path: Path, pixels: np.ndarray, *, encode=None, compression="jpeg", **how) -> Path:
    """Aperio: baseline, thumbnail, a level, label and macro, in Aperio's order."""
    description = APERIO.format(h=pixels.shape[0], w=pixels.shape[1])
    if encode is None:
        how = {"compressionargs": {"level": 95}, **how}
    small = {"photometric": "rgb", "compression": "jpeg", "rowsperstrip": 16, "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        for level, image in enumerate((pixels, halve(pixels, 4))):
            _write_encoded(
                tiff,
                image,
                encode,
                tile=(240, 240),
                compression=compression,
                description=description.replace("|", f"\r\nlevel {level}|", 1),
                metadata=None,
                **how,
            )
            if level == 0:
                tiff.write(halve(pixels, 8), description=description, **small)
        label = np.full((90, 80, 3), (10, 200, 30), np.uint8)
        tiff.write(
            label,
            photometric="rgb",
            compression="lzw",
            subfiletype=1,
            metadata=None,
            description="Aperio Image Library v11.2.1\r\nlabel 80x90",
        )
        tiff.write(
            halve(pixels, 8),
            subfiletype=9,
            description="Aperio Image Library v11.2.1\r\nmacro 100x90",
            **small,
        )
    return path


def _write_encoded(tiff, image, encode, **how):
    if encode is None:
        tiff.write(image, photometric=how.pop("photometric", "rgb"), **how)
        return
    th, tw = how["tile"]
    rows, columns = -(-image.shape[0] // th), -(-image.shape[1] // tw)
    padded = np.pad(
        image,
        ((0, rows * th - image.shape[0]), (0, columns * tw - image.shape[1]), (0, 0)),
        mode="edge",
    )
    tiles = (
        encode(np.ascontiguousarray(padded[r * th : (r + 1) * th, c * tw : (c + 1) * tw]))
        for r in range(rows)
        for c in range(columns)
    )
    tiff.write(tiles, shape=image.shape, dtype=image.dtype, photometric="rgb", **how)


def jpeg2000(tile: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(tile, level=0, codecformat="J2K", mct=False)


def jpeg2000_ycbcr(tile: np.ndarray) -> bytes:
    """Aperio 33003: YCbCr in the three components of a raw codestream."""
    r, g, b = (tile[..., k].astype(float) for k in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb, cr = 128 + (b - y) / 1.772, 128 + (r - y) / 1.402
    return jpeg2000(np.stack([y, cb, cr], axis=-1).round().clip(0, 255).astype(np.uint8))


def write_ndpi(path: Path, pixels: np.ndarray) -> Path:
    """Hamamatsu: one JPEG a level, its restart markers in a tag, and directories of 64-bit places.

    Sides must be multiples of 128 px.
    """
    body = bytearray(b"II*\0" + bytes(8))
    link = 4
    for level, lens in ((0, 20.0), (1, 10.0), (2, -1.0)):
        image = halve(pixels, 8) if lens < 0 else pixels if level == 0 else halve(pixels)
        image = image[: image.shape[0] // 8 * 8, : image.shape[1] // 64 * 64]
        data, starts = _jpeg_with_restarts(image)
        strip = _append(body, data)
        per_cm = _append(body, struct.pack("<II", 20_000 // 2**level, 1))
        places = _append(body, struct.pack(f"<{len(starts)}I", *starts))
        maker, bits = _append(body, b"Hamamatsu\0"), _append(body, struct.pack("<3H", 8, 8, 8))
        entries = [
            (256, 4, 1, image.shape[1]),
            (257, 4, 1, image.shape[0]),
            (258, 3, 3, bits),
            (259, 3, 1, 7),
            (262, 3, 1, 6),
            (271, 2, 10, maker),
            (273, 4, 1, strip),
            (277, 3, 1, 3),
            (278, 4, 1, image.shape[0]),
            (279, 4, 1, len(data)),
            (282, 5, 1, per_cm),
            (283, 5, 1, per_cm),
            (296, 3, 1, 3),
            (65420, 4, 1, 1),
            (65421, 11, 1, struct.unpack("<I", struct.pack("<f", lens))[0]),
            (65426, 4, len(starts), places),
        ]
        directory = struct.pack("<H", len(entries))
        directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
        place = _append(body, directory + bytes(8) + bytes(4 * len(entries)))
        body[link : link + 8] = struct.pack("<Q", place)
        link = place + len(directory)
    path.write_bytes(body)
    return path


def _append(body: bytearray, data: bytes) -> int:
    body += bytes(-len(body) % 8)
    place = len(body)
    body += data
    return place


def _jpeg_with_restarts(image: np.ndarray) -> tuple[bytes, list[int]]:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95, subsampling=0, restart_marker_blocks=8)
    data = stream.getvalue()
    scan = data.index(b"\xff\xda")
    first = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    marks = (k + 2 for k in range(first, len(data) - 1) if data[k] == 0xFF)
    return data, [first, *(k for k in marks if 0xD0 <= data[k - 1] <= 0xD7)]


def write_scn(path: Path, pixels: np.ndarray) -> Path:
    """Leica: XML that lists images and their resolutions by page."""
    h, w = pixels.shape[:2]
    quarter = halve(pixels, 4)
    xml = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" '
        'uuid="urn:uuid:0"><collection name="c" sizeX="26564529" sizeY="76734893"><barcode/>'
        '<image name="i" uuid="u"><creationDate>2012</creationDate><device model="Leica SCN400"/>'
        f'<pixels sizeX="{w}" sizeY="{h}"><dimension sizeX="{w}" sizeY="{h}" r="0" ifd="0"/>'
        f'<dimension sizeX="{quarter.shape[1]}" sizeY="{quarter.shape[0]}" r="1" ifd="1"/></pixels>'
        f'<view sizeX="{w * 250}" sizeY="{h * 250}" offsetX="0" offsetY="0" spacingZ="0"/>'
        "<scanSettings/></image></collection></scn>"
    )
    how = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(pixels, description=xml, compressionargs={"level": 95}, **how)
        tiff.write(quarter, subfiletype=1, compressionargs={"level": 95}, **how)
    return path


def write_qptiff(path: Path, pixels: np.ndarray) -> Path:
    """PerkinElmer: baseline, thumbnail, then halved levels."""
    xml = (
        '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription>'
        "<DescriptionVersion>2</DescriptionVersion><ImageType>FullResolution</ImageType>"
        "</PerkinElmer-QPI-ImageDescription>"
    )
    how = {
        "photometric": "rgb",
        "compression": "lzw",
        "metadata": None,
        "software": "PerkinElmer-QPI",
        "resolutionunit": "CENTIMETER",
        "description": xml,
    }
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, tile=(128, 128), resolution=(20_000,) * 2, **how)
        tiff.write(halve(pixels, 8), resolution=(2_500,) * 2, rowsperstrip=16, **how)
        tiff.write(halve(pixels), tile=(128, 128), resolution=(10_000,) * 2, **how)
        tiff.write(halve(pixels, 4), tile=(128, 128), resolution=(5_000,) * 2, **how)
    return path


def write_zarr(
    path: Path, pixels: np.ndarray, *, version: int = 3, unit: str = "micrometer", order="cyx"
) -> Path:
    """OME-Zarr 0.4 (Zarr 2) or 0.5 (Zarr 3) with three levels."""
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    datasets = []
    for level in range(3):
        image = pixels if level == 0 else halve(pixels, 2**level)
        stored = image.transpose(2, 0, 1) if order == "cyx" else image
        chunks = (1, 100, 100) if order == "cyx" else (100, 100, 3)
        array = group.create_array(
            str(level), shape=stored.shape, chunks=chunks, dtype=stored.dtype
        )
        array[...] = stored
        scale = [1.0 if axis == "c" else 0.5 * 2**level for axis in order]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    axes = [
        {"name": axis, "type": "channel"} if axis == "c" else {"name": axis, "unit": unit}
        for axis in order
    ]
    multiscales = [{"axes": axes, "datasets": datasets}]
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = multiscales
    return path
