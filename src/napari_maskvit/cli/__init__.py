"""The command line: ``maskvit demo | view | mask | explain | models | doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_maskvit.cli.console import out
from napari_maskvit.cli.demo import demo
from napari_maskvit.cli.doctor import doctor
from napari_maskvit.cli.explain import explain
from napari_maskvit.cli.group import Commands, end_on_terminate
from napari_maskvit.cli.mask import mask
from napari_maskvit.cli.models import models
from napari_maskvit.cli.view import view
from napari_maskvit.threads import wait_briefly

__all__ = ["app", "main"]

app = typer.Typer(
    name="maskvit",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A research tool, not for clinical use.",
)
for command in (demo, view, mask, explain, doctor):
    app.command()(command)
app.add_typer(models)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(version("napari-maskvit"))
        raise typer.Exit


@app.callback()
def _maskvit(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error came from.")
    ] = False,
) -> None:
    """What did the model look at? Attention masked to tissue, on whole-slide images."""


def main() -> None:
    """Run ``maskvit``."""
    wait_briefly()
    end_on_terminate()
    app(prog_name="maskvit")
