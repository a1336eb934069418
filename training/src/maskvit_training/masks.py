"""The tissue mask of a case: from its file, from a label mask, or segmented."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskvit_training.errors import FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from maskvit_training.cohort import Case
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

LABEL_SPACING = 8.0
"""µm a pixel, above which a label mask is read no coarser than its file has levels for."""


def mask_key(case: Case, kind: str) -> str:
    """What the mask of a case depends on, without making it."""
    if case.mask is not None:
        content = hashlib.sha256(case.mask.read_bytes()).hexdigest()
        return f"{kind}:{content}"
    import napari_maskvit
    from napari_maskvit.tissue import TissueParameters

    return f"segmented:{napari_maskvit.__version__}:{TissueParameters().model_dump_json()}"


def make_mask(case: Case, kind: str, slide: Slide) -> TissueMask:
    """The tissue mask of a case.

    Raises
    ------
    MaskvitError
        If its file cannot be read or there is no tissue at all.
    """
    from napari_maskvit.tissue import TissueMask, segment_tissue

    if case.mask is None:
        mask = segment_tissue(slide)
    elif kind == "labels":
        mask = read_label_mask(case.mask, slide)
    else:
        mask = TissueMask.load(case.mask, slide)
    if mask.is_empty:
        raise FeatureError(
            f"The tissue mask of {case.name} is empty: give a mask with tissue, or leave the slide "
            "out of the table."
        )
    return mask


def read_label_mask(path: Path, slide: Slide) -> TissueMask:
    """Tissue from a picture of labels that covers the slide, 0 being background.

    Raises
    ------
    FeatureError
        If it cannot be read or has another shape than the slide.
    """
    from napari_maskvit.tissue import TissueMask

    labels, spacing = read_labels(path, slide)
    return TissueMask((labels > 0).astype(np.uint8), spacing, path.name)


def read_labels(path: Path, slide: Slide) -> tuple[NDArray[Any], float]:
    """A picture of labels that covers the slide, and its µm a pixel.

    PANDA's masks are pyramids with the label in the first channel: Radboud 0 background, 1 stroma,
    2 benign, 3 to 5 Gleason patterns; Karolinska 0 background, 1 benign, 2 cancer.

    Raises
    ------
    FeatureError
        If it cannot be read or has another shape than the slide.
    """
    import tifffile

    height, width = slide.shape
    spacing = slide.require_spacing()
    try:
        with tifffile.TiffFile(path) as file:
            labels = _coarse_level(file.series[0].levels, width, spacing)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise FeatureError(f"The label mask {path} cannot be read: {error}") from error
    if labels.ndim == 3:
        labels = labels[..., 0]
    rows, columns = labels.shape
    if abs(rows / columns - height / width) > 0.02 * height / width + 1 / columns:
        raise FeatureError(
            f"The label mask {path.name} is {columns} x {rows} px, which is not the shape of "
            f"{slide.name} ({width} x {height} px)."
        )
    return labels, width * spacing / columns


def _coarse_level(levels: Any, width: int, spacing: float) -> NDArray[Any]:
    chosen = levels[0]
    for level in levels[1:]:
        if width * spacing / level.shape[1] <= LABEL_SPACING:
            chosen = level
    return np.asarray(chosen.asarray())
