"""Connections to the session's signals that are all cut in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psygnal import SignalInstance


class Links:
    """Remembers what was connected, so that a closed panel hears nothing any more."""

    def __init__(self) -> None:
        self._cuts: list[Callable[[], None]] = []

    def connect(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Call `slot` with what `signal` emits, until `close`."""
        signal.connect(slot)
        self._cuts.append(lambda: signal.disconnect(slot, missing_ok=True))

    def connect_event(self, emitter: Any, slot: Callable[..., Any]) -> None:
        """Call `slot` on a napari event, until `close`."""
        emitter.connect(slot)
        self._cuts.append(lambda: emitter.disconnect(slot))

    def close(self) -> None:
        """Cut every connection; a second call does nothing."""
        while self._cuts:
            self._cuts.pop()()
