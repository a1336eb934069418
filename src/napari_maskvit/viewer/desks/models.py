"""Which model is in use, how it is run, and the explainers that run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_maskvit.errors import ExplainError
from napari_maskvit.viewer.work.explainers import Explainers, RunOptions
from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.model import Model
    from napari_maskvit.viewer.session import Session

CHANNEL = "model"


class ModelDesk:
    """The model of one session.

    Parameters
    ----------
    session
        Whose signals tell what changes here.

    Attributes
    ----------
    model
        The one in use; None until one is loaded.
    options
        How a run is done.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.model: Model | None = None
        self.options = RunOptions()
        self.explainers = Explainers()

    @property
    def is_loading(self) -> bool:
        """Whether a model is on its way."""
        return self.session.jobs.is_running(CHANNEL)

    def use(self, name: str | Path | None) -> None:
        """Load a model in a worker, as `Session.use_model` takes it."""

        def work() -> Model:
            from cmap import Colormap

            from napari_maskvit.model import load_model

            # Reads its catalogue, once; else the first attention would wait for that.
            Colormap(self.session.display.colormap)
            return load_model(name)

        self.session.jobs.start(
            CHANNEL, "Loading the model", once(work, torch=True), on_done=self._take
        )

    def want(self) -> bool:
        """Have a model loaded unless one is there or on its way.

        It is the one that gave the explanation on display, if there is one, else the default.

        Returns
        -------
        bool
            False where the model of the explanation is not on this machine: no other is loaded,
            which would answer in its place.
        """
        if self.model is not None or self.is_loading:
            return True
        explanation = self.session.explanation
        if explanation is None:
            self.use(None)
            return True
        bundle = _bundle_of(explanation)
        if bundle is not None:
            self.use(bundle)
        return bundle is not None

    def need(self) -> Model:
        """The model in use.

        Raises
        ------
        ExplainError
            If none is loaded.
        """
        if self.model is None:
            raise ExplainError("No model is loaded. Choose one, then run it.")
        return self.model

    def configure(self, **changes: Any) -> None:
        """Change how the next run is done."""
        self.options = replace(self.options, **changes)
        self.session.options_changed.emit(self.options)

    def _take(self, model: Model) -> None:
        self.model = model
        self.session.jobs.cancel(CHANNEL)
        self.session.model_changed.emit()
        self.session.runs.go_on()


def missing(explanation: Explanation) -> str:
    """What to say where the model that gave an explanation is not on this machine."""
    return (
        f"The result shown is from {explanation.model_title}, which is not on this machine. "
        "Choose a model, then run it."
    )


def _bundle_of(explanation: Explanation) -> Path | None:
    from napari_maskvit.model import find_bundle

    return find_bundle(explanation.model_sha256)
