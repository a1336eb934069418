"""Layers are freed in the context in which they were drawn."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("napari", reason="needs the gui extra")

pytestmark = pytest.mark.window


@pytest.mark.parametrize("how", ["one", "all"])
def test_layers_are_freed_in_the_context_of_the_canvas(
    session: Any, viewer: Any, settle: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    from qtpy.QtGui import QOpenGLContext

    settle(session)
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    own, finish, seen = canvas.native.context(), canvas.context.finish, []

    def note() -> None:
        seen.append(QOpenGLContext.currentContext())
        finish()

    monkeypatch.setattr(canvas.context, "finish", note)
    canvas.native.doneCurrent()
    assert QOpenGLContext.currentContext() is not own
    if how == "one":
        viewer.layers.pop()
    else:
        viewer.layers.clear()
    assert seen
    assert all(context is own for context in seen)
