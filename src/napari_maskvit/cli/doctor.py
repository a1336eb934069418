"""``maskvit doctor``: what is missing on this machine, and how to get it."""

from __future__ import annotations

import typer

from napari_maskvit.cli.console import out

MARKS = {"good": "[green]✓[/green]", "optional": "[yellow]–[/yellow]", "missing": "[red]✗[/red]"}


def doctor() -> None:
    """Say what is missing on this machine and how to get it.

    Ends with exit code 1 where something is missing that nothing works without.
    """
    from rich.markup import escape

    from napari_maskvit.cli.checks import findings

    states = []
    for finding in findings():
        states.append(finding.state)
        out.print(f"{MARKS[finding.state]} [bold]{finding.what}[/bold]: {escape(finding.found)}")
        if finding.advice:
            out.print(f"    {escape(finding.advice)}")
    if "missing" in states:
        out.print("[red]Something needed is missing; see the lines with ✗.[/red]")
        raise typer.Exit(1)
    if "optional" in states:
        out.print("Everything needed is there; lines with – say what would add to it.")
    else:
        out.print("Everything is there.")
