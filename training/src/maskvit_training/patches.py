"""Folders of patches, as SICAPv2 is distributed, put together again into slides."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.cohort import broken_rows
from maskvit_training.errors import CohortError, FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 512
QUALITY = 95
KEPT_PATCHES = 64
PLACE_IN_NAME = re.compile(r"_xini_(?P<x>\d+)_yini_(?P<y>\d+)")
CORE_IN_NAME = re.compile(r"_Region_(\d+)_")
MOST_PIXELS = 4_000_000_000


@dataclass(frozen=True)
class PatchTable:
    """What the columns of a table of patches are called, and in which units it counts.

    Attributes
    ----------
    spacing
        µm a pixel of a patch.
    position_spacing
        µm a unit of the positions (SICAPv2 counts pixels of the scan, 0.25 µm).
    file, slide, patient, label
        Columns. Rows with the same slide (and core) are pieces of one picture.
    core
        Column that tells pieces of one slide apart; where it is missing, the file's name may.
    x, y
        Columns of a patch's left and upper edge; where they are missing, the file's name says
        them as in SICAPv2 (`..._xini_123_yini_456.jpg`).
    annotation
        Column of what a patch shows; `positive` values are written as areas.
    """

    spacing: float
    position_spacing: float
    file: str = "file"
    slide: str = "slide_id"
    core: str = "core"
    patient: str = "patient_id"
    label: str = "isup_grade"
    x: str = "x_level0"
    y: str = "y_level0"
    annotation: str = "patch_label"
    positive: tuple[str, ...] = ("G3", "G4", "G5")


@dataclass(frozen=True)
class Patch:
    """A patch with its place in pixels of the picture it belongs to (set once all are known)."""

    path: Path
    line: int
    left: int
    top: int
    width: int
    height: int
    positive: bool


@dataclass(frozen=True)
class Pieces:
    """All patches of one picture."""

    name: str
    patient: str
    label: str
    patches: tuple[Patch, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (
            max(one.top + one.height for one in self.patches),
            max(one.left + one.width for one in self.patches),
        )


def read_patches(path: Path, table: PatchTable) -> list[Pieces]:
    """Read and check a table of patches; their pictures' sizes are read, not their pixels.

    Raises
    ------
    CohortError
        If the table cannot be read, lacks a column, or has broken rows: all of them are named
        with their lines.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise CohortError(f"The table of patches {path} cannot be read: {error}") from error
    if not rows:
        raise CohortError(f"{path} has no rows.")
    wanted = (table.file, table.slide, table.label)
    missing = [name for name in wanted if name not in rows[0]]
    if missing:
        raise CohortError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, rows[0]))}. Name the columns on the command line."
        )
    groups: dict[str, list[tuple[dict[str, str], Patch]]] = {}
    problems: list[tuple[int, str]] = []
    for line, row in enumerate(rows, 2):
        try:
            name, patch = _read_row(path.parent, row, line, table)
            groups.setdefault(name, []).append((row, patch))
        except CohortError as error:
            problems.append((line, str(error)))
    for members in groups.values():
        problems += _disagreements(members, table)
    if problems:
        raise CohortError(broken_rows(path, problems))
    return [_placed(name, members, table) for name, members in groups.items()]


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
    partial = cohort.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("slide", "label", "patient", "annotation"), *rows])
    partial.replace(cohort)
    return cohort


def _read_row(folder: Path, row: dict[str, str], line: int, table: PatchTable) -> tuple[str, Patch]:
    from PIL import Image, UnidentifiedImageError

    file = (row.get(table.file) or "").strip()
    slide = (row.get(table.slide) or "").strip()
    if not file or not slide:
        raise CohortError(f"no {table.slide if file else table.file}")
    path = folder / file
    named = PLACE_IN_NAME.search(path.stem)
    piece = CORE_IN_NAME.search(path.stem)
    core = row.get(table.core) or (piece and piece[1]) or ""
    x, y = (
        row.get(column) or (named and named[part]) or ""
        for column, part in ((table.x, "x"), (table.y, "y"))
    )
    try:
        place = [float(value) * table.position_spacing / table.spacing for value in (x, y)]
    except ValueError:
        raise CohortError(f"no place of {path.name}: {x!r}, {y!r}") from None
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except FileNotFoundError:
        raise CohortError(f"patch not found: {path}") from None
    except (OSError, UnidentifiedImageError) as error:
        raise CohortError(f"{path.name} is no picture: {error}") from error
    positive = (row.get(table.annotation) or "") in table.positive
    patch = Patch(path, line, round(place[0]), round(place[1]), width, height, positive)
    return f"{slide}_{core}" if core else slide, patch


def _disagreements(
    members: list[tuple[dict[str, str], Patch]], table: PatchTable
) -> list[tuple[int, str]]:
    """Rows that say another patient or label than the first of the same picture."""
    first, start = members[0]
    problems = []
    seen: dict[tuple[int, int], int] = {}
    for row, patch in members:
        problems += [
            (
                patch.line,
                f"{column} is {row.get(column)!r}, but {first.get(column)!r} in line "
                f"{start.line} of the same slide",
            )
            for column in (table.patient, table.label)
            if row.get(column) != first.get(column)
        ]
        earlier = seen.setdefault((patch.left, patch.top), patch.line)
        if earlier != patch.line:
            problems.append((patch.line, f"the same place as the patch in line {earlier}"))
    return problems


def _placed(name: str, members: list[tuple[dict[str, str], Patch]], table: PatchTable) -> Pieces:
    left = min(patch.left for _, patch in members)
    top = min(patch.top for _, patch in members)
    patches = tuple(
        Patch(p.path, p.line, p.left - left, p.top - top, p.width, p.height, p.positive)
        for _, p in members
    )
    row = members[0][0]
    pieces = Pieces(name, row.get(table.patient) or name, row[table.label], patches)
    height, width = pieces.shape
    if height * width > MOST_PIXELS:
        raise CohortError(
            f"The patches of {name} span {width} x {height} px: are the positions in units of "
            f"{table.position_spacing:g} µm, and do they all belong to one piece of tissue?"
        )
    return pieces


def _write_slide(path: Path, pieces: Pieces, spacing: float) -> None:
    import tifffile

    partial = path.with_suffix(".partial")
    per_cm = 10_000 / spacing
    height, width = pieces.shape
    try:
        tifffile.imwrite(
            partial,
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
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
    path.write_text(text, encoding="utf-8")
    return path.name
