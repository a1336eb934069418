"""``maskvit explain``: from slides to predictions, heatmaps and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_maskvit.cli.console import fail, out, warn
from napari_maskvit.cli.group import FAILED
from napari_maskvit.cli.options import Device, Model, Overwrite, Precision, SlidePaths, Spacing
from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from napari_maskvit import model as models
    from napari_maskvit.cli.journey import Settings

MASK_ENDINGS = (".geojson", ".tif", ".tiff", ".png")


def explain(
    slides: SlidePaths,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the results; with several slides, one folder in it for each.",
        ),
    ],
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Tissue mask (.geojson, .tif, .png) instead of the tissue that is found; with "
            "several slides, a folder of masks named after them.",
        ),
    ] = None,
    model: Model = None,
    masking: Annotated[
        str,
        typer.Option(metavar="LEVELS", help="Levels whose background is masked, or none."),
    ] = "patch,region,slide",
    threshold: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Kept is what is tissue to more than this share."),
    ] = 0.0,
    device: Device = "auto",
    precision: Precision = "auto",
    spacing: Spacing = None,
    overwrite: Overwrite = False,
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of an earlier result: only what has changed since is computed. Without "
            "it, that of the result that --overwrite replaces.",
        ),
    ] = None,
) -> None:
    """Run the model; write prediction, heatmaps and a picture.

    The folder holds prediction.json, explanation.zarr, a heatmap-LEVEL.tif for each level,
    the mask that was used, and overlay.png. It appears when everything in it is there.
    """
    from napari_maskvit.cli.earlier import earlier_of
    from napari_maskvit.cli.journey import Settings, parse_masking
    from napari_maskvit.cli.output import check_folder

    settings = Settings(parse_masking(masking), threshold, device, precision)
    jobs = plan(slides, output, mask)
    for _, folder, _ in jobs:
        check_folder(folder, overwrite=overwrite)
    earlier = [earlier_of(path, folder, since, alone=len(jobs) == 1) for path, folder, _ in jobs]

    from napari_maskvit.model import load_model, resolve_device, resolve_precision

    # Asked before tissue is sought, so that a wrong word costs no time.
    resolve_precision(precision, resolve_device(device))
    chosen = load_model(model)
    failures = 0
    for (path, folder, mask_path), known in zip(jobs, earlier, strict=True):
        try:
            explain_one(path, folder, mask_path, chosen, settings, spacing, known)
        except MaskvitError as error:
            if len(jobs) == 1:
                raise
            # One damaged slide must not cost a night's work on the others.
            fail(str(error))
            failures += 1
    if failures:
        fail(f"{failures} of {len(jobs)} slides failed; the others are in {output}.")
        raise typer.Exit(FAILED)


def plan(
    slides: list[Path], output: Path, mask: Path | None
) -> list[tuple[Path, Path, Path | None]]:
    """Slide, folder and mask of each job.

    Raises
    ------
    MaskvitError
        If a file is missing, or two slides would share a folder.
    """
    for path in slides:
        if not path.exists():
            raise MaskvitError(f"There is no slide at {path}; check the path.")
    if mask is not None and not mask.exists():
        raise MaskvitError(f"There is no tissue mask at {mask}; check the path.")
    if len(slides) == 1:
        return [(slides[0], output, mask)]
    names = [path.stem for path in slides]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MaskvitError(
            f"Several slides are named {twice[0]}, so their results would lie in one folder; "
            "explain them in separate calls."
        )
    return [(path, output / path.stem, mask_for(path, mask)) for path in slides]


def mask_for(slide: Path, folder: Path | None) -> Path | None:
    """The mask of one of several slides.

    Raises
    ------
    MaskvitError
        If there is none in the folder.
    """
    if folder is None:
        return None
    for ending in MASK_ENDINGS:
        if (folder / f"{slide.stem}{ending}").is_file():
            return folder / f"{slide.stem}{ending}"
    raise MaskvitError(
        f"There is no mask for {slide.name} in {folder}: with several slides --mask is a folder "
        f"that holds {slide.stem}{MASK_ENDINGS[0]} (or {', '.join(MASK_ENDINGS[1:])})."
    )


def explain_one(
    path: Path,
    folder: Path,
    mask_path: Path | None,
    model: models.Model,
    settings: Settings,
    spacing: float | None,
    earlier: Path | None = None,
) -> None:
    """One slide, from file to folder; what the store of an earlier result knows is spared."""
    from napari_maskvit.cli.journey import explain_slide, mask_of, opened
    from napari_maskvit.cli.results import write_results

    with opened(path, spacing) as slide:
        mask = mask_of(slide, mask_path)
        explanation = explain_slide(slide, mask, model, settings, earlier)
        source = "found" if mask_path is None else str(mask_path)
        say(write_results(folder, slide, mask, explanation, source), folder)


def say(summary: dict[str, Any], folder: Path) -> None:
    """The outcome in a few lines."""
    out.print(f"[bold]{summary['slide']['name']}[/bold]: {in_words(summary['prediction'])}")
    kept, total = summary["kept"], summary["total"]
    shares = (f"{kept[level]:,} of {total[level]:,} {NOUNS[level]}" for level in kept)
    out.print(f"  looked at {', '.join(shares)}")
    patches = summary["patches"]
    if patches["known"]:
        both = patches["known"] + patches["computed"]
        out.print(f"  {patches['known']:,} of {both:,} patches were known from the earlier result")
    on_glass = summary["background_attention"].items()
    out.print(f"  attention on glass: {', '.join(f'{lv} {mass:.1%}' for lv, mass in on_glass)}")
    for sentence in summary["warnings"]:
        warn(sentence)
    out.print(f"  results in {folder}, picture in {folder / 'overlay.png'}")


NOUNS = {"patch": "tokens", "region": "patches", "slide": "regions"}


def in_words(prediction: dict[str, Any] | None) -> str:
    """The prediction as a person says it."""
    if prediction is None:
        return "attention only; this model makes no prediction"
    words = str(prediction["label"])
    probabilities, labels = prediction.get("probabilities"), prediction.get("labels")
    if not probabilities or not labels:
        return f"{words} ({prediction['value']:.2f})"
    each = (f"{label} {share:.0%}" for label, share in zip(labels, probabilities, strict=False))
    return f"{words} ({', '.join(each)})"
