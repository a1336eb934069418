"""What a model says about a slide of which some patches are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_maskvit.explain.contribution import score_of
from napari_maskvit.model.prediction import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain.features import SlideFeatures
    from napari_maskvit.model import Model, Prediction


def label_of(prediction: Prediction) -> int:
    """The class whose probability `score_of` follows; any for heads that give one number."""
    return int(prediction.value) if prediction.kind == "classification" else 0


class Answer:
    """Region and slide transformers on one slide's patch features, without reading it again.

    Parameters
    ----------
    model
        With all three levels and a head.
    features
        Of the slide's P patches.

    Attributes
    ----------
    full
        The number (see `score_of`) with every patch.
    attention
        (P,) attention of each patch: mean over heads at the region level times its region's share.
    """

    def __init__(self, model: Model, features: SlideFeatures) -> None:
        self._model = model
        self._features = features
        self._starts = np.concatenate([[0], np.cumsum(features.lengths)])
        self._known: dict[tuple[int, bytes], NDArray[np.float32]] = {}
        self._label = 0
        everything = np.ones(len(features.features), bool)
        prediction, self.attention = self._run(everything)
        self._label = label_of(prediction)
        self.full = score_of(prediction, self._label)

    def __len__(self) -> int:
        return len(self._features.features)

    def without(self, stay: NDArray[np.bool_]) -> float:
        """The number with only those patches (P,) that stay; at least one must."""
        return score_of(self._run(stay)[0], self._label)

    def _run(self, stay: NDArray[np.bool_]) -> tuple[Prediction, NDArray[np.float64]]:
        model = self._model
        assert model.slide is not None
        parts = [stay[a:b] for a, b in zip(self._starts, self._starts[1:], strict=False)]
        used = [region for region, part in enumerate(parts) if part.any()]
        attention = self._encode(used, parts)
        regions = np.stack([self._known[region, parts[region].tobytes()] for region in used])
        encoded = model.slide.encode(
            torch.from_numpy(regions), torch.from_numpy(self._features.regions[used])
        )
        shares = encoded.attention.cpu().numpy()[:, 0]
        joint = np.zeros(len(stay))
        for region, share in zip(used, shares, strict=True):
            if region in attention:
                rows = slice(self._starts[region], self._starts[region + 1])
                joint[rows][parts[region]] = attention[region] * share
        return decode(model.config, encoded.logits.cpu().numpy()), joint

    def _encode(
        self, regions: list[int], parts: list[NDArray[np.bool_]]
    ) -> dict[int, NDArray[np.float64]]:
        """Encode the regions whose patches were not seen together yet; their mean attention."""
        model, features = self._model, self._features
        assert model.region is not None
        fresh = [one for one in regions if (one, parts[one].tobytes()) not in self._known]
        if not fresh:
            return {}
        rows = np.concatenate([self._starts[one] + np.flatnonzero(parts[one]) for one in fresh])
        lengths = [int(parts[one].sum()) for one in fresh]
        encoded = model.region.encode(
            torch.from_numpy(features.features[rows]),
            torch.from_numpy(features.positions[rows]),
            torch.tensor(lengths),
        )
        # Only what stands again and again is worth its place.
        keep = encoded.features.cpu().numpy()
        for one, feature in zip(fresh, keep, strict=True):
            self._known[one, parts[one].tobytes()] = feature
        weights = encoded.attention.cpu().numpy().mean(1, dtype=np.float64)
        return dict(zip(fresh, np.split(weights, np.cumsum(lengths)[:-1]), strict=True))
