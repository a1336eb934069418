"""``maskvit mask``: find the tissue and write it to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_maskvit.cli.console import out, warn
from napari_maskvit.cli.options import Overwrite, SlidePath, Spacing
from napari_maskvit.errors import MaskError

if TYPE_CHECKING:
    from napari_maskvit.tissue import TissueParameters

ENDINGS = (".geojson", ".tif", ".tiff", ".png")


def mask(
    slide: SlidePath,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The mask's file: .geojson, .tif or .png."
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(help="How strongly stained tissue must be; 1 is what suits this slide."),
    ] = None,
    smoothing_um: Annotated[
        float | None, typer.Option(help="How far the outline is evened out, µm.")
    ] = None,
    min_object_um2: Annotated[
        float | None, typer.Option(help="Pieces of tissue smaller than this are left out, µm².")
    ] = None,
    min_hole_um2: Annotated[
        float | None, typer.Option(help="Holes smaller than this count as tissue, µm².")
    ] = None,
    remove_pen: Annotated[
        bool | None, typer.Option("--remove-pen/--keep-pen", help="Leave out ink of any colour.")
    ] = None,
    spacing_um: Annotated[
        float | None, typer.Option(help="Side of the pixels that are looked at, µm.")
    ] = None,
    spacing: Spacing = None,
    overwrite: Overwrite = False,
) -> None:
    """Find the tissue; write it as a mask to correct, to keep, or to give to explain.

    A .geojson opens in QuPath, in the slide's own pixels.
    """
    from napari_maskvit.cli.journey import opened
    from napari_maskvit.cli.output import check_writable

    if output.suffix.lower() not in ENDINGS:
        raise MaskError(
            f"{output.name} does not end in a kind of mask file; end it in {', '.join(ENDINGS)}."
        )
    if output.exists() and not overwrite:
        raise MaskError(f"{output} exists; add --overwrite to replace it, or give another name.")
    check_writable(output)
    parameters = given_parameters(
        threshold=threshold,
        smoothing_um=smoothing_um,
        min_object_um2=min_object_um2,
        min_hole_um2=min_hole_um2,
        remove_pen=remove_pen,
        spacing_um=spacing_um,
    )
    with opened(slide, spacing) as this:
        from napari_maskvit.tissue import segment_tissue

        found = segment_tissue(this, parameters)
        output.parent.mkdir(parents=True, exist_ok=True)
        found.save(output, this)
        height, width = this.size_um
        share = found.area_mm2 / (height * width / 1e6)
        out.print(
            f"[bold]{this.name}[/bold]: {found.area_mm2:.2f} mm² of tissue, {share:.1%} of the "
            f"slide, in {output}"
        )
        if found.is_empty:
            warn("no tissue was found; try a lower --threshold or a smaller --min-object-um2.")


def given_parameters(**values: Any) -> TissueParameters:
    """Check the values that a person gave; the others keep their defaults.

    Raises
    ------
    MaskError
        If a value is out of its range.
    """
    from pydantic import ValidationError

    from napari_maskvit.tissue import TissueParameters

    try:
        return TissueParameters(**{key: one for key, one in values.items() if one is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        wrong = f"--{option} {first['input']:g} is out of range: {first['msg'].lower()}."
        raise MaskError(wrong) from None
