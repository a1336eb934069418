"""Errors become sentences in the corner: for methods that a click or a key calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., None])


class Teller(Protocol):
    """Whoever can tell a person what went wrong."""

    def fail(self, error: Exception) -> None:
        """Say it in one sentence."""


def told(method: F) -> F:
    """Hand every error of a method to its object's ``fail``, so that it never raises."""

    @wraps(method)
    def telling(self: Teller, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self.fail(error)

    return cast("F", telling)
