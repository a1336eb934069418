"""What a correction changed: earlier explanations to compare with, and the layers of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_maskvit.viewer.layers.heatmaps import heatmap_for
from napari_maskvit.viewer.layers.signed import SignedLayers
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.explain.change import Change
    from napari_maskvit.explain.signed import SignedHeatmap
    from napari_maskvit.viewer.session import Session

BEFORE, FIRST, PLAIN = "before", "first", "plain"
NAMES = {
    BEFORE: "The step before",
    FIRST: "The first run",
    PLAIN: "Plain attention",
}
MOST_KEPT = 6


@dataclass(frozen=True)
class Compared:
    """A comparison that has been made: numbers, the picture of one level if shown, and of what."""

    change: Change
    picture: SignedHeatmap | None
    now: Explanation
    then: Explanation


class ChangesDesk:
    """Keeps earlier explanations of the slide, and compares the one on display with any.

    Explanations share what they have in common, so that keeping some costs little.

    Parameters
    ----------
    session
        Whose explanation is compared.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.chosen = BEFORE
        self.on = False
        self.compared: Compared | None = None
        self.layers = SignedLayers(session.viewer, "change")
        self._kept: dict[str, Explanation] = {}
        self._latest: Explanation | None = None
        self._names = 0
        self._asked: object = None
        session.explanation_changed.connect(self._explained)
        session.display_changed.connect(self._displayed)

    @property
    def offered(self) -> list[tuple[str, str]]:
        """What can be compared with, as (words, key)."""
        keys = [key for key in (BEFORE, FIRST) if key in self._kept]
        others = [key for key in self._kept if key not in NAMES]
        return [(NAMES.get(key, key), key) for key in (*keys, PLAIN, *others)]

    @property
    def reference(self) -> Explanation | None:
        """The explanation that is compared with."""
        return self.session.reference if self.chosen == PLAIN else self._kept.get(self.chosen)

    @property
    def before(self) -> Explanation | None:
        """The explanation before the one on display, if the same model gave it in the same way."""
        now, then = self._latest, self._kept.get(BEFORE)
        return then if now and then and _way(now) == _way(then) else None

    def choose(self, key: str) -> None:
        """Compare with another one; plain attention is run where it was not yet."""
        self.chosen = key
        if key == PLAIN and self.session.reference is None and self.session.explanation is not None:
            self.session.attention.beside.run()
        self.update()

    def switch(self, on: bool) -> None:
        """Show gain and loss over the slide in place of attention, or attention again."""
        if on != self.on:
            self.on = on
            if on:
                self.session.attention.why.show(False)
            self.session.attention.covers.put("change", on)
        if on and self.chosen not in (key for _, key in self.offered):
            self.chosen = self.offered[0][1]
        self.update()

    def keep(self) -> None:
        """Keep the explanation on display, to compare later ones with."""
        if self._latest is not None:
            self._names += 1
            self._put(f"Kept: {self._names}", self._latest)
            self.changed.emit()

    def update(self) -> None:
        """Compare again, in a worker; the newest pair wins."""
        now, then = self._latest, self.reference
        if now is None or then is None:
            self.session.jobs.cancel("changes")
            self.compared = None
        if not self.on or now is None or then is None:
            self.layers.clear()
            self.changed.emit()
        if now is None or then is None:
            return
        display = self.session.display
        self._asked = (display.level, *display.values_key)
        both = [level for level in now.heatmap_levels if level in then.heatmap_levels]
        level = display.level if display.level in both else both[0]
        shown = self.on

        def work() -> Compared:
            from napari_maskvit.explain.change import change, heatmap_change

            if not shown:
                return Compared(change(now, then), None, now, then)
            # Ranks change everywhere when one does; multiples of the even share only where
            # something happened.
            asked = replace(display, normalisation="relative")
            pictures = [heatmap_for(one, level, asked) for one in (now, then)]
            return Compared(change(now, then), heatmap_change(*pictures), now, then)

        self.session.jobs.start("changes", "", once(work), on_done=self._compared)

    def drop(self) -> None:
        """Forget everything, as when another slide comes."""
        self.session.jobs.cancel("changes")
        self.session.attention.covers.put("change", False)
        self._kept.clear()
        self._latest = self.compared = None
        self.chosen, self.on = BEFORE, False
        self.layers.clear()
        self.changed.emit()

    def _displayed(self) -> None:
        display = self.session.display
        if self.on and self._asked != (display.level, *display.values_key):
            self.update()

    def _explained(self) -> None:
        explanation = self.session.explanation
        if explanation is None:
            if self._latest is not None:
                self.drop()
            return
        before = self._latest
        if explanation is before or not explanation.complete:
            if self.chosen == PLAIN:
                self.update()
            return
        if before is not None and before.slide_identity != explanation.slide_identity:
            self._kept.clear()
            before = None
        self._latest = explanation
        if before is None:
            self._kept[FIRST] = explanation
        else:
            self._kept[BEFORE] = before
            if _way(before) != _way(explanation):
                self._put(_way(before), before)
        self.update()

    def _put(self, name: str, explanation: Explanation) -> None:
        self._kept.pop(name, None)
        self._kept[name] = explanation
        others = [key for key in self._kept if key not in NAMES]
        for key in others[: max(0, len(others) - MOST_KEPT)]:
            del self._kept[key]

    def _compared(self, compared: Compared) -> None:
        if compared.now is not self._latest or compared.then is not self.reference:
            return
        self.compared, picture = compared, compared.picture
        if picture is not None and self.on:
            self.layers.show(picture.level, picture, compared.now.slide_spacing)
        self.changed.emit()


def _way(explanation: Explanation) -> str:
    """How an explanation was made, in words: model, threshold and masking."""
    words = explanation.model_title
    if explanation.threshold:
        words += f", threshold {explanation.threshold:.0%}"
    if explanation.masking != ("patch", "region", "slide"):
        words += f", masked: {', '.join(explanation.masking) or 'nothing'}"
    return words
