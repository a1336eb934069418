"""Textures of tissue, made once for all slides: where they lie differs, what they are does not."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_maskvit.slide.phantom.noise import Floats
from napari_maskvit.slide.phantom.spec import generator

SEED = 1


@cache
def fibres() -> Floats:
    """Texture of fibres, mean 0, deviation 1: 0.5 µm across (rows), 4 µm along (columns)."""
    rng = generator(SEED, 31)
    total = np.zeros((1024, 1024), np.float32)
    for across, along, weight in ((1.3, 1.6, 0.5), (3.5, 4.5, 0.65), (11.0, 10.0, 0.5)):
        layer = rng.standard_normal(total.shape, np.float32)
        layer = gaussian_filter(layer, (across, along), mode="wrap")
        total += np.float32(weight) * layer / layer.std()
    return np.asarray(total / total.std(), np.float32)


@cache
def cobbles() -> Floats:
    """Texture of bundles cut across, 0.5 µm a texel: patches with pale seams between them."""
    rng = generator(SEED, 33)
    coarse, fine = (rng.standard_normal((1024, 1024), np.float32) for _ in range(2))
    patches = gaussian_filter(coarse, 9.0, mode="wrap") - gaussian_filter(coarse, 20.0, mode="wrap")
    patches /= patches.std()
    fine = gaussian_filter(fine, 2.2, mode="wrap")
    seams = np.exp(-((patches / np.float32(0.28)) ** 2))
    total = 0.65 + 0.35 * fine / fine.std() + 0.3 * np.abs(patches) - 2.1 * seams
    return np.asarray(total, np.float32)


@lru_cache(maxsize=4)
def grain(spacing: float, extra: int) -> tuple[Floats, Floats]:
    """Fine (0.5 µm) and coarser (1.4 µm) even textures, 1024 pixels period, `extra` over."""
    rng = generator(SEED, 32)
    textures = []
    for size in (0.5, 1.4):
        layer = rng.standard_normal((1024, 1024), np.float32)
        if size / spacing > 0.3:
            layer = gaussian_filter(layer, size / spacing, mode="wrap")
        layer = np.asarray(layer / layer.std(), np.float32)
        textures.append(np.pad(layer, ((0, extra), (0, extra)), mode="wrap"))
    return textures[0], textures[1]
