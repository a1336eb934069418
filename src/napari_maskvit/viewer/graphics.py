"""What layers leave behind on the graphics card is freed where it was made."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari


def free_in_own_context(viewer: napari.Viewer) -> None:
    """Have the canvas's own OpenGL context at hand whenever a layer is removed.

    napari frees the shaders of removed layers at once, in whichever context is current: after a
    frame that is the one that Qt puts the window together in. Mesa then frees them later, and with
    them forgets the shader in use; where the next frames have a single layer and nothing else, it
    draws with none, which ends the process (seen with Mesa 22.3 and no graphics card).
    """

    def make_current(_event: object) -> None:
        # Private, and gone with the window.
        with suppress(AttributeError, RuntimeError):
            viewer.window._qt_viewer.canvas._scene_canvas.set_current()

    # Once it is removed, napari itself hears of it first.
    viewer.layers.events.removing.connect(make_current)
