"""``maskvit view``: slides in a napari window, with the panel beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_maskvit.cli.group import end_at_once
from napari_maskvit.cli.options import SlidePaths, Spacing
from napari_maskvit.errors import MaskvitError


def view(
    slides: SlidePaths,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tissue mask of the first slide.")
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that explain wrote for the first slide."),
    ] = None,
    spacing: Spacing = None,
) -> None:
    """Open slides in the viewer, with what explain made of them."""
    from napari_maskvit.slide import open_slide

    for path in slides:
        # A file that cannot be opened is told here, before a window comes up empty.
        open_slide(path, spacing=spacing).close()
    explanation = None if result is None else explanation_in(result)
    if mask is None and result is not None and (result / "mask.tif").is_file():
        mask = result / "mask.tif"
    if mask is not None and not mask.exists():
        raise MaskvitError(f"There is no tissue mask at {mask}; check the path.")
    require_window()

    import napari

    from napari_maskvit.viewer.launch import view as open_window
    from napari_maskvit.viewer.session import Session

    viewer = open_window(
        slides[0], mask=mask, explanation=explanation, spacing=spacing, block=False
    )
    for path in slides[1:]:
        Session.of(viewer).open(path, spacing)
    end_at_once()
    napari.run()


def explanation_in(folder: Path) -> Path:
    """The store in a folder of results, or the store itself.

    Raises
    ------
    MaskvitError
        If there is none.
    """
    for place in (folder / "explanation.zarr", folder):
        if place.suffix == ".zarr" and place.is_dir():
            return place
    raise MaskvitError(f"There is no result in {folder}; give a folder that maskvit explain wrote.")


def require_window() -> None:
    """See whether a window can open.

    Raises
    ------
    MaskvitError
        If not, with the reason.
    """
    from napari_maskvit.cli.display import try_display

    reason = try_display().reason
    if reason:
        raise MaskvitError(
            f"The viewer cannot open a window: {reason}. `maskvit doctor` says what is missing; "
            "`maskvit explain` works without a window."
        )
