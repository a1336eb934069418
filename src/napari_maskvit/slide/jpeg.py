"""Whether a JPEG or JPEG 2000 stream is whole; decoders fill in what is missing without a word."""

from __future__ import annotations

import re

END_OF_IMAGE = b"\xff\xd9"
# Within entropy-coded data 0xFF is followed by a zero or a restart marker; some encoders
# repeat it as padding. Anything else ends the scan.
_FOREIGN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START_OF_SCAN = b"\xff\xda"
_PROGRESSIVE = re.compile(rb"\xff[\xc2\xc6\xca\xce]")
# Writers may pad a stream to an even length or to a block.
_PADDING = 64


def ends(data: bytes) -> bool:
    """Tell whether `data` ends as a JPEG or a JPEG 2000 codestream must."""
    return data.rfind(END_OF_IMAGE, max(0, len(data) - _PADDING)) >= 0


def whole(data: bytes, *, fragment: bool = False) -> bool:
    """Tell whether `data` is a complete JPEG stream.

    Parameters
    ----------
    data
        A JPEG stream from its start-of-image marker, or, with `fragment`, the entropy-coded
        data between two restart markers as NDPI files address it.
    fragment
        See above.
    """
    if fragment:
        found = _FOREIGN.search(data)
        closed = re.search(rb"\xff[\xd0-\xd9]\x00*$", data[-_PADDING:]) is not None
        return closed and (found is None or data[found.start() :][:2] == END_OF_IMAGE)
    if data[:2] != b"\xff\xd8":
        return False
    scan = data.find(_START_OF_SCAN)
    if scan < 0 or not ends(data):
        return False
    if _PROGRESSIVE.search(data, 0, scan):
        return True
    found = _FOREIGN.search(data, scan + 2)
    # A scan of its own for each colour follows the first in files that are not interleaved.
    return found is not None and data[found.start() :][:2] in (
        END_OF_IMAGE,
        _START_OF_SCAN,
        b"\xff\xc4",
        b"\xff\xdb",
        b"\xff\xdd",
        b"\xff\xdc",
    )
