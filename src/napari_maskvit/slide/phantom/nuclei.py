"""Nuclei: small pictures of hematoxylin, made once a slide and stamped where cells are."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from napari_maskvit.slide.phantom.noise import Doubles, Floats, Ints
from napari_maskvit.slide.phantom.spec import generator

SPINDLE, BASAL, COLUMNAR, LYMPHOCYTE, MALIGNANT, PLUMP = range(6)

# Length, width (µm), optical density, share of it missing in the middle, nucleolus.
FORMS = (
    (13.5, 3.1, 0.95, 0.0, 0.0),
    (8.5, 3.8, 0.98, 0.0, 0.0),
    (9.0, 6.4, 0.86, 0.22, 0.0),
    (6.2, 5.8, 1.15, 0.0, 0.0),
    (9.6, 7.8, 0.80, 0.38, 0.5),
    (9.5, 4.8, 0.85, 0.15, 0.0),
)
TURNS = 24
VARIANTS = 8
REACH = 13.0  # µm, no nucleus reaches further from its middle


@dataclass(frozen=True)
class Nuclei:
    """Places and looks of nuclei, arrays of one length.

    Attributes
    ----------
    x, y
        Middle, µm.
    angle
        Of the long axis, radians.
    form
        Index into `FORMS`.
    variant
        Which of the pictures of that form.
    """

    x: Doubles
    y: Doubles
    angle: Floats
    form: Ints
    variant: Ints

    def where(self, keep: np.ndarray) -> Nuclei:
        """Return those where `keep` is True."""
        return Nuclei(*(getattr(self, item.name)[keep] for item in fields(self)))

    @classmethod
    def join(cls, parts: list[Nuclei]) -> Nuclei:
        """Return all nuclei of several lists in one."""
        return cls(
            *(np.concatenate([getattr(p, item.name) for p in parts]) for item in fields(cls))
        )

    @classmethod
    def none(cls) -> Nuclei:
        """Return an empty list."""
        empty = np.zeros(0)
        return cls(empty, empty, empty.astype(np.float32), empty.astype(int), empty.astype(int))


class Stamps:
    """Pictures of nuclei at one spacing, and how to stamp them onto a layer of hematoxylin."""

    def __init__(self, spacing: float) -> None:
        self.spacing = spacing
        self.pad = math.ceil(REACH / spacing) + 1
        self._bank = _bank(spacing)
        self._half = np.array([picture.shape[0] // 2 for picture in self._bank])

    def stamp(self, layer: Floats, x0: int, y0: int, nuclei: Nuclei) -> None:
        """Lay nuclei into `layer`, whose first pixel is level-0 pixel (x0, y0), by maximum."""
        turn = np.floor(nuclei.angle / math.pi * TURNS + 0.5).astype(np.int64) % TURNS
        which = (nuclei.form * VARIANTS + nuclei.variant) * TURNS + turn
        half = self._half[which]
        left = np.floor(nuclei.x / self.spacing).astype(np.int64) - x0 - half
        top = np.floor(nuclei.y / self.spacing).astype(np.int64) - y0 - half
        side = 2 * half + 1
        fits = (left >= 0) & (top >= 0)
        fits &= (left + side <= layer.shape[1]) & (top + side <= layer.shape[0])
        bank = self._bank
        places = np.stack([top, left, which, side], axis=1)[fits].tolist()
        for row, column, picture, size in places:
            view = layer[row : row + size, column : column + size]
            np.maximum(view, bank[picture], out=view)


@lru_cache(maxsize=4)
def _bank(spacing: float) -> tuple[Floats, ...]:
    """All pictures at one spacing, in the order form, variant, turn."""
    return tuple(
        _picture(form, variant, turn, spacing)
        for form in range(len(FORMS))
        for variant in range(VARIANTS)
        for turn in range(TURNS)
    )


def _picture(form: int, variant: int, turn: int, spacing: float) -> Floats:
    """Draw one nucleus: an uneven ellipse with mottled chromatin, a square of odd side."""
    length, width, density, hollow, nucleolus = FORMS[form]
    rng = generator(0, 11, form, variant)
    size = rng.uniform(0.82, 1.2)
    slender = rng.uniform(0.6, 1.3) if length > 2 * width else rng.uniform(0.85, 1.15)
    a, b = length / 2 * size * slender, width / 2 * size
    phases, waves = rng.uniform(0, 2 * math.pi, 3), rng.normal(0, 0.045, 3)
    tone = density * rng.uniform(0.78, 1.12)
    spots = rng.uniform(-0.6, 0.6, (4, 2))
    depths = rng.normal(0, 0.22, 4)
    half = math.ceil((max(a, b) * 1.1 + 0.8) / spacing)
    ticks = (np.arange(-half, half + 1) * spacing).astype(np.float32)
    c, s = math.cos(turn * math.pi / TURNS), math.sin(turn * math.pi / TURNS)
    u = (ticks[None, :] * c + ticks[:, None] * s) / a
    v = (ticks[:, None] * c - ticks[None, :] * s) / b
    rho = np.hypot(u, v)
    polar = np.arctan2(v, u)
    for k in range(3):
        rho = rho * (1 + waves[k] * np.cos((k + 2) * polar + phases[k]))
    edge = max(1.1, spacing)
    alpha = np.clip((1 - rho) * b / edge + 0.5, 0, 1)
    chromatin = 1 - hollow * np.clip(1 - rho**3, 0, 1)
    for (cu, cv), depth in zip(spots, depths, strict=True):
        chromatin = chromatin + depth * np.exp(-((u - cu) ** 2 + (v - cv) ** 2) / 0.16)
    if nucleolus:
        near = ((u - spots[0, 0] * 0.4) * a) ** 2 + ((v - spots[0, 1] * 0.4) * b) ** 2
        chromatin = chromatin + nucleolus * np.exp(-near / 1.3)
    return np.asarray(alpha * tone * np.clip(chromatin, 0.3, 1.6), np.float32)
