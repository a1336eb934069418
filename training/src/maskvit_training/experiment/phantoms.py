"""Phantom cohorts in which artefacts on the glass go along with the grade, or do not."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from maskvit_training.errors import TrainingError
from maskvit_training.splits import ROLES
from maskvit_training.writing import write_text, written_whole
from napari_maskvit.slide.phantom import (
    PhantomSpec,
    biopsy,
    labels_path,
    with_artefact,
    write_phantom,
)
from napari_maskvit.slide.phantom.spec import ArtefactKind

COUPLED, FREE = "coupled", "free"
INKS = ((24, 48, 140), (16, 96, 58), (176, 32, 40), (28, 28, 34), (96, 30, 130), (205, 150, 20))
KINDS: tuple[ArtefactKind, ...] = ("dust", "bubble")
"""Neither reaches into the tissue, as a shadow or a coverslip's edge would."""


@dataclass(frozen=True)
class Design:
    """What the cohorts look like.

    The whole piece is of one grade and full of glands: a grade that half of the pieces do not show
    cannot be learned.

    Every piece of tissue is written twice: once "coupled", with a pen stroke whose ink and an
    artefact whose kind follow from the grade, and once "free", where both are drawn by lot. Both
    lie on the glass alone. The tissue is the same.

    Attributes
    ----------
    grades
        ISUP grade groups, which become the classes.
    train, tune, test
        Pieces of tissue in each role.
    width, height
        Pixels.
    spacing
        µm per pixel.
    core_width
        µm.
    gland_density
        Share of the places for glands that hold one.
    blocks
        Of the bundled encoder that read the slides, at their spacing.
    patch_px
        Side of a patch; a region is 2 x 2 of them. Regions that fit the slide exactly keep plain
        attention from reading places where there is no slide.
    seed
        Of tissue and lots.
    """

    grades: tuple[int, ...] = (0, 1)
    train: int = 120
    tune: int = 40
    test: int = 60
    width: int = 672
    height: int = 672
    spacing: float = 1.5
    core_width: float = 300.0
    gland_density: float = 0.95
    blocks: int = 3
    patch_px: int = 168
    seed: int = 1

    def pieces(self) -> Iterator[tuple[int, str, int]]:
        """Number, role and class of every piece of tissue; classes take turns."""
        number = 0
        for role in ROLES:
            for at in range(getattr(self, role)):
                yield number, role, at % len(self.grades)
                number += 1

    def spec(self, number: int, grade: int, *, coupled: bool) -> PhantomSpec:
        """A piece of tissue with what lies beside it."""
        spec = biopsy(
            self.width,
            self.height,
            spacing=self.spacing,
            seed=self.seed * 100_003 + number,
            grade=self.grades[grade],
            cores=1,
            core_width=self.core_width,
            lesion_fraction=1.0,
        )
        cores = tuple(replace(core, gland_density=self.gland_density) for core in spec.cores)
        spec = replace(spec, cores=cores)
        rng = np.random.default_rng((self.seed, number))
        ink, kind = rng.integers(len(self.grades)), rng.integers(len(KINDS))
        if coupled:
            ink = kind = np.int64(grade)
        spec = with_artefact(spec, "pen", colour=INKS[int(ink) % len(INKS)], strength=0.9)
        return with_artefact(spec, KINDS[int(kind) % len(KINDS)])


def write_cohorts(
    folder: Path,
    design: Design,
    progress: Callable[[int, int], None] | None = None,
    *,
    kinds: tuple[str, ...] = (COUPLED, FREE),
) -> dict[str, Path]:
    """Write the slides that are not there yet, and one table for each kind of training.

    In both tables the test slides are the same: every test tissue coupled and free. `kinds` may
    leave one of the two out.

    Returns
    -------
    dict
        Path of the table by kind of training, "coupled" or "free".

    Raises
    ------
    TrainingError
        If the folder holds the slides of another design.
    """
    _require_same(folder / "design.json", design)
    pieces = list(design.pieces())
    tables = {kind: [("slide", "mask", "label", "patient", "fold")] for kind in kinds}
    for done, (number, role, grade) in enumerate(pieces):
        for kind in kinds:
            path = folder / kind / f"{number:04}.tif"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_phantom(path, design.spec(number, grade, coupled=kind == COUPLED))
            slide, mask = (str(one.relative_to(folder)) for one in (path, labels_path(path)))
            row = (slide, mask, str(grade), f"{number:04}", role)
            for training, rows in tables.items():
                if role == "test" or training == kind:
                    rows.append(row)
        if progress is not None:
            progress(done + 1, len(pieces))
    written = {}
    for kind, rows in tables.items():
        path = written[kind] = folder / f"{kind}.csv"
        with written_whole(path) as place, place.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    return written


def _require_same(path: Path, design: Design) -> None:
    facts = json.dumps(asdict(design))
    if path.exists() and path.read_text("utf-8") != facts:
        raise TrainingError(
            f"{path.parent} holds the slides of another experiment: {path.read_text('utf-8')}. "
            "Choose another folder, or remove that one."
        )
    write_text(path, facts)
