"""The scorecard of a cohort: slide after slide, what is there already is not done again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.errors import FeatureError
from maskvit_training.extraction import open_case
from maskvit_training.masks import make_mask, mask_key
from maskvit_training.metrics import Estimate, bootstrapped
from maskvit_training.scorecard.curves import Curve
from maskvit_training.scorecard.pointing import read_annotation
from maskvit_training.scorecard.slide import EVERY_LEVEL, SlideScore, Subject, score_slide
from maskvit_training.store import content_key
from maskvit_training.writing import write_text
from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from pathlib import Path

    from maskvit_training.cohort import Case
    from maskvit_training.recipe import Recipe
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide

VERSION = 1
MASKED, PLAIN = "masked", "plain"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Scorecard:
    """Every slide's score under every masking.

    Attributes
    ----------
    slides, patients
        Of each row.
    scores
        By masking ("masked", "plain"), one a row.
    """

    slides: tuple[str, ...]
    patients: tuple[str, ...]
    scores: dict[str, tuple[SlideScore, ...]]

    def __add__(self, other: Scorecard) -> Scorecard:
        names = dict.fromkeys([*self.scores, *other.scores])
        return Scorecard(
            self.slides + other.slides,
            self.patients + other.patients,
            {name: self.scores.get(name, ()) + other.scores.get(name, ()) for name in names},
        )


def maskings(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The two ways to look at a model, as the levels that are masked.

    Masked: as in training, else at every level. Plain: nowhere but at those levels of
    `EvaluationRecipe.plain` that are masked in training too.
    """
    trained = recipe.masking.levels
    stay = tuple(level for level in recipe.evaluation.plain if level in trained)
    return {MASKED: tuple(trained) or EVERY_LEVEL, PLAIN: stay}


def score_cohort(
    recipe: Recipe,
    model: Model,
    cases: Sequence[Case],
    everybody: Sequence[Case] = (),
    tell: Tell = print,
) -> Scorecard:
    """Score some slides; each result is kept in the run's folder, and a bad slide stops nobody.

    Parameters
    ----------
    model
        What is scored.
    cases
        Slides.
    everybody
        Whose glass may be borrowed, if not that of the slides themselves.
    tell
        Told which slide is being looked at, and what is wrong with one.

    Raises
    ------
    FeatureError
        If no slide could be scored.
    """
    names, patients = [], []
    scores: dict[str, list[SlideScore]] = {name: [] for name in maskings(recipe)}
    for case in cases:
        other = _lender(case, everybody or cases)
        try:
            found = dict(_score_case(recipe, model, case, other, tell))
        except (MaskvitError, OSError) as error:
            tell(f"  left out: {error}")
            continue
        names.append(case.name)
        patients.append(case.patient)
        for name, score in found.items():
            scores[name].append(score)
    if not names:
        raise FeatureError("No slide could be scored; what is wrong with each is said above.")
    return Scorecard(
        tuple(names), tuple(patients), {name: tuple(ones) for name, ones in scores.items()}
    )


def summarise(
    scorecard: Scorecard, bootstraps: int, confidence: float, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Mean of every number over the slides, with its interval from resampled patients."""
    return {
        masking: {
            name: bootstrapped(
                np.array([one.numbers.get(name, math.nan) for one in scores]),
                scorecard.patients,
                bootstraps,
                confidence,
                seed,
            )
            for name in dict.fromkeys(name for one in scores for name in one.numbers)
        }
        for masking, scores in scorecard.scores.items()
    }


def mean_curves(scorecard: Scorecard) -> dict[str, dict[str, Curve]]:
    """Mean curve over the slides, by masking and by order."""
    return {
        masking: {
            order: Curve(
                *(
                    tuple(np.mean([getattr(o.curves[order], k) for o in scores if o.curves], 0))
                    for k in ("deletion", "insertion")
                )
            )
            for order in dict.fromkeys(order for one in scores for order in one.curves)
        }
        for masking, scores in scorecard.scores.items()
    }


def spread_over(cases: Sequence[Case], count: int) -> list[Case]:
    """At most so many of the cases, evenly spread over their order."""
    if count >= len(cases):
        return list(cases)
    return [cases[round(at)] for at in np.linspace(0, len(cases) - 1, count)]


def _lender(case: Case, everybody: Sequence[Case]) -> Case | None:
    """The next slide of another patient."""
    names = [one.name for one in everybody]
    start = names.index(case.name) + 1 if case.name in names else 0
    turned = [*everybody[start:], *everybody[:start]]
    return next((one for one in turned if one.patient != case.patient), None)


def _score_case(
    recipe: Recipe, model: Model, case: Case, other: Case | None, tell: Tell
) -> Iterator[tuple[str, SlideScore]]:
    with ExitStack() as stack:
        subject: Subject | None = None
        for name, levels in maskings(recipe).items():
            path = _kept_at(recipe, model, case, other, levels)
            if path.exists():
                yield name, _read(path)
                continue
            if subject is None:
                tell(f"Scorecard of {case.name}")
                subject = _subject(recipe, case, other, stack)
            started = time.perf_counter()
            score = score_slide(
                model,
                subject,
                levels,
                threshold=recipe.masking.threshold,
                device=recipe.encoder.device,
                precision=recipe.encoder.precision,
            )
            _write(path, score)
            tell(f"  {name}: {time.perf_counter() - started:.0f} s")
            yield name, score


def _subject(recipe: Recipe, case: Case, other: Case | None, stack: ExitStack) -> Subject:
    slide = stack.enter_context(open_case(recipe, case))
    kind = recipe.data.mask_kind
    lender = None
    if other is not None:
        borrowed: Slide = stack.enter_context(open_case(recipe, other))
        lender = borrowed, make_mask(other, kind, borrowed)
    annotation = None
    if case.annotation is not None:
        annotation = read_annotation(case.annotation, slide, case.annotation_labels)
    return Subject(slide, make_mask(case, kind, slide), lender, annotation, recipe.seed)


def _kept_at(
    recipe: Recipe, model: Model, case: Case, other: Case | None, levels: Sequence[str]
) -> Path:
    from napari_maskvit.model.hub import state_sha256

    facts = {
        "version": VERSION,
        "model": [state_sha256(part) for part in model.parts().values()],
        "config": model.config.model_dump_json(),
        "levels": sorted(levels),
        "threshold": recipe.masking.threshold,
        "seed": recipe.seed,
    }
    for role, one in (("slide", case), ("other", other)):
        if one is not None:
            stat = one.slide.stat()
            facts[role] = [str(one.slide), stat.st_size, stat.st_mtime_ns]
            facts[f"{role} mask"] = mask_key(one, recipe.data.mask_kind)
    if case.annotation is not None:
        facts["annotation"] = [str(case.annotation), case.annotation.stat().st_mtime_ns]
        facts["labels"] = list(case.annotation_labels)
    return recipe.output / "scorecard" / f"{content_key(facts)}.json"


def _write(path: Path, score: SlideScore) -> None:
    write_text(path, json.dumps(asdict(score)))  # nan as Python writes and reads it


def _read(path: Path) -> SlideScore:
    facts = json.loads(path.read_text("utf-8"))
    return SlideScore(
        facts["numbers"],
        {
            name: Curve(tuple(one["deletion"]), tuple(one["insertion"]))
            for name, one in facts["curves"].items()
        },
    )
