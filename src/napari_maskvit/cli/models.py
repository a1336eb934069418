"""``maskvit models``: which models there are, and what each says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_maskvit.cli.console import out, warn

if TYPE_CHECKING:
    from napari_maskvit.model import ModelConfig

models = typer.Typer(name="models", help="List models, or read a model's card.")


@models.callback(invoke_without_command=True)
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_them()


@models.command("list")
def list_them() -> None:
    """Every model that can be had by name."""
    from rich.table import Table

    from napari_maskvit.model import list_models

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what", "levels", "µm/px", "where", "licence"):
        table.add_column(heading, overflow="fold")
    for entry in list_models():
        config = entry.config
        levels, spacing = ", ".join(config.levels), f"{config.spacing:g}"
        table.add_row(entry.name, config.title, levels, spacing, entry.where, config.licence)
    out.print(table)
    out.print("A model's card: maskvit models info NAME")


@models.command()
def info(
    name: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A model, or a bundle's folder.")
    ],
) -> None:
    """A model's card: what it was trained on, for what, and what speaks against trusting it."""
    from rich.markdown import Markdown

    from napari_maskvit.model import list_models, load_model

    for entry in list_models():
        if entry.name == name and entry.path is None:
            # Its weights lie on the hub; to read about it is no reason to download them.
            out.print(Markdown(f"# {entry.config.title}\n\n{entry.config.description}"))
            show_facts(entry.config)
            return
    model = load_model(name)
    out.print(Markdown(model.card))
    show_facts(model.config)
    out.print(f"sha256: {model.sha256}")


def show_facts(config: ModelConfig) -> None:
    """What the configuration says, a line each, and its warnings."""
    side = config.patches_per_side
    out.print()
    out.print(f"levels: {', '.join(config.levels)}")
    out.print(f"spacing: {config.spacing:g} µm per pixel")
    out.print(
        f"token {config.token_px} px, patch {config.patch_px} px, region {config.region_px} px "
        f"= {side} x {side} patches"
    )
    out.print(f"head: {config.head or 'none, so attention only and no prediction'}")
    if config.labels:
        out.print(f"labels: {', '.join(config.labels)}")
    out.print(f"trained on: {config.training_data}")
    out.print(f"licence: {config.licence}")
    for sentence in config.warnings:
        warn(sentence)
