"""Slides of a few hundred kilobytes, real windows, and a hand that holds the mouse."""

from __future__ import annotations

import gc
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# A person's own napari settings and unsaved work must neither help nor change.
os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp()) / "settings.yaml"))
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp()

HEIGHT, WIDTH = 1536, 2048
SPACING = 0.5
UNFROZEN = 100_000
"""Objects that collections may go through; a window and its session are some 50,000."""

REST_TURNS = 45
"""Of 10 ms: longer than anything in the window is debounced."""


def paint_slide(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """White glass with an oval of pink, speckled tissue."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    tissue = ((y / height - 0.5) / 0.3) ** 2 + ((x / width - 0.45) / 0.3) ** 2 < 1
    image = np.full((height, width, 3), 245, np.uint8)
    pink = np.array([206, 150, 190]) + rng.integers(-25, 25, (height, width, 3))
    nuclei = rng.random((height // 8, width // 8)) < 0.15
    nuclei = np.kron(nuclei, np.ones((8, 8), bool))[:height, :width]
    pink[nuclei] = (90, 60, 140)
    image[tissue] = pink[tissue].clip(0, 255)
    return image


def write_slide(path: Path, image: np.ndarray, spacing: float | None = SPACING) -> Path:
    """A tiled pyramid with or without resolution tags."""
    import tifffile

    known = (
        {"resolution": (1e4 / spacing, 1e4 / spacing), "resolutionunit": "CENTIMETER"}
        if spacing
        else {}
    )
    with tifffile.TiffWriter(path) as writer:
        options: dict[str, Any] = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
        writer.write(image, subifds=1, **options, **known)
        writer.write(image[::4, ::4], subfiletype=1, **options)
    return path


@pytest.fixture(scope="session")
def slide_pixels() -> np.ndarray:
    return paint_slide()


@pytest.fixture
def slide_path(tmp_path: Path, slide_pixels: np.ndarray) -> Path:
    return write_slide(tmp_path / "biopsy.tif", slide_pixels)


@pytest.fixture
def bare_slide_path(tmp_path: Path, slide_pixels: np.ndarray) -> Path:
    """A slide that says nothing of its size in µm."""
    return write_slide(tmp_path / "bare.tif", slide_pixels, spacing=None)


@pytest.fixture
def other_slide_path(tmp_path: Path) -> Path:
    return write_slide(tmp_path / "other.tif", paint_slide(1024, 1024, seed=1))


@pytest.fixture
def viewer(qtbot: Any) -> Iterator[Any]:
    """A real window, closed afterwards."""
    import napari

    from napari_maskvit.viewer.session import Session

    leave_modules_out_of_collections()
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1000, 700)
    qtbot.wait(50)
    yield viewer
    session = Session._sessions.get(id(viewer))
    if viewer in _open_viewers():
        viewer.close()
    assert session is None or session.closed
    qtbot.wait(20)
    from superqt.utils import GeneratorWorker

    GeneratorWorker.await_workers(20_000)


@pytest.fixture(scope="session", autouse=True)
def collect_at_the_end() -> Iterator[None]:
    """Modules are let go in an orderly way when the process ends."""
    yield
    gc.unfreeze()


def leave_modules_out_of_collections() -> None:
    """napari collects garbage for each layer that is removed: hundreds of ms, with torch imported.

    What a test leaves behind is still collected in the next ones.
    """
    if len(gc.get_objects()) > UNFROZEN:
        gc.collect()
        gc.freeze()


def _open_viewers() -> set[Any]:
    import napari

    return set(napari.Viewer._instances)


@pytest.fixture
def session(viewer: Any, slide_path: Path, no_panel: None) -> Any:
    """A session with the small slide open, without a panel."""
    from napari_maskvit.viewer.session import Session

    session = Session.of(viewer)
    session.messages = []
    session.failed.connect(session.messages.append)
    session.open(slide_path)
    return session


@pytest.fixture
def no_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slides open without the panel beside them."""
    monkeypatch.setattr("napari_maskvit.viewer.reader.show_panel_soon", lambda: None)


@pytest.fixture
def settle(qtbot: Any) -> Callable[..., None]:
    """Wait until a session has been at rest for a while."""

    def wait(session: Any, timeout: int = 120_000) -> None:
        deadline = time.monotonic() + timeout / 1000
        turns = 0
        # What is debounced starts first, and the veil is put by last.
        while turns < REST_TURNS:
            qtbot.wait(10)
            turns = turns + 1 if session.jobs.is_idle else 0
            assert turns or time.monotonic() < deadline, f"still at work: {session.jobs.words}"

    return wait


class Hand:
    """Moves the mouse over the real canvas, in µm of the slide."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.canvas = viewer.window._qt_viewer.canvas.native
        self.seconds: list[float] = []
        self._be_the_only_mouse()

    def _be_the_only_mouse(self) -> None:
        """The screen's own pointer leaves the canvas whenever a window of other tests comes up."""
        from qtpy.QtCore import QEvent, QObject, QPointF
        from qtpy.QtGui import QEnterEvent
        from qtpy.QtWidgets import QApplication

        class NoOther(QObject):
            def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
                return event is not None and event.type() in (QEvent.Type.Enter, QEvent.Type.Leave)

        QApplication.sendEvent(self.canvas, QEnterEvent(*[QPointF(0, 0)] * 3))
        self.canvas.installEventFilter(NoOther(self.canvas))

    def screen(self, y: float, x: float) -> tuple[float, float]:
        camera = self.viewer.scene.camera
        height, width = self.viewer.canvas.size
        return (
            (x - camera.center[-1]) * camera.zoom + width / 2,
            (y - camera.center[-2]) * camera.zoom + height / 2,
        )

    def drag(self, points: Sequence[tuple[float, float]], moves: int = 6) -> None:
        """Press at the first point (y, x), move through the others, let go."""
        places = [self.screen(*point) for point in points]
        self.press(places[0])
        for start, stop in itertools.pairwise(places):
            for share in np.linspace(0, 1, moves + 1)[1:]:
                place = tuple(np.array(start) * (1 - share) + np.array(stop) * share)
                begun = time.perf_counter()
                self.move(place)
                self.qtbot.wait(1)
                self.seconds.append(time.perf_counter() - begun)
        self.release(places[-1])
        self.qtbot.wait(30)

    def press(self, place: tuple[float, float]) -> None:
        """Press at a place (x, y) of the canvas, and hold."""
        from qtpy.QtCore import QEvent, Qt

        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        self._send(QEvent.Type.MouseMove, place, none, none)
        self.qtbot.wait(50)
        self._send(QEvent.Type.MouseButtonPress, place, left, left)

    def move(self, place: tuple[float, float]) -> None:
        """Move on to a place (x, y) of the canvas, pressed."""
        from qtpy.QtCore import QEvent, Qt

        self._send(QEvent.Type.MouseMove, place, Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton)

    def release(self, place: tuple[float, float]) -> None:
        """Let go at a place (x, y) of the canvas."""
        from qtpy.QtCore import QEvent, Qt

        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        self._send(QEvent.Type.MouseButtonRelease, place, left, none)

    def click(self, y: float, x: float) -> None:
        self.drag([(y, x)])

    def hover(self, y: float, x: float) -> None:
        from qtpy.QtCore import QEvent, Qt

        none = Qt.MouseButton.NoButton
        for nudge in (3, 0):
            px, py = self.screen(y, x)
            self._send(QEvent.Type.MouseMove, (px + nudge, py), none, none)
            self.qtbot.wait(60)

    def _send(self, kind: Any, place: Any, button: Any, buttons: Any) -> None:
        from qtpy.QtCore import QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        point = QPointF(*(float(one) for one in place))
        event = QMouseEvent(
            kind,
            point,
            self.canvas.mapToGlobal(point),
            button,
            buttons,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self.canvas, event)


@pytest.fixture
def hand(viewer: Any, qtbot: Any) -> Hand:
    return Hand(viewer, qtbot)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of every level, minute and untrained."""
    from napari_maskvit.viewer.work.torch_import import import_torch

    import_torch()
    import torch

    from napari_maskvit.model import (
        ModelConfig,
        PatchArchitecture,
        RegionArchitecture,
        SlideArchitecture,
        build_model,
        save_bundle,
    )

    torch.manual_seed(0)
    config = ModelConfig(
        name="minute",
        title="Untrained",
        spacing=0.5,
        token_px=16,
        patch_px=128,
        region_px=512,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        patch=PatchArchitecture(
            name="vit_small_patch16_224", options={"depth": 1, "embed_dim": 48, "num_heads": 3}
        ),
        region=RegionArchitecture(dim=24, depth=1, heads=3),
        slide=SlideArchitecture(dim=24, heads=3, feedforward=24),
        head="classification",
        labels=("benign", "low", "high"),
        frozen=("patch",),
        licence="none",
        training_data="none",
        warnings=("Its weights are random.",),
    )
    return save_bundle(build_model(config, "# Untrained"), tmp_path_factory.mktemp("m") / "minute")


@pytest.fixture(scope="session")
def encoder(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The minute model's patch level alone, which makes no prediction."""
    from napari_maskvit.model import build_model, load_model, save_bundle

    changes = {"name": "encoder", "region": None, "slide": None, "head": None, "labels": ()}
    facts = load_model(bundle).config.model_dump() | changes
    config = type(load_model(bundle).config)(**facts)
    return save_bundle(build_model(config, "# Encoder"), tmp_path_factory.mktemp("e") / "encoder")


@pytest.fixture
def ready(session: Any, bundle: Path, settle: Callable[..., None]) -> Any:
    """A session with tissue found and the minute model loaded."""
    session.use_model(bundle)
    settle(session)
    session.find_tissue()
    settle(session)
    return session


@pytest.fixture
def ran(ready: Any, settle: Callable[..., None]) -> Any:
    """The same, after a run."""
    ready.run()
    settle(ready)
    return ready
