"""What is tissue: the mask, its automatic segmentation, its files, its coverage of a lattice."""

from __future__ import annotations

from napari_maskvit.tissue.mask import MaskDifference, TissueMask

__all__ = ["MaskDifference", "TissueMask"]
