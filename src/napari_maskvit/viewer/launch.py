"""Open the window on a slide, with the panel beside it: what ``maskvit view`` and ``demo`` do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.session import Session
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    import napari

    from napari_maskvit.explain import Explanation
    from napari_maskvit.tissue import TissueMask

PLUGIN = "napari-maskvit"
PANEL = "MaskViT"


def view(
    path: str | Path | None = None,
    *,
    mask: TissueMask | str | Path | None = None,
    explanation: Explanation | str | Path | None = None,
    spacing: float | None = None,
    run: bool = False,
    block: bool = True,
) -> napari.Viewer:
    """Open a viewer with the MaskViT panel.

    Parameters
    ----------
    path
        A slide, or None for an empty window.
    mask
        A tissue mask or its file.
    explanation
        A result or its Zarr store.
    spacing
        µm per level-0 pixel, where the file does not say.
    run
        Find tissue (unless a mask is given) and run the default model at once.
    block
        Whether to run Qt's event loop until the window is closed.

    Returns
    -------
    napari.Viewer
    """
    import napari

    viewer = napari.Viewer(title="MaskViT")
    session = Session.of(viewer)
    show_panel(viewer)
    if path is not None:
        session.open(path, spacing)
    if session.slide is not None:
        _prepare(session, mask, explanation)
        if run and explanation is None:
            _run_soon(session)
    if block:
        napari.run()
    return viewer


def show_panel(viewer: napari.Viewer) -> Any:
    """The MaskViT panel of this viewer, opened on the right if it is not yet."""
    from napari_maskvit.viewer.dock import MaskvitWidget

    Session.of(viewer)
    widget = _panel_of(viewer)
    if widget is not None:
        return widget
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    assert isinstance(widget, MaskvitWidget)
    return widget


def has_panel(viewer: napari.Viewer) -> bool:
    """Whether the MaskViT panel of this viewer is open."""
    return _panel_of(viewer) is not None


def _panel_of(viewer: napari.Viewer) -> Any:
    docks = viewer.window.dock_widgets
    return next((widget for name, widget in docks.items() if PANEL in name), None)


def _prepare(session: Session, mask: Any, explanation: Any) -> None:
    from napari_maskvit.tissue import TissueMask

    if isinstance(mask, TissueMask):
        session.use_mask(mask)
    elif mask is not None:
        session.load_mask(mask)
    if explanation is None:
        return

    def load() -> Explanation:
        from napari_maskvit.explain import Explanation

        is_loaded = isinstance(explanation, Explanation)
        return explanation if is_loaded else Explanation.load(Path(explanation))

    session.jobs.start(
        "files", "Reading the result", once(load, torch=True), on_done=session.attention.take
    )


def _run_soon(session: Session) -> None:
    """Run once there is a mask, finding tissue first where there is none."""
    if session.mask is not None:
        session.run()
        return

    def run() -> None:
        session.mask_changed.disconnect(run)
        session.run()

    session.mask_changed.connect(run)
    if session.busy is None:
        session.find_tissue()
