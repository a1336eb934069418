"""One entry of a timeline: what a correction changed, in few bytes."""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.model import Prediction

VERSION = 1
"""Of entries in files."""


@dataclass(frozen=True)
class Entry:
    """One finished correction.

    Parameters
    ----------
    serial
        Grows by one from entry to entry, and is never used again.
    time
        When it was finished, ISO 8601, UTC.
    kind
        What was done, in a word or two: "painted", "erased", "undone".
    box
        First row, row after the last, first column, column after the last that changed; in mask
        pixels.
    shape, spacing
        Of the mask: rows and columns, and the side of a pixel in µm.
    delta
        What changed in the box: old XOR new, packed and compressed. Of a whole mask: the mask.
    whole
        Whether ``delta`` is a mask of its own, which rests on no entry before.
    tissue_mm2, gained_mm2, lost_mm2
        Tissue after it, and by how much it grew and shrank.
    prediction
        What the model said of the mask then; None where it was not asked.
    """

    serial: int
    time: str
    kind: str
    box: tuple[int, int, int, int]
    shape: tuple[int, int]
    spacing: float
    delta: bytes
    whole: bool
    tissue_mm2: float
    gained_mm2: float
    lost_mm2: float
    prediction: Prediction | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry in types that JSON knows."""
        facts = asdict(self)
        return {**facts, "delta": base64.b64encode(self.delta).decode("ascii")}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Entry:
        """Read what `to_json` wrote.

        Raises
        ------
        MaskvitError
            If something is missing or of the wrong kind.
        """
        from napari_maskvit.model import Prediction

        try:
            known = {name: facts[name] for name in cls.__dataclass_fields__}
            said: dict[str, Any] | None = known.pop("prediction")
            known["delta"] = base64.b64decode(known["delta"], validate=True)
            known["box"], known["shape"] = tuple(known["box"]), tuple(known["shape"])
            prediction = None
            if said is not None:
                listed: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
                prediction = Prediction(**listed)
            return cls(**known, prediction=prediction)
        except (KeyError, TypeError, ValueError) as error:
            raise MaskvitError(
                f"An entry of the timeline cannot be read ({type(error).__name__}: {error})."
            ) from error


def packed(array: NDArray[np.uint8]) -> bytes:
    """A uint8 picture of few values in few bytes: its bit planes, compressed."""
    planes = int(array.max(initial=0)).bit_length()
    bits = [np.packbits((array >> plane) & 1).tobytes() for plane in range(planes)]
    return bytes([planes]) + zlib.compress(b"".join(bits), 1)


def unpacked(data: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """What `packed` packed.

    Raises
    ------
    MaskvitError
        If the bytes are not such a picture.
    """
    count = shape[0] * shape[1]
    try:
        planes, bits = data[0], np.frombuffer(zlib.decompress(data[1:]), np.uint8)
        rows = bits.reshape(planes, -(-count // 8)) if planes else bits.reshape(0, 0)
    except (IndexError, ValueError, zlib.error) as error:
        raise MaskvitError(f"A mask of the timeline is damaged ({error}).") from error
    array = np.zeros(count, np.uint8)
    for plane, row in enumerate(rows):
        array |= np.unpackbits(row, count=count) << plane
    return array.reshape(shape)
