"""What an explanation leaves on disk: numbers, maps and a picture, in one folder."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.cli.earlier import STORE
from napari_maskvit.cli.output import SUMMARY, appearing

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

FORMAT = "napari-maskvit prediction"
OVERLAY = "overlay.png"


def write_results(
    folder: Path, slide: Slide, mask: TissueMask, explanation: Explanation, mask_source: str
) -> dict[str, Any]:
    """Write the folder, whole or not at all.

    Parameters
    ----------
    folder
        Replaced if it exists.
    slide, mask, explanation
        What was explained, where, and the outcome.
    mask_source
        Path of the mask's file, or "found".

    Returns
    -------
    dict
        What ``prediction.json`` says.

    Raises
    ------
    MaskvitError
        If the disk refuses.
    """
    from PIL import Image

    from napari_maskvit.explain.export import overlay

    shown = explanation.heatmap_levels
    with appearing(folder) as fresh:
        explanation.save(fresh / STORE)
        mask.save(fresh / "mask.tif", slide)
        for level in shown:
            explanation.heatmap(level).save(fresh / f"heatmap-{level}.tif")
        picture = overlay(slide, explanation.heatmap(shown[-1]))
        Image.fromarray(picture).save(fresh / OVERLAY)
        summary = summarise(slide, mask, explanation, mask_source)
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (fresh / SUMMARY).write_text(text + "\n", encoding="utf-8")
    return summary


def summarise(
    slide: Slide, mask: TissueMask, explanation: Explanation, mask_source: str
) -> dict[str, Any]:
    """The numbers of an explanation, as JSON holds them."""
    statistics = explanation.statistics
    height, width = slide.shape
    return {
        "format": FORMAT,
        "version": 1,
        "slide": {
            "name": slide.name,
            "path": str(slide.path),
            "identity": slide.identity,
            "width": width,
            "height": height,
            "spacing_um": slide.spacing,
            "spacing_source": slide.spacing_source,
        },
        "model": {
            "name": explanation.model_name,
            "title": explanation.model_title,
            "sha256": explanation.model_sha256,
        },
        "masking": list(explanation.masking),
        "threshold": explanation.threshold,
        "mask": {
            "source": mask_source,
            "spacing_um": mask.spacing,
            "tissue_mm2": mask.area_mm2,
        },
        "prediction": as_plain(explanation.prediction),
        "kept": dict(statistics.kept),
        "total": dict(statistics.total),
        "background_attention": dict(statistics.background_mass),
        "patches": {
            "computed": statistics.computed_patches,
            "known": statistics.cached_patches,
        },
        "undecodable_tiles": statistics.undecodable_tiles,
        "device": explanation.device,
        "precision": explanation.precision,
        "seconds": {stage: round(value, 3) for stage, value in statistics.seconds.items()},
        "warnings": [*getattr(slide, "warnings", ()), *explanation.warnings],
    }


def as_plain(value: Any) -> Any:
    """A dataclass or pydantic model as plain JSON values; None stays None."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
