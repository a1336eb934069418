"""The panel beside the slide: the journey in steps, in one column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_maskvit.viewer.panels.attention import AttentionPanel
from napari_maskvit.viewer.panels.base import Panel
from napari_maskvit.viewer.panels.changes import ChangesPanel
from napari_maskvit.viewer.panels.hand import HandPanel
from napari_maskvit.viewer.panels.model import ModelPanel
from napari_maskvit.viewer.panels.result import ResultPanel
from napari_maskvit.viewer.panels.run import RunPanel
from napari_maskvit.viewer.panels.slide import SlidePanel
from napari_maskvit.viewer.panels.tissue import TissuePanel
from napari_maskvit.viewer.panels.why import WhyPanel
from napari_maskvit.viewer.parts.links import Links
from napari_maskvit.viewer.parts.section import Section
from napari_maskvit.viewer.parts.style import set_role, style_sheet
from napari_maskvit.viewer.session import Session

if TYPE_CHECKING:
    import napari

_STEPS: tuple[type[Panel], ...] = (
    SlidePanel,
    TissuePanel,
    ModelPanel,
    AttentionPanel,
    ResultPanel,
    ChangesPanel,
    WhyPanel,
)
_WIDTH = 320
_NARROWEST = 290


class MaskvitWidget(QWidget):
    """The dock widget: slide, tissue, model, attention, result, what changed, why.

    Steps open by themselves as the journey goes on, and fold once they are behind; what a person
    opened or closed stays so.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose session is shown; given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.setObjectName("maskvit")
        self.session = Session.of(napari_viewer)
        self.links = Links()
        self.panels = [make(self.session) for make in _STEPS]
        self.hand, self.run = HandPanel(self.session), RunPanel(self.session)
        self.sections = {
            panel.title.lower(): Section(number, panel.title, panel)
            for number, panel in enumerate(self.panels, start=1)
        }
        self._lay_out()
        for panel, section in zip(self.panels, self.sections.values(), strict=True):
            panel.summarised.connect(
                lambda text, done, section=section: section.set_summary(text, done=done)
            )
            panel.refresh()
        self._connect_session(napari_viewer)
        self._lead()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Wide enough for the controls, as tall as there is room."""
        return QSize(_WIDTH, 640)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Narrow enough for a laptop."""
        return QSize(_NARROWEST, 200)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Hear nothing any more."""
        self.release()
        super().closeEvent(event)

    def release(self) -> None:
        """Cut the connections to the session; the widget stays as it is."""
        self.links.close()
        for panel in (*self.panels, self.hand, self.run):
            panel.release()

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(4, 0, 4, 4)
        column.setSpacing(0)
        for section in self.sections.values():
            column.addWidget(section)
        column.addStretch(1)
        self.scroll_area = QScrollArea()
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.scroll_area.setWidget(inside)
        foot = QFrame()
        set_role(foot, "foot")
        column = QVBoxLayout(foot)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.hand)
        column.addWidget(self.run)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.scroll_area, 1)
        whole.addWidget(foot)

    def _connect_session(self, viewer: napari.Viewer) -> None:
        session = self.session
        for signal in (
            session.slide_changed,
            session.mask_changed,
            session.explanation_changed,
            session.busy_changed,
            session.autosave.changed,
        ):
            self.links.connect(signal, self._lead)
        self.links.connect_event(viewer.events.theme, self._dress)
        self._dress()

    def _dress(self, _event: object = None) -> None:
        self.setStyleSheet(style_sheet(str(self.session.viewer.theme)))

    def _lead(self) -> None:
        session = self.session
        slide = session.slide
        measured = slide is not None and slide.spacing is not None
        looking = session.explanation is not None or session.running
        wanted = {
            "slide": not looking,
            "tissue": measured and (not looking or session.autosave.offer is not None),
            "model": False,
            "attention": session.mask is not None,
            "what changed": session.attention.changes.before is not None,
        }
        if session.explanation is None:
            wanted["result"] = False
        elif not session.running:
            wanted["result"] = True
        for name, is_open in wanted.items():
            self.sections[name].set_open(is_open)
