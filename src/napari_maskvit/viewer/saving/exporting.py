"""Files for other programs: heatmaps in place, pictures to look at, the mask as outlines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_maskvit.viewer.layers.heatmaps import heatmap_for
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.display import Display
    from napari_maskvit.viewer.session import Session


def export(session: Session, folder: Path) -> None:
    """Write what is shown into a folder, in a worker; tells when it is done.

    Parameters
    ----------
    session
        Whose explanation and mask to write, displayed as they are now.
    folder
        Made if it is not there; files of the same names are replaced.
    """
    slide, explanation, mask = session.slide, session.explanation, session.mask
    if slide is None or explanation is None:
        return
    display = session.display

    def work() -> list[Path]:
        return write_exports(folder, slide, explanation, mask, display)

    session.jobs.start(
        "files",
        f"Exporting to {folder.name}",
        once(work),
        on_done=lambda paths: notices.tell(f"{len(paths)} files were written to {folder}."),
    )


def write_exports(
    folder: Path,
    slide: Slide,
    explanation: Explanation,
    mask: TissueMask | None,
    display: Display,
) -> list[Path]:
    """Write a heatmap and an overlay for every level, and the mask.

    Returns
    -------
    list of Path
        ``<slide>-attention-<level>.tif`` (float32, resolution tags), ``….png`` (over the slide) and
        ``<slide>-tissue.geojson`` (level-0 pixels, as QuPath has them).

    Raises
    ------
    MaskvitError, OSError
        If the disk refuses.
    """
    from PIL import Image

    from napari_maskvit.explain.export import overlay

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for level in explanation.heatmap_levels:
        heatmap = heatmap_for(explanation, level, display)
        path = heatmap.save(folder / f"{slide.name}-attention-{level}.tif")
        picture = overlay(slide, heatmap, colormap=display.colormap, opacity=display.opacity)
        Image.fromarray(picture).save(path.with_suffix(".png"))
        written += [path, path.with_suffix(".png")]
    if mask is not None:
        outlines = folder / f"{slide.name}-tissue.geojson"
        mask.save(outlines, slide)
        written.append(outlines)
    return written
