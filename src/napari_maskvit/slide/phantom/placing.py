"""Where the nuclei of a gland sit: in rows along its outline, packed where it is solid."""

from __future__ import annotations

import math

import numpy as np

from napari_maskvit.slide.phantom.noise import Doubles, Floats, Ints
from napari_maskvit.slide.phantom.nuclei import (
    BASAL,
    COLUMNAR,
    MALIGNANT,
    SPINDLE,
    VARIANTS,
    Nuclei,
)
from napari_maskvit.slide.phantom.shapes import BENIGN, FUSED, SMALL, VESSEL, scatter


def place_nuclei(
    kind: int, rng: np.random.Generator, depth: Floats, lumen: Floats, xs: Doubles, ys: Doubles
) -> Nuclei:
    """Rows of nuclei along the outline, and a packed filling where the epithelium is solid."""
    if kind == VESSEL:
        return _along(rng, depth, 2.5, 15.0, SPINDLE, 0, xs, ys)
    if kind == BENIGN:
        outer = _along(rng, depth, 3.0, 10.5, BASAL, 0, xs, ys)
        inner = _along(rng, depth, 9.5, 6.3, COLUMNAR, 1, xs, ys)
        fill = _packed(rng, (depth > 15.5) & (lumen < -5.5), COLUMNAR, 8.0, xs, ys)
        return Nuclei.join([outer, inner, fill])
    if kind == SMALL:
        ring = _along(rng, depth, 6.5, 8.2, MALIGNANT, 1, xs, ys)
        return Nuclei.join(
            [ring, _packed(rng, (depth > 13.5) & (lumen < -6), MALIGNANT, 9.5, xs, ys)]
        )
    pitch = 9.4 if kind == FUSED else 10.2
    return _packed(rng, (depth > 3.2) & (lumen < -4.2), MALIGNANT, pitch, xs, ys)


def _along(
    rng: np.random.Generator,
    field: Floats,
    level: float,
    spacing: float,
    form: int,
    upright: int,
    xs: Doubles,
    ys: Doubles,
) -> Nuclei:
    """Nuclei at even distances along a contour of `field`, upright on it or lying along it."""
    from skimage.measure import find_contours

    parts = []
    step = float(xs[1] - xs[0])
    for contour in find_contours(field, level):  # type: ignore[no-untyped-call]
        legs = np.hypot(*np.diff(contour, axis=0).T) * step
        run = np.concatenate([[0.0], np.cumsum(legs)])
        count = int(run[-1] / spacing)
        if count < 3:
            continue
        at = (np.arange(count) + rng.uniform(-0.28, 0.28, count)) * run[-1] / count
        y = np.interp(at, run, contour[:, 0])
        x = np.interp(at, run, contour[:, 1])
        ahead = np.interp(np.minimum(at + 3, run[-1]), run, contour[:, 0]) - y
        aside = np.interp(np.minimum(at + 3, run[-1]), run, contour[:, 1]) - x
        turn = np.arctan2(ahead, aside) + upright * math.pi / 2 + rng.normal(0, 0.18, count)
        sway = rng.normal(0, 1.4 if upright else 0.4, (2, count)) / step
        parts.append(
            Nuclei(
                (x + sway[0]) * step + xs[0],
                (y + sway[1]) * step + ys[0],
                turn.astype(np.float32),
                np.full(count, form),
                rng.integers(VARIANTS, size=count),
            )
        )
    return Nuclei.join(parts) if parts else Nuclei.none()


def _packed(
    rng: np.random.Generator, room: np.ndarray, form: int, pitch: float, xs: Doubles, ys: Doubles
) -> Nuclei:
    """Nuclei on a jittered hexagonal lattice wherever `room` is True."""
    step = float(xs[1] - xs[0])
    centre = (len(xs) - 1) * step / 2
    points = scatter(rng, centre * 1.45, pitch)[:, :2] + centre
    turn = rng.uniform(0, math.pi, len(points)).astype(np.float32)
    variant = rng.integers(VARIANTS, size=len(points))
    at: Ints = np.rint(points / step).astype(np.int64)
    inside = np.asarray(((at >= 0) & (at < len(xs))).all(axis=1))
    inside[inside] = room[at[inside, 1], at[inside, 0]]
    points = points[inside]
    return Nuclei(
        points[:, 0] + xs[0],
        points[:, 1] + ys[0],
        turn[inside],
        np.full(len(points), form),
        variant[inside],
    )
