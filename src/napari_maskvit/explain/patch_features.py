"""What the region transformer read of each patch, kept with an explanation to go on from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.patches import Found
    from napari_maskvit.model import ModelConfig


@dataclass(frozen=True, eq=False)
class FeaturePart:
    """A stretch of patches, usually one region's; never changed once made.

    Parameters
    ----------
    rows, columns
        (P,) places in the patch lattice.
    features
        P arrays of (D,): those of the patch results themselves, so that they take no memory of
        their own while these are known.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    features: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def nbytes(self) -> int:
        """Memory beyond that of the features, in bytes."""
        return self.rows.nbytes + self.columns.nbytes + 8 * len(self.features) + 500

    @classmethod
    def of(cls, found: Found) -> FeaturePart:
        """Of those patches that were read whole: the others are to be read again."""
        whole = [result for patch, result in found if result.tokens == patch.tokens]
        return cls(
            np.array([result.row for result in whole], np.int32),
            np.array([result.column for result in whole], np.int32),
            tuple(result.feature for result in whole),
        )


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """Features of P patches that were read whole, in parts that explanations share.

    Together with the patch level's raw attention they are all that is known of these patches.

    Parameters
    ----------
    parts
        Region after region.
    width
        D, of a feature.
    maker
        What computed them, from `maker_of`.
    """

    parts: tuple[FeaturePart, ...]
    width: int
    maker: str

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def rows(self) -> NDArray[np.int32]:
        """(P,) rows in the patch lattice."""
        return np.concatenate([np.zeros(0, np.int32), *(part.rows for part in self.parts)])

    @property
    def columns(self) -> NDArray[np.int32]:
        """(P,) columns in the patch lattice."""
        return np.concatenate([np.zeros(0, np.int32), *(part.columns for part in self.parts)])

    @property
    def values(self) -> NDArray[np.float32]:
        """(P, D) features."""
        rows = list(chain.from_iterable(part.features for part in self.parts))
        return np.array(rows, np.float32).reshape(len(rows), self.width)


def maker_of(config: ModelConfig) -> str:
    """Names all that a patch's result depends on beside its pixels, the weights and the device.

    Two of the same name compute the same; a checksum of weights says nothing of how pixels are
    normalised, nor of the program that reads and computes them.
    """
    facts = (config.patch.model_dump_json(), config.mean, config.std, config.token_px)
    return _digest(json.dumps((*facts, config.patch_px, _program())))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _program() -> str:
    from importlib.metadata import version

    return version("napari-maskvit")
