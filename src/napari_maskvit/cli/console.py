"""Where the command line speaks: results to stdout, everything else to stderr."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def note(sentence: str) -> None:
    """Say what is good to know, in one line."""
    err.print(Text(" ".join(sentence.split())))


def warn(sentence: str) -> None:
    """Say what speaks against a result, in yellow."""
    err.print(Text(f"Mind: {sentence}", style="yellow"))


def fail(sentence: str) -> None:
    """Say what went wrong, in one red line."""
    err.print(Text(" ".join(sentence.split()), style="bold red"))
