"""How every command ends: errors in one sentence, Ctrl-C cleanly."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from napari_maskvit.cli.console import err, fail
from napari_maskvit.errors import MaskvitError

FAILED, BROKEN, INTERRUPTED, TERMINATED = 2, 1, 130, 143
"""Exit codes: something a person can put right, our mistake, Ctrl-C, a scheduler's SIGTERM."""


class Commands(TyperGroup):
    """The commands, with ``--debug`` understood anywhere on the line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move ``--debug`` to the front, where it is declared."""
        if "--debug" in args:
            args = ["--debug", *(arg for arg in args if arg != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; turn what it raises into a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail("Cancelled; nothing half-written was left behind.")
            raise typer.Exit(INTERRUPTED) from None
        except MaskvitError as error:
            _show(ctx, str(error))
            raise typer.Exit(FAILED) from None
        except ImportError as error:
            _show(ctx, f"A needed part cannot be loaded ({error}). `maskvit doctor` says more.")
            raise typer.Exit(FAILED) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click"):
                raise  # wrong use and early exits, which the group itself knows how to show
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            _show(ctx, f"Something unforeseen went wrong ({words}). Please report it with --debug.")
            raise typer.Exit(BROKEN) from None


def _show(ctx: Any, sentence: str) -> None:
    if ctx.params.get("debug"):
        err.print_exception(show_locals=False)
    fail(sentence)


def end_on_terminate() -> None:
    """Let SIGTERM unwind the program as Ctrl-C does, so that temporary files go."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, end)


def end_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the program without Python, which Qt's loop seldom visits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
