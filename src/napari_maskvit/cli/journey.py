"""One slide from file to explanation, with a bar: what ``explain`` and ``demo`` have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_maskvit.cli.console import err
from napari_maskvit.errors import MaskvitError, SpacingUnknown

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer, Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.slide import Slide
    from napari_maskvit.tissue import TissueMask

LEVELS = ("patch", "region", "slide")


@dataclass(frozen=True)
class Settings:
    """How a slide is explained; the same for every slide of a call."""

    masking: tuple[str, ...] = LEVELS
    threshold: float = 0.0
    device: str = "auto"
    precision: str = "auto"


def parse_masking(text: str) -> tuple[str, ...]:
    """``"patch,region"`` -> ``("patch", "region")``; ``"none"`` -> ``()``.

    Raises
    ------
    MaskvitError
        If a level is unknown.
    """
    if text.strip().lower() == "none":
        return ()
    asked = [level.strip().lower() for level in text.split(",") if level.strip()]
    unknown = [level for level in asked if level not in LEVELS]
    if unknown or not asked:
        raise MaskvitError(
            f"--masking {text!r} names no level of the model: it takes "
            f"{', '.join(LEVELS)} with commas between them, or none for plain attention."
        )
    return tuple(level for level in LEVELS if level in asked)


@contextmanager
def opened(path: Path, spacing: float | None) -> Iterator[Slide]:
    """Open a slide whose spacing is known or given.

    Raises
    ------
    SlideError
        If it cannot be opened.
    SpacingUnknown
        If nobody said how large its pixels are.
    """
    from napari_maskvit.slide import open_slide

    with open_slide(path, spacing=spacing) as slide:
        if slide.spacing is None:
            raise SpacingUnknown(
                f"{path.name} does not say how large its pixels are. Give it with --spacing, in µm "
                "per pixel: 0.25 for most 40x scans, 0.5 for 20x."
            )
        yield slide


def mask_of(slide: Slide, given: Path | None) -> TissueMask:
    """The mask in a file, or the tissue that is found."""
    from napari_maskvit.tissue import TissueMask, segment_tissue

    if given is not None:
        return TissueMask.load(given, slide)
    with err.status(f"Looking for tissue in {slide.name} ..."):
        return segment_tissue(slide)


def explain_slide(
    slide: Slide, mask: TissueMask, model: Model, settings: Settings, earlier: Path | None = None
) -> Explanation:
    """Run the model with a bar on stderr, on what an earlier result lacks; Ctrl-C ends it."""
    from napari_maskvit.cli.earlier import go_on_from
    from napari_maskvit.explain import Explainer

    explainer = Explainer(
        slide,
        model,
        masking=settings.masking,
        threshold=settings.threshold,
        device=settings.device,
        precision=settings.precision,
    )
    if earlier is not None:
        go_on_from(explainer, earlier)
    return _with_bar(explainer, mask, slide.name)


def _with_bar(explainer: Explainer, mask: TissueMask, name: str) -> Explanation:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("patches"),
        TextColumn("{task.fields[left]}"),
        console=err,
    )
    with bar:
        task = bar.add_task(name, total=None, left="")

        def tell(step: object) -> None:
            done, total, left = (getattr(step, key) for key in ("done", "total", "seconds_left"))
            bar.update(task, completed=done, total=total, left=in_words(left))

        explanation = explainer.explain(mask, progress=tell)
        bar.update(task, left="")
    return explanation


def in_words(seconds: float | None) -> str:
    """Time left as a person says it."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min left"
