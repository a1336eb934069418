"""Whole-slide images as lazy layers, for napari's File > Open and for dropped files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_TILED = (".svs", ".svslide", ".tif", ".tiff", ".qptiff", ".ndpi", ".scn", ".mrxs", ".bif")
_OTHERS = (".vms", ".vmu", ".dcm", ".png", ".jpg", ".jpeg")
SUFFIXES = frozenset(_TILED + _OTHERS)

NOTHING: list[Any] = [(None,)]
"""napari's sign for a file that was dealt with and gives no layer."""

Reader = Callable[[str | Sequence[str]], list[tuple[Any, dict[str, Any], str]]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Napari's entry: the reader for this path, or None where it is not a slide.

    Only names are looked at here; a file that cannot be read says why when it is opened.
    """
    paths = [path] if isinstance(path, str) else list(path)
    if not paths or any(not _is_slide_name(Path(one)) for one in paths):
        return None
    return read


def _is_slide_name(path: Path) -> bool:
    from napari_maskvit.viewer.saving.state import is_state_folder

    return path.suffix.lower() in SUFFIXES or is_state_folder(path)


def read(path: str | Sequence[str]) -> list[tuple[Any, dict[str, Any], str]]:
    """Open slides and describe a layer for each; reads headers only.

    A folder written by *Save* opens the slide that it belongs to, with everything as it was.

    Raises
    ------
    MaskvitError
        If a file is no slide that can be read, and there is no window to say so in.
    """
    from napari import current_viewer

    from napari_maskvit.errors import MaskvitError
    from napari_maskvit.viewer.words import notices

    layers: list[Any] = []
    for one in [path] if isinstance(path, str) else path:
        try:
            layers.append(_described(Path(one)))
        except MaskvitError as error:
            if current_viewer() is None:
                raise
            # What a reader raises napari shows as a traceback, and its own words of how it came.
            notices.show(error)
    if not layers:
        return NOTHING
    show_panel_soon()
    return layers


def _described(path: Path) -> tuple[Any, dict[str, Any], str]:
    """A layer for one file, or for the slide of a folder that *Save* wrote."""
    from napari_maskvit.slide import open_slide
    from napari_maskvit.viewer.layers.slide import slide_layer_data
    from napari_maskvit.viewer.saving.state import is_state_folder, slide_of

    restore = path if is_state_folder(path) else None
    data = slide_layer_data(open_slide(slide_of(restore) if restore else path))
    if restore:
        data[1]["metadata"]["restore"] = str(restore)
    return data


def show_panel_soon() -> None:
    """Open the MaskViT panel beside the slide, once napari has added it."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return
    from qtpy.QtCore import QThread, QTimer
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        return

    def show() -> None:
        from napari_maskvit.viewer.launch import has_panel, show_panel
        from napari_maskvit.viewer.session import Session

        if not has_panel(viewer):
            show_panel(viewer)
            # The panel has taken room from the canvas, in which the slide was to fit.
            QTimer.singleShot(0, Session.of(viewer).slides.fit)

    QTimer.singleShot(0, show)
