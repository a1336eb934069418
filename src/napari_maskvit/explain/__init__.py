"""Slide + tissue mask + model -> attention at every level, and the prediction that goes with it."""

from napari_maskvit.explain.attention import LevelAttention
from napari_maskvit.explain.contribution import Contribution
from napari_maskvit.explain.explainer import Explainer
from napari_maskvit.explain.explanation import Explanation, Statistics
from napari_maskvit.explain.granular import Granular
from napari_maskvit.explain.heatmap import Heatmap
from napari_maskvit.explain.patches import PatchResult
from napari_maskvit.explain.progress import Progress
from napari_maskvit.explain.recall import Recalled
from napari_maskvit.explain.signed import SignedHeatmap

__all__ = [
    "Contribution",
    "Explainer",
    "Explanation",
    "Granular",
    "Heatmap",
    "LevelAttention",
    "PatchResult",
    "Progress",
    "Recalled",
    "SignedHeatmap",
    "Statistics",
]
