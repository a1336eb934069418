"""Compose specs: a biopsy of a given grade, artefacts placed beside its tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_maskvit.slide.phantom.cores import Cores
from napari_maskvit.slide.phantom.spec import (
    Artefact,
    ArtefactKind,
    Core,
    Lesion,
    Pattern,
    PhantomSpec,
    Stain,
    generator,
)

INKS = (
    (24, 48, 140),
    (16, 96, 58),
    (28, 28, 34),
    (176, 32, 40),
    (96, 30, 130),
    (205, 150, 20),
)


def isup_patterns(grade: int, variant: float = 0.0) -> tuple[tuple[Pattern, float], ...]:
    """Return patterns and their shares of the cancer that make up an ISUP grade group.

    Parameters
    ----------
    grade
        0 to 5.
    variant
        0 to 1, chooses among the scores of the same grade (4+4, 3+5, 5+3; 4+5, 5+4, 5+5).

    Raises
    ------
    ValueError
        If there is no such grade.
    """
    choices: dict[int, tuple[tuple[tuple[Pattern, float], ...], ...]] = {
        0: ((),),
        1: (((3, 1.0),),),
        2: (((3, 0.7), (4, 0.3)),),
        3: (((4, 0.7), (3, 0.3)),),
        4: (((4, 1.0),), ((4, 1.0),), ((3, 0.6), (5, 0.4)), ((5, 0.6), (3, 0.4))),
        5: (((4, 0.6), (5, 0.4)), ((5, 0.6), (4, 0.4)), ((5, 1.0),)),
    }
    if grade not in choices:
        raise ValueError(f"an ISUP grade group is 0 to 5, not {grade}")
    options = choices[grade]
    return options[min(int(variant * len(options)), len(options) - 1)]


def biopsy(
    width: int = 12_000,
    height: int = 8_000,
    *,
    spacing: float = 0.5,
    seed: int = 0,
    grade: int = 0,
    cores: int = 3,
    core_length: float | None = None,
    core_width: float = 620.0,
    lesion_fraction: float = 0.4,
    artefacts: Sequence[ArtefactKind] = (),
    stain: Stain | None = None,
) -> PhantomSpec:
    """Return a biopsy of a given grade: cores side by side, each with its own bend and glands.

    Parameters
    ----------
    width, height
        Level-0 pixels.
    spacing
        µm per pixel.
    seed
        Of the layout and of everything the spec leaves open.
    grade
        ISUP grade group, 0 to 5; what `PhantomSpec.isup_grade` of the result says.
    cores
        How many.
    core_length, core_width
        µm; the length is what fits, at most 14 mm, if None. Both vary by a tenth.
    lesion_fraction
        Share of all tissue with cancer, if the grade has any.
    artefacts
        Kinds to add, each with a random look, clear of tissue where it can be.
    stain
        Random within what laboratories do if None.
    """
    rng = generator(seed, 100)
    size = width * spacing, height * spacing
    pieces = _layout(rng, size, cores, core_length, core_width)
    spec = PhantomSpec(
        width=width,
        height=height,
        spacing=spacing,
        seed=seed,
        cores=_with_lesions(rng, pieces, grade, lesion_fraction),
        stain=stain if stain is not None else _random_stain(rng),
    )
    for kind in artefacts:
        spec = with_artefact(spec, kind)
    return spec


def with_artefact(spec: PhantomSpec, kind: ArtefactKind, **changes: Any) -> PhantomSpec:
    """Return the spec with one more artefact, placed clear of tissue where that is possible.

    Parameters
    ----------
    spec
        The slide.
    kind
        See `Artefact`. Only a shadow may lie over tissue unless `over_tissue` is set.
    **changes
        Fields of `Artefact` to set; the others are drawn from the spec's seed.
    """
    rng = generator(spec.seed, 101, len(spec.artefacts))
    w, h = spec.size_um
    short = min(w, h)
    scale: dict[ArtefactKind, tuple[float, float]] = {
        "pen": (min(0.45 * max(w, h), 6000.0) * rng.uniform(0.5, 1), min(0.12 * short, 700.0)),
        "dust": (min(0.8 * short, 6000.0), 45.0),
        "bubble": (min(0.28 * short, 1600.0) * rng.uniform(0.5, 1), 26.0),
        "coverslip": (short, 60.0),
        "seam": (min(1100.0, short / 2), 1.0),
        "fold": (min(1400.0, 0.7 * short), 90.0),
        "shadow": (0.6 * short, 1.0),
    }
    length, thick = scale[kind]
    item = Artefact(
        kind=kind,
        x=w / 2,
        y=h / 2,
        size=length,
        width=thick * rng.uniform(0.7, 1.1),
        angle=rng.uniform(-25, 25) + (90 if kind in ("coverslip", "fold") else 0),
        curvature=rng.uniform(-0.12, 0.12),
        colour=INKS[int(rng.integers(len(INKS)))],
        strength=rng.uniform(0.55, 0.95),
        # A soft shadow that stopped short of the tissue would leave a white rim around it.
        over_tissue=kind == "shadow",
    )
    if kind == "coverslip":
        left = bool(rng.random() < 0.5)
        item = replace(
            item,
            x=w * (0.03 if left else 0.97),
            angle=(-90 if left else 90) + rng.uniform(-1.5, 1.5),
        )
    elif kind == "fold":
        item = _onto_tissue(rng, spec, item)
    elif kind != "seam":
        item = _beside_tissue(rng, spec, item)
    item = replace(item, **changes)
    return replace(spec, artefacts=(*spec.artefacts, item))


def _layout(
    rng: np.random.Generator,
    size: tuple[float, float],
    count: int,
    core_length: float | None,
    core_width: float,
) -> list[Core]:
    """Cores in rows (and columns where they are short), jittered, inside the slide."""
    w, h = size
    upright = h > 1.25 * w
    long, wide = (h, w) if upright else (w, h)
    length = min(core_length or 14_000.0, 0.88 * long)
    columns = max(1, int(long / (1.12 * length)))
    rows = math.ceil(count / columns)
    pitch = wide / (rows + 0.35)
    pieces = []
    for k in range(count):
        row, column = divmod(k, columns)
        own = length * rng.uniform(0.88, 1.0)
        thick = min(core_width * rng.uniform(0.9, 1.1), 0.75 * pitch)
        spare = max(0.0, pitch - 1.25 * thick)
        along = (
            long * (column + 0.5) / columns + rng.uniform(-0.5, 0.5) * (long / columns - own) * 0.7
        )
        across = pitch * (row + 0.675) + rng.uniform(-0.15, 0.15) * spare
        lean = math.degrees(math.atan2(0.25 * spare, own / 2)) * rng.uniform(-1, 1)
        bend = rng.uniform(-1, 1) * min(0.05, 0.35 * spare / own)
        pieces.append(
            Core(
                x=across if upright else along,
                y=along if upright else across,
                length=own,
                width=thick,
                angle=lean + (90 if upright else 0),
                curvature=bend,
                gland_density=rng.uniform(0.35, 0.85),
            )
        )
    return pieces


def _with_lesions(
    rng: np.random.Generator, pieces: list[Core], grade: int, fraction: float
) -> tuple[Core, ...]:
    """Spread the grade's patterns over the cores, each core a stretch of cancer in shares."""
    parts = isup_patterns(grade, float(rng.random()))
    if not parts or fraction <= 0:
        return tuple(pieces)
    weights = rng.uniform(0.4, 1.6, len(pieces))
    area = np.array([piece.length * piece.width for piece in pieces])
    wanted = np.clip(weights * fraction * area.sum() / (weights * area).sum(), 0, 1)
    done = []
    for piece, share in zip(pieces, wanted.tolist(), strict=True):
        at = float(rng.uniform(0, 1 - share))
        lesions = []
        for pattern, part in parts if rng.random() < 0.5 else parts[::-1]:
            stop = min(1.0, at + share * part)
            lesions.append(Lesion(at, stop, pattern))
            at = stop
        done.append(replace(piece, lesions=tuple(lesions)))
    return tuple(done)


