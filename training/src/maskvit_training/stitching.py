"""Pictures put together from their patches: tiled TIFFs, annotations, and a cohort table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.errors import FeatureError
from maskvit_training.writing import write_text, written_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskvit_training.patches import PatchTable, Pieces

TILE = 512
QUALITY = 95
KEPT_PATCHES = 64


def write_slides(
    folder: Path, pieces: Sequence[Pieces], table: PatchTable, tell: Callable[[str], None]
) -> Path:
    """Write each picture as a tiled TIFF with its spacing, and the cohort table of them all.

    A picture that is there already is not written again; one that cannot be is left out and said.

    Returns
    -------
    Path
        The cohort table: slide, label, patient, annotation.

    Raises
    ------
    FeatureError
        If no picture could be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for one in pieces:
        path = folder / f"{one.name}.tif"
        try:
            if not path.exists():
                _write_slide(path, one, table.spacing)
                tell(f"{path.name}: {len(one.patches)} patches, {one.shape[1]} x {one.shape[0]} px")
            rows.append((path.name, one.label, one.patient, _write_annotation(path, one)))
        except (OSError, FeatureError) as error:
            tell(f"{one.name} is left out: {error}")
    if not rows:
        raise FeatureError(f"No slide could be written to {folder}; see above.")
    cohort = folder / "cohort.csv"
    header = ("slide", "label", "patient", "annotation")
    with written_whole(cohort) as place, place.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return cohort


def _write_slide(path: Path, pieces: Pieces, spacing: float) -> None:
    import tifffile

    per_cm = 10_000 / spacing
    height, width = pieces.shape
    with written_whole(path) as place:
        tifffile.imwrite(
            place,
            _tiles(pieces),
            shape=(height, width, 3),
            dtype=np.uint8,
            photometric="rgb",
            tile=(TILE, TILE),
            compression="jpeg",
            compressionargs={"level": QUALITY},
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
        )


def _tiles(pieces: Pieces) -> Iterator[NDArray[np.uint8]]:
    """Tiles in order; white where no patch lies. Memory: a tile and the last few patches."""
    height, width = pieces.shape
    decode = lru_cache(KEPT_PATCHES)(_decode)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = np.full((TILE, TILE, 3), 255, np.uint8)
            for patch in pieces.patches:
                y0, y1 = max(top, patch.top), min(top + TILE, patch.top + patch.height)
                x0, x1 = max(left, patch.left), min(left + TILE, patch.left + patch.width)
                if y0 < y1 and x0 < x1:
                    tile[y0 - top : y1 - top, x0 - left : x1 - left] = decode(patch.path)[
                        y0 - patch.top : y1 - patch.top, x0 - patch.left : x1 - patch.left
                    ]
            yield tile


def _decode(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise FeatureError(f"the patch {path.name} cannot be decoded ({error})") from error


def _write_annotation(slide: Path, pieces: Pieces) -> str:
    """Write the positive patches as areas in the slide's pixels; the file's name, if any."""
    import shapely
    from shapely.geometry import mapping

    squares = [
        shapely.box(one.left, one.top, one.left + one.width, one.top + one.height)
        for one in pieces.patches
        if one.positive
    ]
    if not squares:
        return ""
    feature = {
        "type": "Feature",
        "geometry": mapping(shapely.union_all(squares)),
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor"}},
    }
    path = slide.with_suffix(".geojson")
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    write_text(path, text)
    return path.name
