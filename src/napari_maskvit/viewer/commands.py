"""What the Layers menus call; napari injects the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_maskvit.viewer.launch import show_panel
from napari_maskvit.viewer.session import Session

if TYPE_CHECKING:
    import napari.viewer


def find_tissue(viewer: napari.viewer.Viewer) -> None:
    """Layers > Segment: find the tissue on the slide in the viewer."""
    _session(viewer).find_tissue()


def correct_mask(viewer: napari.viewer.Viewer) -> None:
    """Layers > Annotate: take the brush and correct the tissue mask."""
    _session(viewer).hand.pick("brush")


def run(viewer: napari.viewer.Viewer) -> None:
    """Layers > Classify: run the model on the tissue."""
    _session(viewer).run()


def compare(viewer: napari.viewer.Viewer) -> None:
    """Layers > Visualize: plain attention beside the masked, or one view again."""
    session = _session(viewer)
    session.compare(not session.comparing)


def show_attention(viewer: napari.viewer.Viewer) -> None:
    """Layers > Visualize: show or hide attention."""
    session = _session(viewer)
    session.show(visible=not session.attention.drawn.visible)


def measure_tissue(viewer: napari.viewer.Viewer) -> None:
    """Layers > Measure: area of the tissue, its share of the slide, and what was corrected."""
    from napari_maskvit.viewer.words import notices

    session = _session(viewer)
    areas, share = session.tissue.areas, session.tissue.share
    if areas is None or share is None:
        notices.tell("There is no tissue mask yet. Find tissue first.")
        return
    notices.tell(
        f"Tissue: {areas.tissue_mm2:.2f} mm², {share:.1%} of the slide; by hand "
        f"+{areas.added_mm2:.3f} mm² and \N{MINUS SIGN}{areas.removed_mm2:.3f} mm²."
    )


def save_session(viewer: napari.viewer.Viewer) -> None:
    """File > IO Utilities: save mask, result and view beside the slide."""
    _session(viewer).save()


def _session(viewer: napari.viewer.Viewer) -> Session:
    show_panel(viewer)
    return Session.of(viewer)
