"""Masks as compressed bytes, in stripes: of one that changed a little, little is packed again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

STRIPE = 256
"""Rows."""

_FASTEST = 1


class Packer:
    """Packs masks that are worked on, again and again, each under a name; remembers the last.

    Not to be used by two threads at once.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[NDArray[np.uint8], list[bytes]]] = {}

    def pack(self, name: str, array: NDArray[np.uint8]) -> bytes:
        """Bytes of a mask, which `unpack` turns back.

        Parameters
        ----------
        name
            Which of the masks this is.
        array : uint8 (rows, columns)
            Must not change later on.
        """
        last, stripes = self._last.get(name, (None, []))
        if last is None or last.shape != array.shape:
            stripes = [_packed(stripe) for stripe in _stripes(array)]
        elif last is not array:
            pairs = zip(_stripes(last), _stripes(array), stripes, strict=True)
            stripes = [
                packed if np.array_equal(was, now) else _packed(now) for was, now, packed in pairs
            ]
        self._last[name] = array, stripes
        return b"".join(stripes)


def unpack(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask of that shape that was packed.

    Raises
    ------
    ValueError, zlib.error
        If these are not the bytes of one.
    """
    parts = []
    while data:
        stream = zlib.decompressobj()
        parts.append(stream.decompress(data))
        if not stream.eof:
            raise ValueError("a packed mask ends too soon")
        data = stream.unused_data
    return np.frombuffer(b"".join(parts), np.uint8).reshape(shape)


def are_same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two masks are equal; what differs is seen without reading them to the end."""
    return one.shape == other.shape and all(
        np.array_equal(*pair) for pair in zip(_stripes(one), _stripes(other), strict=True)
    )


def _stripes(array: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for top in range(0, len(array), STRIPE):
        yield array[top : top + STRIPE]


def _packed(stripe: NDArray[np.uint8]) -> bytes:
    return zlib.compress(np.ascontiguousarray(stripe).data, _FASTEST)
