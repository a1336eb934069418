"""Two viewers of one process: each has its own session, and closing one leaves the other alone.

Viewers without a canvas: what two windows share through software OpenGL is not in question here.
"""

from __future__ import annotations

from pathlib import Path

from napari.components import ViewerModel

from napari_maskvit.viewer.session import Session

from .conftest import write_slide


def test_two_sessions_do_not_know_of_each_other(qtbot, tmp_path: Path, slide_pixels) -> None:
    paths = [
        write_slide(tmp_path / "one.tif", slide_pixels),
        write_slide(tmp_path / "two.tif", slide_pixels[:, ::-1].copy()),
    ]
    first, second = sessions = [Session.of(ViewerModel()) for _ in paths]
    troubles: list[str] = []
    for session, path in zip(sessions, paths, strict=True):
        session.failed.connect(troubles.append)
        session.open(path)
        session.find_tissue()
    settled = lambda: all(one.mask is not None and one.busy is None for one in sessions)  # noqa: E731
    qtbot.waitUntil(settled, timeout=120_000)
    for session in sessions:
        session.run()
    qtbot.waitUntil(lambda: all(is_complete(one) for one in sessions), timeout=120_000)
    assert [session.slide.name for session in sessions] == ["one", "two"]

    before = second.tissue.areas.tissue_mm2
    first.tissue.editor.layer.fill((0, 0), 1)
    qtbot.waitUntil(lambda: first.tissue.areas.added_mm2 > 0, timeout=10_000)
    assert (second.tissue.areas.tissue_mm2, second.tissue.areas.added_mm2) == (before, 0)

    first.close()
    assert (first.closed, second.closed) == (True, False)
    second.discard_corrections()
    second.find_tissue()
    qtbot.waitUntil(lambda: second.busy is None, timeout=60_000)
    assert second.tissue.areas.tissue_mm2 == before
    second.close()
    assert troubles == []


def is_complete(session: Session) -> bool:
    return session.explanation is not None and session.explanation.complete
