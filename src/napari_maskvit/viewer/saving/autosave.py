"""Keeps corrections as they are made, and offers those that a crash left behind."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import Signal

from napari_maskvit.errors import MaskvitError
from napari_maskvit.tissue import TissueMask, TissueParameters
from napari_maskvit.viewer.saving import unsaved
from napari_maskvit.viewer.saving.packing import are_same
from napari_maskvit.viewer.saving.state import as_plain
from napari_maskvit.viewer.saving.unsaved import Offer, Work
from napari_maskvit.viewer.saving.unsaved_writer import Writer
from napari_maskvit.viewer.words import notices
from napari_maskvit.viewer.work.jobs import Job, once

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskvit.viewer.session import Session

CHANNEL = "unsaved"
DELAY_MS = 400
"""From a change to its writing. A stroke made while one is written waits for that as well."""

_OFFERED = "There are corrections that were never saved: restore or discard them under Tissue."


class Autosave:
    """One file for each slide that a session works on, rewritten as a whole.

    Parameters
    ----------
    session
        Whose mask is kept.

    Attributes
    ----------
    offer
        Work on this slide that an earlier session left behind; None where there is none, or once
        it was restored or discarded.
    """

    changed = Signal()
    _mine: ClassVar[set[str]] = set()

    def __init__(self, session: Session) -> None:
        from qtpy.QtCore import QTimer

        self.session = session
        self.offer: Offer | None = None
        self._others: list[Offer] = []
        self._then: list[Callable[[], None]] = []
        self._announced: set[Path] = set()
        self._tokens: dict[str, str] = {}
        self._saved: dict[str, TissueMask] = {}
        self._writer = Writer()
        self._dirty = self._complained = False
        self._writing: Job | None = None
        self._layer: Any = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._write)
        session.mask_changed.connect(self._touched)
        session.tools.drawn_finely.connect(self._touched)
        session.slide_changed.connect(self._look)

    def mark_saved(self, mask: TissueMask | None, identity: str) -> None:
        """Keep nothing more of that slide until there is another mask: this one is safe."""
        if mask is None:
            return
        self._saved[identity] = mask
        slide = self.session.slide
        if slide is not None and slide.identity == identity:
            self._touched()
            if self.session.mask is mask:
                self.flush()

    def restore(self) -> None:
        """Bring back the work that is offered."""
        # What was saved before it comes first, so as not to take its place.
        self.session.memory.when_restored(self._restore)

    def _restore(self) -> None:
        offer = self.offer
        if offer is None:
            return
        self.session.jobs.start(
            CHANNEL,
            "Restoring",
            once(lambda: unsaved.read(offer.path)),
            on_done=lambda work: self._take(work, offer),
        )

    def discard(self) -> None:
        """Remove the work that is offered."""
        if self.offer is None:
            return
        try:
            self.offer.path.unlink(missing_ok=True)
        except OSError as error:
            self.session.fail(error)
        self._next_offer()

    def flush(self) -> bool:
        """Write what changed, now; whether everything is safe."""
        self._timer.stop()
        self._settle()
        # What a thread has been given may not be on the disk yet, nor the thread running.
        pending = self._dirty or self._writing is not None
        work = self._work() if pending else None
        problem = work() if work is not None else None
        self._dirty = problem is not None
        self._told(problem)
        return problem is None

    def close(self) -> None:
        """Write what changed and listen no more; another session may then offer it."""
        self.flush()
        self._follow(None)
        self._mine.difference_update(self._tokens.values())
        self.session.mask_changed.disconnect(self._touched)
        self.session.tools.drawn_finely.disconnect(self._touched)
        self.session.slide_changed.disconnect(self._look)

    def _settle(self) -> None:
        """See what was changed just now; a stroke that is under way is read as it is."""
        editor = self.session.tissue.editor
        if editor is not None and not editor.layer._staged_history:
            editor.settle()

    def _touched(self, _event: object = None) -> None:
        editor = self.session.tissue.editor
        self._follow(editor.layer if editor else None)
        if editor is not None:
            self._dirty = True
            # Never started anew by a further change: hours of steady work must not wait.
            if not self._timer.isActive() and self._writing is None:
                self._timer.start()

    def _follow(self, layer: Any) -> None:
        """Hear each move of the brush: a stroke that lasts is work, too."""
        if layer is self._layer:
            return
        if self._layer is not None:
            self._layer.events.labels_update.disconnect(self._touched)
        if layer is not None:
            layer.events.labels_update.connect(self._touched)
        self._layer = layer

    def _write(self) -> None:
        work = self._work() if self._dirty else None
        self._dirty = False
        if work is not None:
            # Not one of the session's jobs: it is no business of the person's, and never stopped.
            self._writing = Job(
                "",
                once(work),
                on_done=self._told,
                on_failed=self._told,
                on_end=self._written,
            )
            self._writing.start()

    def _told(self, problem: Exception | None) -> None:
        # Once is enough: it is tried again as the work goes on.
        if problem is not None and not self._complained:
            self.session.fail(problem)
        self._complained = problem is not None

    def _written(self, _job: Job) -> None:
        self._writing = None
        if self._dirty and not self.session.closed:
            self._timer.start()

    def _work(self) -> Callable[[], MaskvitError | None] | None:
        """What to write as things stand, and how; nothing where there is no mask."""
        session, editor = self.session, self.session.tissue.editor
        if session.slide is None or editor is None:
            return None
        slide = session.slide
        path, identity = Path(slide.path), slide.identity
        mask, layer = editor.mask, editor.layer
        found = session.tissue.found or mask
        drawn = session.tools.fine.drawn
        kept = Work(
            slide=str(path.absolute()),
            identity=identity,
            spacing=slide.spacing,
            spacing_given=slide.spacing_source == "given",
            mask=mask,
            found=found,
            parameters=as_plain(session.tissue.parameters),
            entries=session.timeline.timeline.entries,
        )
        name = unsaved.file_name(path, self._token(identity))
        return self._writer.job(
            kept,
            name,
            path,
            saved=self._saved.get(identity, found),
            drawn=drawn,
            stroke=layer.data if layer._staged_history else None,
        )

    def _unsaved_mask(self) -> TissueMask | None:
        """The mask on display, where it holds corrections that are safe nowhere else."""
        session, slide = self.session, self.session.slides.need()
        self._settle()
        mask = session.mask
        safe = self._saved.get(slide.identity, session.tissue.found)
        if mask is None or safe is None or are_same(mask.array, safe.array):
            return None
        return mask

    def _token(self, identity: str) -> str:
        token = self._tokens.setdefault(identity, secrets.token_hex(4))
        self._mine.add(token)
        return token

    def when_looked(self, then: Callable[[], None]) -> None:
        """Call ``then`` once it is known whether work was left behind."""
        if self.session.jobs.is_running("look"):
            self._then.append(then)
        else:
            then()

    def _look(self) -> None:
        self.offer, self._others, self._then = None, [], []
        self.session.jobs.cancel(CHANNEL)
        self.changed.emit()
        slide = self.session.slide
        if slide is None:
            return
        path, identity = Path(slide.path), slide.identity
        self.session.jobs.start(
            "look",
            "",
            once(lambda: unsaved.offers(path, identity)),
            on_done=lambda found: self._offered(found, identity),
        )

    def _offered(self, found: list[Offer], identity: str) -> None:
        slide = self.session.slide
        if slide is not None and slide.identity == identity:
            mine = tuple(f".{token}{unsaved.ENDING}" for token in self._mine)
            self._others = [
                one for one in found if one.path.exists() and not one.path.name.endswith(mine)
            ]
            self._next_offer()
            self.session.jobs.cancel("look")
            for then in self._then:
                then()
            self._then = []

    def _next_offer(self) -> None:
        self.offer = self._others.pop(0) if self._others else None
        self.changed.emit()
        if self.offer is not None and self.offer.path not in self._announced:
            # A slide that is given its spacing is looked at anew.
            self._announced.add(self.offer.path)
            notices.tell(_OFFERED)

    def _take(self, work: Work, offer: Offer) -> None:
        session = self.session
        slide = session.slides.need()
        if work.identity != slide.identity:
            raise MaskvitError(f"The unsaved work belongs to another file than {slide.name}.")
        others, aside = self._others, self._unsaved_mask()
        if work.spacing_given and work.spacing and slide.spacing is None:
            session.give_spacing(work.spacing)
        session.tissue.parameters = TissueParameters(**work.parameters)
        begun = session.mask is not None
        session.tissue.take(work.mask, work.found)
        if not begun:
            session.hand.pick("brush")
        session.timeline.resume(work.entries, aside)
        self._others, self._dirty = others, True
        if self.flush():
            offer.path.unlink(missing_ok=True)
        self._next_offer()
