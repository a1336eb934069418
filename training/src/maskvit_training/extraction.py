"""Patch features of a whole cohort, slide after slide: what is there already is not done again."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskvit_training.augment import augmented
from maskvit_training.encoder_facts import EncoderFacts, note_facts, recall_facts
from maskvit_training.errors import FeatureError, TrainingError
from maskvit_training.masks import make_mask, mask_key
from maskvit_training.pixels import SlidePixels, slide_pixels
from maskvit_training.store import content_key, store_path, write_features
from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from maskvit_training.cohort import Case
    from maskvit_training.network import Encoder
    from maskvit_training.recipe import Recipe
    from napari_maskvit.explain import Explainer, Progress
    from napari_maskvit.explain.features import SlideFeatures
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

VARIANT_CACHE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one case.

    Attributes
    ----------
    key
        Of its features; None where there are none.
    variants
        Keys of the features under other outlines of the tissue (`AugmentRecipe`).
    problem
        What went wrong, if anything.
    fresh
        Whether it was computed now.
    seconds, model_seconds
        Wall time, and the part of it in which the patch transformer ran.
    """

    case: Case
    key: str | None
    variants: tuple[str, ...] = ()
    problem: str | None = None
    fresh: bool = False
    seconds: float = 0.0
    model_seconds: float = 0.0


def extract(
    recipe: Recipe,
    cases: Sequence[Case],
    encoder: Encoder,
    *,
    progress: Callable[[Case, Progress], None] | None = None,
) -> Iterator[Extracted]:
    """Make the features of every case that lack them; one bad slide does not stop the rest.

    Several processes may work on the same folder at once.

    Parameters
    ----------
    recipe
        Says where features lie, and how background is masked.
    cases
        Slides.
    encoder
        What makes the features; see `load_encoder`.

    Raises
    ------
    TrainingError
        If the disk is full.
    """
    facts = EncoderFacts.of(recipe, encoder)
    note_facts(recipe, facts)
    for case in cases:
        started = time.perf_counter()
        try:
            result = _extract_one(recipe, case, encoder, facts, progress)
        except MaskvitError as error:
            result = Extracted(case, None, problem=str(error))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise TrainingError(
                    f"The disk of {recipe.feature_folder} is full. Nothing half-written is left; "
                    "make room and start again: it goes on where it stopped."
                ) from error
            result = Extracted(case, None, problem=f"{case.slide.name}: {error.strerror or error}")
        yield replace(result, seconds=time.perf_counter() - started)


def found_again(recipe: Recipe, cases: Sequence[Case]) -> list[Extracted] | None:
    """Every case's features, if none is missing, without loading the encoder; else None.

    Loading it takes longer than to look at hundreds of slides.
    """
    facts = recall_facts(recipe)
    if facts is None:
        return None
    found = []
    for case in cases:
        try:
            with open_case(recipe, case) as slide:
                one, _, paths = _stores(recipe, case, slide, facts)
        except (MaskvitError, OSError):
            return None  # Who extracts says what is wrong.
        if not all(path.exists() for path in paths):
            return None
        found.append(one)
    return found


def feature_facts(
    recipe: Recipe, case: Case, slide: Slide, encoder: EncoderFacts, variant: int | None = None
) -> dict[str, Any]:
    """All that the features of a case depend on.

    Parameters
    ----------
    variant
        Number of the other outline; None for the mask itself.
    """
    facts = _shared_facts(recipe, encoder) | {
        "slide": slide.identity,
        "spacing": slide.spacing,
        "mask": mask_key(case, recipe.data.mask_kind),
    }
    if variant is not None and recipe.augment is not None:
        outline = recipe.augment.model_dump(exclude={"copies"})
        facts["outline"] = [variant, recipe.seed, *outline.values()]
    if recipe.model.train != "end":
        facts["precision"] = encoder.precision
    return facts


def shared_key(recipe: Recipe, encoder: EncoderFacts) -> str:
    """Key of what the features of every slide depend on, whatever machine makes them."""
    return content_key(_shared_facts(recipe, encoder))


