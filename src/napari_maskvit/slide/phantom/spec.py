"""What a phantom slide shows: cores with their lesions, artefacts and stain, as plain values."""

from __future__ import annotations

import math
from dataclasses import field, replace
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_maskvit.errors import SlideError

# Part of every seed's meaning: raised whenever the same spec would give other pixels.
GENERATOR = 1

Pattern = Literal[3, 4, 5]
ArtefactKind = Literal["pen", "dust", "bubble", "coverslip", "seam", "fold", "shadow"]
Colour = tuple[
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
]
Share = Annotated[float, Field(ge=0, le=1)]
Micrometres = Annotated[float, Field(gt=0, allow_inf_nan=False)]

ISUP_OF_SCORE = {(3, 3): 1, (3, 4): 2, (4, 3): 3, (4, 4): 4, (3, 5): 4, (5, 3): 4}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Lesion:
    """Cancer of one pattern along a part of a core.

    Parameters
    ----------
    start, stop
        Where along the core it lies, as fractions of the core's length.
    pattern
        Gleason-like pattern: 3 (separate small round glands), 4 (fused and cribriform glands),
        5 (sheets, cords and single cells).
    """

    start: Share
    stop: Share
    pattern: Pattern

    def __post_init__(self) -> None:
        if self.stop <= self.start:
            raise ValueError("a lesion's stop must lie behind its start")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Core:
    """One piece of tissue: a bent strip with rounded, ragged ends.

    Parameters
    ----------
    x, y
        Its middle, µm from the slide's top-left corner.
    length, width
        µm. As wide as long gives a round piece.
    angle
        Degrees from the x axis towards the y axis (clockwise on screen).
    curvature
        Height of its bend as a fraction of its length, to either side.
    lesions
        Cancer along it; later ones cover earlier ones.
    gland_density
        Share of the places for glands that hold one, benign or not.
    """

    x: float
    y: float
    length: Micrometres
    width: Micrometres
    angle: float = 0.0
    curvature: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    lesions: tuple[Lesion, ...] = ()
    gland_density: Share = 0.55


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Artefact:
    """Something on the slide that is not tissue (or, for a fold, spoils it).

    Parameters
    ----------
    kind
        ``pen`` a marker stroke; ``dust`` specks and fibres; ``bubble`` a round air bubble under
        the coverslip; ``coverslip`` its edge, a line across the whole slide with grey glass
        behind it; ``seam`` scan fields of uneven brightness around the tissue, pure white beyond
        them; ``fold`` a crease in the tissue; ``shadow`` a soft dark spot.
    x, y
        Its middle, µm from the slide's top-left corner. A seam lies around all tissue.
    size
        µm. Length of a pen stroke or fold, diameter of a bubble, shadow or area of dust, side of
        a seam's scan fields; unused by a coverslip edge.
    width
        µm. Thickness of a pen stroke, fold, bubble rim or coverslip edge, diameter of the largest
        dust, unused otherwise.
    angle
        Degrees from the x axis, clockwise on screen. Grey glass lies to the right of a coverslip
        edge of 90 degrees.
    curvature
        Height of a pen stroke's or fold's bend as a fraction of its length.
    colour
        Of the ink, RGB.
    strength
        0 (invisible) to 1 (heavy).
    over_tissue
        Whether it may lie over tissue too; otherwise it fades out before it touches any.
        Folds are always in tissue; seams and coverslip edges always run through it.
    """

    kind: ArtefactKind
    x: float = 0.0
    y: float = 0.0
    size: Micrometres = 1000.0
    width: Micrometres = 100.0
    angle: float = 0.0
    curvature: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    colour: Colour = (30, 60, 160)
    strength: Share = 0.7
    over_tissue: bool = False


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Stain:
    """How strongly and in which hue a slide is stained, all relative to an ordinary slide.

    Parameters
    ----------
    hematoxylin, eosin
        Optical density of the two stains; 1 is ordinary.
    hue
        Turns eosin from orange (-1) to violet (1).
    unevenness
        Share by which the density drifts over a few millimetres.
    glass
        RGB of bare glass.
    """

    hematoxylin: Annotated[float, Field(gt=0, le=4)] = 1.0
    eosin: Annotated[float, Field(gt=0, le=4)] = 1.0
    hue: Annotated[float, Field(ge=-1, le=1)] = 0.0
    unevenness: Share = 0.12
    glass: Colour = (243, 243, 247)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class PhantomSpec:
    """Everything a phantom slide depends on; the same spec gives the same file, byte for byte.

    The same cores at another `spacing` (with `width` and `height` changed accordingly) are the
    same tissue, scanned at another magnification.

    Parameters
    ----------
    width, height
        Level-0 pixels.
    spacing
        µm per level-0 pixel, 0.1 to 4.
    seed
        Of all that the other fields leave open: outlines, glands, nuclei, fibres.
    cores, artefacts
        What is on the slide.
    stain
        See `Stain`.
    """

    width: Annotated[int, Field(ge=1, le=4_000_000)] = 12_000
    height: Annotated[int, Field(ge=1, le=4_000_000)] = 8_000
    spacing: Annotated[float, Field(ge=0.1, le=4.0)] = 0.5
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    cores: tuple[Core, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    stain: Stain = field(default_factory=Stain)

    @property
    def size_um(self) -> tuple[float, float]:
        """Width and height of the slide in µm."""
        return self.width * self.spacing, self.height * self.spacing

    @property
    def gleason(self) -> tuple[int, int] | None:
        """Primary (largest) and secondary (next, else the same) pattern, None without cancer."""
        area: dict[int, float] = {}
        for core in self.cores:
            for pattern, share in _shares(core.lesions).items():
                area[pattern] = area.get(pattern, 0.0) + share * core.length * core.width
        order = sorted(area, key=lambda pattern: (-area[pattern], pattern))
        return (order[0], order[min(1, len(order) - 1)]) if order else None

    @property
    def isup_grade(self) -> int:
        """ISUP grade group 0 (no cancer) to 5, from the lesions' areas."""
        score = self.gleason
        return 0 if score is None else ISUP_OF_SCORE.get(score, 5)

    @property
    def digest(self) -> str:
        """Hexadecimal key of the spec and of the generator's version."""
        return sha256(f"{GENERATOR}:{self.to_json()}".encode()).hexdigest()

    def to_json(self) -> str:
        """Return the spec as one line of ASCII JSON."""
        return _adapter().dump_json(self).decode("ascii")

    @classmethod
    def from_json(cls, text: str) -> PhantomSpec:
        """Read what `to_json` wrote.

        Raises
        ------
        SlideError
            If the text is no spec of a phantom.
        """
        try:
            return _adapter().validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole text"
            raise SlideError(
                f"This is not the description of a phantom slide: {first['msg']} ({where}). "
                "Write the phantom again with write_phantom."
            ) from error

    def at_spacing(self, spacing: float) -> PhantomSpec:
        """Return the same slide as scanned at `spacing` µm per pixel."""
        factor = self.spacing / spacing
        return replace(
            self,
            spacing=spacing,
            width=max(1, round(self.width * factor)),
            height=max(1, round(self.height * factor)),
        )


def _shares(lesions: tuple[Lesion, ...]) -> dict[int, float]:
    """Share of a core's length under each pattern, where later lesions cover earlier ones."""
    edges = sorted({0.0, 1.0, *(e for lesion in lesions for e in (lesion.start, lesion.stop))})
    shares: dict[int, float] = {}
    for low, high in pairwise(edges):
        middle = (low + high) / 2
        on_top = [les.pattern for les in lesions if les.start <= middle < les.stop]
        if on_top:
            shares[on_top[-1]] = shares.get(on_top[-1], 0.0) + high - low
    return shares


@cache
def _adapter() -> TypeAdapter[PhantomSpec]:
    return TypeAdapter(PhantomSpec)


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return a counter-based generator that depends on nothing but its arguments."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *stream])))


def rotation(degrees: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in degrees."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
