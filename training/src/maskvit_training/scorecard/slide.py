"""The scorecard of one slide under one masking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.scorecard.answer import Answer, label_of
from maskvit_training.scorecard.backgrounds import (
    GLASS,
    NOISE,
    PEN,
    Fill,
    KeptTokens,
    glass,
    noise,
    pen,
    with_background,
)
from maskvit_training.scorecard.curves import Curve, curves
from maskvit_training.scorecard.pointing import annotated, points_at, relative
from napari_maskvit.explain.contribution import score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explainer, Explanation
    from napari_maskvit.explain.features import SlideFeatures
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

BACKGROUNDS = (NOISE, PEN, GLASS)
KEPT_BYTES = 1 << 30
EVERY_LEVEL = ("patch", "region", "slide")


@dataclass(frozen=True)
class SlideScore:
    """What came out for one slide.

    Attributes
    ----------
    numbers
        By name; nan where it is not defined on this slide.
    curves
        By order of patches: "attention", "contribution", "random"; empty without a head.
    """

    numbers: dict[str, float]
    curves: dict[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A slide with what its scorecard needs.

    Attributes
    ----------
    other
        A slide and its tissue whose glass is borrowed; None: nobody's.
    annotation
        What a person has annotated, where there is any.
    seed
        Of noise and random orders.
    """

    slide: Slide
    mask: TissueMask
    other: tuple[Slide, TissueMask] | None = None
    annotation: TissueMask | None = None
    seed: int = 0


def score_slide(
    model: Model,
    subject: Subject,
    masking: Sequence[str],
    *,
    threshold: float = 0.0,
    device: str = "auto",
    precision: str = "auto",
) -> SlideScore:
    """Score one slide.

    Parameters
    ----------
    model
        Any; what needs a level or a head that it lacks is left out.
    subject
        The slide.
    masking, threshold
        As of `Explainer`.

    Raises
    ------
    MaskvitError
        If the slide cannot be read, or does not fit the model.
    """
    from napari_maskvit.explain import Explainer

    def explainer(
        slide: Slide, levels: Sequence[str] = masking, cache_bytes: int = KEPT_BYTES
    ) -> Explainer:
        return Explainer(
            slide,
            model,
            masking=levels,
            threshold=threshold,
            device=device,
            precision=precision,
            cache_bytes=cache_bytes,
        )

    own = explainer(subject.slide)
    explanation = own.explain(subject.mask)
    numbers = {
        f"attention on background, {level} level": mass
        for level, mass in explanation.statistics.background_mass.items()
    }
    tokens = KeptTokens.of(explainer(subject.slide, EVERY_LEVEL).plan(subject.mask))
    for name, fill in _fills(subject).items():
        if fill is None:
            continue
        # Asked once, so that nothing is worth keeping.
        painted = explainer(with_background(subject.slide, tokens, fill), cache_bytes=0)
        numbers |= _changes(name, explanation, painted.explain(subject.mask))
    faithful, found = _faithful(own, subject, explanation)
    return SlideScore(numbers | faithful, found)


def _fills(subject: Subject) -> dict[str, Fill | None]:
    borrowed = None
    if subject.other is not None:
        borrowed = glass(*subject.other, subject.seed)
    return {
        NOISE: noise(subject.seed),
        PEN: pen(subject.slide.require_spacing()),
        GLASS: borrowed,
    }


def _changes(name: str, before: Explanation, after: Explanation) -> dict[str, float]:
    """How far answer and attention move; attention by total variation, in [0, 1]."""
    numbers = {}
    if before.prediction is not None and after.prediction is not None:
        label = label_of(before.prediction)
        numbers[f"change of the answer, {name}"] = abs(
            score_of(after.prediction, label) - score_of(before.prediction, label)
        )
    for level in before.levels:
        old, new = (one.attention(level).astype(np.float64) for one in (before, after))
        total = float(old.sum() + new.sum())
        moved = float(np.abs(old - new).sum()) / total if total > 0 else math.nan
        numbers[f"change of attention, {name}, {level} level"] = moved
    return numbers


def _faithful(
    explainer: Explainer, subject: Subject, explanation: Explanation
) -> tuple[dict[str, float], dict[str, Curve]]:
    """Pointing, curves, and how far attention agrees with contribution."""
    from scipy.stats import spearmanr

    from napari_maskvit.explain.features import slide_features

    numbers: dict[str, float] = {}
    spacing = subject.slide.require_spacing()
    for name, level in explanation.levels.items():
        if subject.annotation is not None:
            tissue = level.coverage > explanation.threshold
            where = annotated(subject.annotation, level, spacing)
            numbers |= _pointing(f"{name} attention", relative(level)[tissue], where[tissue])
    if explanation.prediction is None:
        return numbers, {}
    # Served from the engine's memory: nothing is read or computed again.
    features = slide_features(explainer, subject.mask)
    answer = Answer(explainer.model, features)
    places = _places(features)
    left_out = explainer.contribution(subject.mask)
    assert left_out is not None
    picture = np.full(left_out.shape, np.nan)
    picture[left_out.rows, left_out.columns] = left_out.values
    contribution = picture[places[:, 0], places[:, 1]]
    found = curves(answer, contribution, subject.seed) if len(answer) > 1 else {}
    for name, one in found.items():
        deletion, insertion = one.areas
        numbers[f"deletion area, {name}"] = deletion
        numbers[f"insertion area, {name}"] = insertion
    agreement = math.nan
    if len(answer) > 2 and np.ptp(contribution) > 0 and np.ptp(answer.attention) > 0:
        agreement = float(spearmanr(answer.attention, np.abs(contribution)).statistic)
    numbers["agreement of attention with contribution (Spearman)"] = agreement
    if subject.annotation is not None:
        where, tissue = _patches_annotated(explainer, subject, features)
        for name, values in (("joint attention", answer.attention), ("contribution", contribution)):
            numbers |= _pointing(name, values[tissue], where[tissue])
    return numbers, found


def _pointing(name: str, values: NDArray[np.float64], where: NDArray[np.bool_]) -> dict[str, float]:
    area, hit = points_at(values, where) if len(values) else (math.nan, math.nan)
    return {f"pointing AUC, {name}": area, f"pointing hit rate, {name}": hit}


def _places(features: SlideFeatures) -> NDArray[np.int64]:
    """(P, 2) row and column of each patch in the lattice of patches."""
    n = features.patches_per_side
    owner = np.repeat(np.arange(len(features.regions)), features.lengths)
    places: NDArray[np.int64] = features.regions[owner] * n + np.stack(
        np.divmod(features.positions, n), 1
    )
    return places


def _patches_annotated(
    explainer: Explainer, subject: Subject, features: SlideFeatures
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(P,) patches of whose tissue at least half is annotated, and those with tissue."""
    assert subject.annotation is not None
    places = _places(features)
    rows, columns = places.max(0) + 1
    side = explainer.model.config.patch_px * explainer.lattice.spacing
    inside = subject.annotation.coverage(0.0, 0.0, side, int(rows), int(columns))
    share = inside[places[:, 0], places[:, 1]]
    tissue = features.coverage > explainer.threshold
    return (share > 0) & (share >= 0.5 * features.coverage), tissue