def _random_stain(rng: np.random.Generator) -> Stain:
    tone = int(rng.integers(232, 251))
    return Stain(
        hematoxylin=float(rng.uniform(0.7, 1.35)),
        eosin=float(rng.uniform(0.7, 1.4)),
        hue=float(rng.uniform(-0.8, 0.8)),
        unevenness=float(rng.uniform(0.05, 0.2)),
        glass=(tone, tone, min(255, tone + int(rng.integers(2, 6)))),
    )


def _beside_tissue(rng: np.random.Generator, spec: PhantomSpec, item: Artefact) -> Artefact:
    """Try places and keep the one whose outline stays furthest from tissue."""
    cores = Cores(spec)
    w, h = spec.size_um
    along = np.linspace(-0.5, 0.5, 15) * (item.size if item.kind == "pen" else 0.8 * item.size)
    best, found = -math.inf, item
    for _ in range(80):
        tried = replace(
            item, x=float(rng.uniform(0.06, 0.94) * w), y=float(rng.uniform(0.06, 0.94) * h)
        )
        turns = (tried.angle,) if item.kind == "pen" else (0.0, 45.0, 90.0, 135.0)
        depth = -math.inf
        for turn in turns:
            x = tried.x + along * math.cos(math.radians(turn))
            y = tried.y + along * math.sin(math.radians(turn))
            depth = max(depth, float(cores.smooth_depth(x, y).max(initial=-1e4)))
        clear = -depth - (item.width if item.kind == "pen" else 0)
        if clear > best:
            best, found = clear, tried
        if clear > 150:
            break
    return found


def _onto_tissue(rng: np.random.Generator, spec: PhantomSpec, item: Artefact) -> Artefact:
    if not spec.cores:
        return item
    core = spec.cores[int(rng.integers(len(spec.cores)))]
    place = rng.uniform(-0.3, 0.3) * core.length
    turn = math.radians(core.angle)
    return replace(
        item,
        x=core.x + place * math.cos(turn),
        y=core.y + place * math.sin(turn),
        size=min(item.size, 1.6 * core.width),
        angle=core.angle + 90 + rng.uniform(-35, 35),
    )
