"""Closing a file that other threads may be reading from."""

from __future__ import annotations

import threading
from collections.abc import Callable

from napari_maskvit.slide.backend import TileError


class Gate:
    """Lets readers in until it is closed; what they read from is released by the last one out.

    A descriptor's number may be given to another file, and a C library's memory to anything, as
    soon as they are released.

    Parameters
    ----------
    release
        Called once, when the gate is closed and nobody is inside.
    """

    def __init__(self, release: Callable[[], object]) -> None:
        self._release = release
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._lock:
            if self._closed:
                raise TileError("the file was closed")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            last = self._closed and not self._inside
        if last:
            self._release()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            idle = not self._closed and not self._inside
            self._closed = True
        if idle:
            self._release()
