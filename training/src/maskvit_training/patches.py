"""Tables of patches, as SICAPv2 is distributed: which belong together, and where they lie."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from maskvit_training.cohort import broken_rows
from maskvit_training.errors import CohortError

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
