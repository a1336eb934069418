"""``maskvit demo``: the sample slide with its result, in a window or in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_maskvit.cli.console import err
from napari_maskvit.cli.group import end_at_once
from napari_maskvit.cli.options import Device


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a window, even where there is a display.")
    ] = False,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for what is made headless."),
    ] = Path("maskvit-demo"),
    device: Device = "auto",
) -> None:
    """Explain the sample slide: in the viewer, or in a folder where no window can open.

    The slide is synthetic: tissue with glands and lesions, pen and dust, made on first use.
    """
    from napari_maskvit.cli.display import try_display
    from napari_maskvit.cli.output import check_folder

    reason = "--headless was asked for" if headless else try_display().reason
    if reason:
        check_folder(output, overwrite=True)
    slide = _sample()
    if not reason:
        from napari_maskvit.viewer.launch import view

        err.print("Opening the viewer; close its window to end.")
        end_at_once()
        view(slide, run=True)
        return
    err.print(f"No window: {reason}.")
    _without_window(slide, output, device)


def _sample() -> Path:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from napari_maskvit.slide.phantom import sample_slide

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("Making the sample slide, this first time", visible=False)
        return sample_slide(
            lambda done, total: bar.update(task, completed=done, total=total, visible=True)
        )


def _without_window(slide: Path, output: Path, device: str) -> None:
    from napari_maskvit.cli.explain import explain_one
    from napari_maskvit.cli.journey import Settings
    from napari_maskvit.model import load_model

    explain_one(slide, output.absolute(), None, load_model(), Settings(device=device), None)
