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
    for heading in ("name", "what", "levels", "µm/px", "licence"):
        table.add_column(heading, overflow="fold")
    for entry in list_models():
        config = entry.config
        levels = ", ".join(config.levels)
        table.add_row(entry.name, config.title, levels, f"{config.spacing:g}", config.licence)
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

    from napari_maskvit.model import load_model

    model = load_model(name)
    out.print(Markdown(model.card))
    out.print()
    for line in facts(model.config):
        out.print(line)
    out.print(f"sha256: {model.sha256}")
    for sentence in model.config.warnings:
        warn(sentence)


def facts(config: ModelConfig) -> list[str]:
    """What the configuration says, a line each."""
    per_side = config.patches_per_side
    return [
        f"levels: {', '.join(config.levels)}",
        f"spacing: {config.spacing:g} µm per pixel",
        f"token {config.token_px} px, patch {config.patch_px} px, "
        f"region {config.region_px} px = {per_side} x {per_side} patches",
        f"head: {config.head or 'none: attention only, no prediction'}",
        f"labels: {', '.join(config.labels) or 'none'}",
        f"licence: {config.licence}",
    ]
