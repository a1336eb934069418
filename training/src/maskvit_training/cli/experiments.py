"""Experiments on phantoms: background, learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from maskvit_training.cli.group import app, tell

experiments = typer.Typer(help="Experiments on phantoms.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")


@experiments.command()
def background(
    folder: Annotated[
        Path, typer.Argument(help="Where everything goes; started again, it goes on.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Models of each kind.")] = 5,
    train: Annotated[int, typer.Option(min=3, help="Pieces of tissue to train on.")] = 120,
    tune: Annotated[int, typer.Option(min=3, help="Pieces of tissue to tune on.")] = 40,
    test: Annotated[int, typer.Option(min=3, help="Pieces of tissue to test on.")] = 60,
    epochs: Annotated[int, typer.Option(min=1)] = 20,
) -> None:
    """Plain against masked attention on phantoms with bait, or none, on the glass."""
    from maskvit_training.experiment.background import run_background
    from maskvit_training.experiment.phantoms import Design

    design = Design(train=train, tune=tune, test=test)
    changes = {"optimiser": {"epochs": epochs}}
    run_background(folder.resolve(), design, seeds, changes, tell)
    tell((folder / "experiment.md").read_text("utf-8"))


@experiments.command()
def learning(
    folder: Annotated[
        Path, typer.Argument(help="Where everything goes; started again, it goes on.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Models.")] = 3,
    train: Annotated[int, typer.Option(min=3, help="Pieces of tissue to train on.")] = 128,
    tune: Annotated[int, typer.Option(min=3, help="Pieces of tissue to tune on.")] = 32,
    test: Annotated[int, typer.Option(min=3, help="Pieces of tissue to test on.")] = 64,
    epochs: Annotated[int, typer.Option(min=1)] = 12,
) -> None:
    """Masked models on phantoms, against a linear probe on the mean colour of the tissue."""
    from maskvit_training.experiment.learning import run_learning
    from maskvit_training.experiment.phantoms import Design

    # Closer than for the background experiment, where every slide is read four times.
    finer = Design(
        width=896, height=448, spacing=1.0, core_width=320.0, blocks=5, patch_px=224, seed=2
    )
    design = replace(finer, train=train, tune=tune, test=test)
    run_learning(folder.resolve(), design, seeds, epochs, tell)
