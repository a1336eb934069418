"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SlidePath = Annotated[Path, typer.Argument(metavar="SLIDE", help="A whole-slide image.")]
SlidePaths = Annotated[list[Path], typer.Argument(metavar="SLIDE...", help="Whole-slide images.")]
Spacing = Annotated[
    float | None,
    typer.Option(
        metavar="UM", help="µm per pixel of the finest level, where the file does not say."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="A name from `maskvit models`, or a bundle's folder."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
