"""What every command shares: the group itself, its options, its voice."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from napari_maskvit.errors import MaskvitError

if TYPE_CHECKING:
    from maskvit_training.recipe import Recipe
    from maskvit_training.splits import Fold

app = typer.Typer(
    help="Train hierarchical Vision Transformers with masked attention on whole-slide images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Of several processes that train together, the first one speaks.
console = Console(quiet=os.environ.get("LOCAL_RANK", "0") != "0")
stderr = Console(stderr=True)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set a field: part.field=value. May be repeated.")
]
FoldNumbers = Annotated[
    list[int] | None, typer.Option("--fold", help="Only this fold. May be repeated.")
]
SPLITS = "splits.csv"


def main() -> None:
    """Run the command line; what goes wrong is said in a sentence."""
    try:
        app()
    except MaskvitError as error:
        stderr.print(f"[bold red]Stopped.[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        stderr.print(f"[bold red]Stopped.[/] {escape(said_of(error))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print("Interrupted. The same command goes on from here.")
        sys.exit(130)


def said_of(error: OSError) -> str:
    """What went wrong with a disk, in a sentence."""
    if error.errno == errno.ENOSPC:
        return (
            "The disk is full. Nothing half-written is left; make room and start again: it goes on "
            "where it stopped."
        )
    what = error.filename or "A file"
    return f"{what} cannot be read or written: {error.strerror or error}."


def tell(text: str) -> None:
    """Say a line as it stands."""
    console.print(text, markup=False, soft_wrap=True)


def settled_folds(recipe: Recipe) -> tuple[Fold, ...]:
    """The folds of a run, drawn and written down where that is not done."""
    from maskvit_training.cohort import read_cohort
    from maskvit_training.splits import settle_splits

    return settle_splits(recipe, read_cohort(recipe), recipe.output / SPLITS)
