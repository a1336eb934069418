"""Feature extraction with a progress bar and a closing account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maskvit_training.encoder_facts import EncoderFacts, recall_facts
from maskvit_training.extraction import Extracted, extract, found_again, shared_key
from maskvit_training.feature_index import INDEX, write_index

if TYPE_CHECKING:
    from rich.console import Console

    from maskvit_training.cohort import Case
    from maskvit_training.network import Encoder
    from maskvit_training.recipe import Recipe


def extract_cohort(
    recipe: Recipe, cases: Sequence[Case], load: Callable[[], Encoder], console: Console
) -> int:
    """Extract features, write features.csv into the run's folder, and return how many failed.

    Parameters
    ----------
    load
        Loads the encoder; called only where something is missing.
    """
    facts, results = recall_facts(recipe), found_again(recipe, cases)
    if facts is None or results is None:
        encoder = load()
        facts = EncoderFacts.of(recipe, encoder)
        results = _extract(recipe, cases, encoder, console)
    write_index(recipe.output / INDEX, results, shared_key(recipe, facts))
    fresh = [result for result in results if result.fresh]
    failed = sum(result.problem is not None for result in results)
    console.print(
        f"{len(fresh)} slides extracted, {len(results) - len(fresh) - failed} were there, "
        f"{failed} failed"
    )
    seconds = sum(result.seconds for result in fresh)
    model_seconds = sum(result.model_seconds for result in fresh)
    if model_seconds:  # not where pixels are stored, for training the patch transformer itself
        share = model_seconds / seconds
        console.print(f"{seconds:.1f} s, {share:.0%} of it in the patch transformer")
    return failed


def _extract(
    recipe: Recipe, cases: Sequence[Case], encoder: Encoder, console: Console
) -> list[Extracted]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    results: list[Extracted] = []
    # Bars go when they are full, and are nothing for a file to keep.
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        slides = bars.add_task("slides", total=len(cases))
        patches = bars.add_task("patches", total=None)
        steps = extract(
            recipe,
            cases,
            encoder,
            progress=lambda case, step: bars.update(
                patches, total=step.total, completed=step.done, description=escape(case.name)
            ),
        )
        for result in steps:
            results.append(result)
            bars.advance(slides)
            if result.problem is not None:
                console.print(
                    f"[red]line {result.case.line}[/]: {escape(result.problem)}", soft_wrap=True
                )
    return results
