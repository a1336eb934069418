"""What an earlier result of a slide spares: its patches need not be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_maskvit.cli.console import note
from napari_maskvit.errors import ExplainError, MaskvitError

if TYPE_CHECKING:
    from napari_maskvit.explain import Explainer

STORE = "explanation.zarr"


def earlier_of(slide: Path, folder: Path, since: Path | None, *, alone: bool) -> Path | None:
    """The store of the result to go on from; None where there is none.

    Parameters
    ----------
    slide, folder
        What is explained, and where the result goes: what it replaces is an earlier one.
    since
        Folder of another result, or with several slides of one folder for each.
    alone
        Whether the slide is the only one.

    Raises
    ------
    MaskvitError
        If there is no result where one was asked for.
    """
    place = (folder if since is None else since if alone else since / slide.stem) / STORE
    if place.is_dir():
        return place
    if since is None:
        return None
    raise MaskvitError(
        f"There is no earlier result of {slide.name} in {place.parent}: give a folder that "
        "maskvit explain wrote with --since."
    )


def go_on_from(explainer: Explainer, store: Path) -> None:
    """Know again what an earlier result knew; where it does not fit, say so and go on without."""
    from napari_maskvit.explain import Explanation

    try:
        reason = explainer.recall(Explanation.load(store)).reason
    except ExplainError as error:
        note(f"The earlier result is not used. {error}")
        return
    if reason:
        note(f"The earlier result in {store.parent} is not used: {reason}.")
