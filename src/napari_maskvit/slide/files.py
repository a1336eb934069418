"""Reading pieces of a file from many threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from napari_maskvit.slide.backend import TileError
from napari_maskvit.slide.gate import Gate


class PositionedFile:
    """A file that is read at given positions; threads do not move each other's."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.size = os.fstat(self._descriptor).st_size
        self._seek = threading.Lock()
        self._gate = Gate(lambda: os.close(self._descriptor))

    def read(self, offset: int, count: int) -> bytes:
        """Return exactly `count` bytes from `offset`.

        Raises
        ------
        TileError
            The file ends before, was closed, or the disk cannot be read there.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise TileError("the file ends before this tile does")
        try:
            with self._gate:
                data = self._read(offset, count)
        except OSError as error:
            raise TileError(f"the file cannot be read: {error.strerror or error}") from error
        if len(data) != count:
            raise TileError("the file ends before this tile does")
        return data

    if hasattr(os, "pread"):

        def _read(self, offset: int, count: int) -> bytes:
            return os.pread(self._descriptor, count, offset)

    else:

        def _read(self, offset: int, count: int) -> bytes:
            with self._seek:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                return os.read(self._descriptor, count)

    def close(self) -> None:
        """Close the file, once nobody reads from it."""
        self._gate.close()
