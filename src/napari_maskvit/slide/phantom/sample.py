"""The sample slide that napari offers: made at first use, kept in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from napari_maskvit.errors import SlideError
from napari_maskvit.slide.phantom.compose import biopsy, with_artefact
from napari_maskvit.slide.phantom.spec import PhantomSpec, Stain
from napari_maskvit.slide.phantom.truth import labels_path
from napari_maskvit.slide.phantom.write import write_phantom


def sample_spec() -> PhantomSpec:
    """Return what the sample slide shows: three cores, ISUP 3, and common artefacts."""
    spec = biopsy(
        seed=23,
        grade=3,
        cores=3,
        core_width=460.0,
        stain=Stain(hematoxylin=1.0, eosin=0.95, hue=0.0, glass=(242, 242, 246)),
    )
    spec = with_artefact(spec, "pen", size=1500.0, width=230.0, colour=(24, 48, 140))
    for kind in ("dust", "bubble", "fold", "coverslip"):
        spec = with_artefact(spec, kind)
    return spec


def cache_folder() -> Path:
    """Return the folder for files that can be made again (``MASKVIT_CACHE`` overrides it)."""
    chosen = os.environ.get("MASKVIT_CACHE")
    if chosen:
        return Path(chosen)
    import pooch

    return Path(pooch.os_cache("napari-maskvit"))


def sample_slide(progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the path of the sample slide, writing it first if it is not there yet.

    Parameters
    ----------
    progress
        Called with the tiles painted and the tiles to paint, if any are.

    Raises
    ------
    SlideError
        If the cache folder cannot be written.
    """
    spec = sample_spec()
    path = cache_folder() / f"sample-biopsy-{spec.digest[:12]}.tif"
    if path.is_file() and labels_path(path).is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SlideError(
            f"The sample slide cannot be kept in {path.parent}: {error.strerror or error}. "
            "Set MASKVIT_CACHE to a folder that can be written."
        ) from error
    write_phantom(path, spec, progress=progress)
    return path
