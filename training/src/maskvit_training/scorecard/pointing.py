"""How well a map points at what a person has annotated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.errors import FeatureError
from maskvit_training.masks import read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_maskvit.explain import LevelAttention
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

GEOJSON = (".geojson", ".json")


def read_annotation(path: Path, slide: Slide, labels: Sequence[int]) -> TissueMask:
    """What is annotated: the areas of a GeoJSON file, or some labels of a label mask.

    Raises
    ------
    MaskvitError
        If it cannot be read or does not fit the slide.
    """
    from napari_maskvit.tissue import TissueMask

    if path.suffix.lower() in GEOJSON:
        return TissueMask.load(path, slide)
    picture, spacing = read_labels(path, slide)
    if not labels:
        raise FeatureError(
            f"{path.name} is a label mask: name the labels that count as annotated in "
            "data.annotation_labels."
        )
    return TissueMask(np.isin(picture, labels).astype(np.uint8), spacing, path.name)


def annotated(annotation: TissueMask, level: LevelAttention, spacing: float) -> NDArray[np.bool_]:
    """(K,) positions of a level of whose tissue at least half is annotated.

    Parameters
    ----------
    spacing
        µm a level-0 pixel.
    """
    coverage = annotation.coverage(0.0, 0.0, level.step * spacing, *level.shape)
    inside = coverage[level.rows, level.columns]
    found: NDArray[np.bool_] = (inside > 0) & (inside >= 0.5 * level.coverage)
    return found


def relative(level: LevelAttention) -> NDArray[np.float64]:
    """(K,) attention as a multiple of its window's mean, mean over heads; 1 is even attention."""
    values = level.pooled("mean").astype(np.float64)
    windows = level.windows()
    count = np.bincount(windows)
    mean = np.bincount(windows, values) / np.maximum(count, 1)
    spread: NDArray[np.float64] = values / np.maximum(mean[windows], 1e-30)
    return spread


def points_at(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Area under the ROC curve, and 1 where the highest value is annotated, else 0.

    nan where everything is annotated, or nothing.
    """
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

    known = np.isfinite(values)
    values, positive = values[known], positive[known]
    if not positive.any() or positive.all():
        return math.nan, math.nan
    return float(roc_auc_score(positive, values)), float(positive[values.argmax()])