def _shared_facts(recipe: Recipe, encoder: EncoderFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "model_spacing": encoder.spacing,
        "patch_px": encoder.patch_px,
        "region_px": encoder.region_px,
        "masking": sorted(recipe.masking.levels),
        "threshold": recipe.masking.threshold,
    }
    if recipe.model.train == "end":
        return facts | {"pixels": encoder.token_px}
    return facts | {"model": encoder.sha256, "normalisation": [*encoder.normalisation]}


def open_case(recipe: Recipe, case: Case) -> Slide:
    """Open a case's slide, with the recipe's spacing where its file says none.

    Raises
    ------
    MaskvitError
        If it cannot be opened, or neither says how large its pixels are.
    """
    from napari_maskvit.slide import open_slide

    slide = open_slide(case.slide)
    if slide.spacing is not None:
        return slide
    if recipe.data.spacing is None:
        slide.close()
        raise FeatureError(
            f"{case.slide.name} does not say how large its pixels are: set data.spacing in the "
            "recipe, in µm per pixel (0.25 for most 40x scans, 0.5 for 20x)."
        )
    return slide.with_spacing(recipe.data.spacing)


def _variants(recipe: Recipe) -> tuple[int | None, ...]:
    return (None, *range(recipe.augment.copies)) if recipe.augment is not None else (None,)


def _stores(
    recipe: Recipe, case: Case, slide: Slide, encoder: EncoderFacts
) -> tuple[Extracted, list[dict[str, Any]], list[Path]]:
    """A case with its keys; what each of its stores depends on, and where it lies."""
    facts = [feature_facts(recipe, case, slide, encoder, one) for one in _variants(recipe)]
    keys = [content_key(one) for one in facts]
    paths = [store_path(recipe.feature_folder, key) for key in keys]
    return Extracted(case, keys[0], tuple(keys[1:])), facts, paths


def _extract_one(
    recipe: Recipe,
    case: Case,
    encoder: Encoder,
    known: EncoderFacts,
    progress: Callable[[Case, Progress], None] | None,
) -> Extracted:
    from napari_maskvit.explain import Explainer

    variants = _variants(recipe)
    with open_case(recipe, case) as slide:
        found, facts, paths = _stores(recipe, case, slide, known)
        if all(path.exists() for path in paths):
            return found
        mask = make_mask(case, recipe.data.mask_kind, slide)
        explainer = Explainer(
            slide,
            encoder.model,
            masking=recipe.masking.levels,
            threshold=recipe.masking.threshold,
            device=recipe.encoder.device,
            precision=recipe.encoder.precision,
            # Under another outline only the patches at the edge are others.
            cache_bytes=VARIANT_CACHE_BYTES if len(variants) > 1 else 0,
        )
        follow = None if progress is None else lambda step: progress(case, step)
        seconds = 0.0
        for variant, path, one in zip(variants, paths, facts, strict=True):
            if path.exists():
                continue
            chosen = mask
            if variant is not None and recipe.augment is not None:
                chosen = augmented(mask, recipe.augment, recipe.seed * 1009 + variant)
            seconds += _write_one(recipe, case, explainer, chosen, path, one, follow)
        return replace(found, fresh=True, model_seconds=seconds)


def _write_one(
    recipe: Recipe,
    case: Case,
    explainer: Explainer,
    mask: TissueMask,
    path: Path,
    facts: dict[str, Any],
    follow: Callable[[Progress], None] | None,
) -> float:
    """Write the features under one mask; seconds in which the patch transformer ran."""
    from napari_maskvit.explain.features import slide_features

    features: SlideFeatures | SlidePixels
    seconds = 0.0
    if recipe.model.train == "end":
        features = slide_pixels(explainer, mask)
    else:
        features = slide_features(explainer, mask, progress=follow)
        seconds = features.statistics.seconds.get("computing", 0.0)
    if not len(features.features):
        raise FeatureError(
            f"{case.name} has no patch left under its mask: nothing of it can be learned from."
        )
    write_features(path, features, {"name": case.name, **facts})
    return seconds
