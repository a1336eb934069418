"""What is tissue: the mask, its automatic segmentation, its files, its coverage of a lattice."""

from __future__ import annotations

from napari_maskvit.tissue.evidence import TissueEvidence, segment_tissue
from napari_maskvit.tissue.mask import MaskDifference, TissueMask
from napari_maskvit.tissue.parameters import TissueParameters
from napari_maskvit.tissue.spacing import mask_spacing_for

__all__ = [
    "MaskDifference",
    "TissueEvidence",
    "TissueMask",
    "TissueParameters",
    "mask_spacing_for",
    "segment_tissue",
]
