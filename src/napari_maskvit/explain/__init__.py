"""Slide + tissue mask + model -> attention at every level, and the prediction that goes with it."""

from napari_maskvit.explain.attention import LevelAttention
from napari_maskvit.explain.engine import Explainer
from napari_maskvit.explain.explanation import Explanation, Statistics
from napari_maskvit.explain.heatmap import Heatmap
from napari_maskvit.explain.patches import PatchResult
from napari_maskvit.explain.progress import Progress

__all__ = [
    "Explainer",
    "Explanation",
    "Heatmap",
    "LevelAttention",
    "PatchResult",
    "Progress",
    "Statistics",
]
