"""Synthetic biopsy slides with known truth.

spec = biopsy(seed=7, grade=3, artefacts=("pen", "dust"))
truth = write_phantom("phantom.tif", spec)
truth.isup_grade, truth.labels(spacing=8.0)
"""

from napari_maskvit.slide.phantom.compose import biopsy, isup_patterns, with_artefact
from napari_maskvit.slide.phantom.sample import sample_slide
from napari_maskvit.slide.phantom.spec import Artefact, Core, Lesion, PhantomSpec, Stain
from napari_maskvit.slide.phantom.truth import PhantomTruth, labels_path, read_truth
from napari_maskvit.slide.phantom.write import write_phantom

__all__ = [
    "Artefact",
    "Core",
    "Lesion",
    "PhantomSpec",
    "PhantomTruth",
    "Stain",
    "biopsy",
    "isup_patterns",
    "labels_path",
    "read_truth",
    "sample_slide",
    "with_artefact",
    "write_phantom",
]
