"""Pictures too large to be made while a slider moves are made beside the window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_maskvit.viewer.layers.heatmaps import heatmap_for
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.viewer.desks.attention import AttentionDesk


def show_later(desk: AttentionDesk, level: str) -> None:
    """Show a level as the display asks for, once that is worked out; the newest display wins."""
    display, explanation = desk.display, desk.explanation
    assert explanation is not None
    reference = desk.reference if desk.beside.is_shown else None

    def work() -> tuple[float, Any, Any]:
        started = time.perf_counter()
        masked = {level: heatmap_for(explanation, level, display)}
        seconds = time.perf_counter() - started
        plain = {level: heatmap_for(reference, level, display)} if reference else {}
        return seconds, masked, plain

    def done(result: tuple[float, Any, Any]) -> None:
        desk.picture_seconds, masked, plain = result
        if desk.explanation is explanation and desk.display == display:
            desk.layers.explain(explanation, desk.drawn, masked)
            if reference is not None and desk.reference is reference and desk.beside.is_shown:
                desk.beside.layers.explain(reference, desk.drawn, plain)
            desk.beside.share_limits()
            desk.live.show()
            desk.session.display_changed.emit(display)

    desk.session.jobs.start("picture", "", once(work), on_done=done)
