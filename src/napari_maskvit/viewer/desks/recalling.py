"""Going on from an explanation that comes from elsewhere: what it knows is not computed again."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.explain import Explanation
    from napari_maskvit.viewer.desks.attention import AttentionDesk
    from napari_maskvit.viewer.work.jobs import Job

CHANNEL = "recall"


class Recalling:
    """Makes the explainer for a restored explanation before the first stroke asks for it.

    Every explainer is filled when it is made, whoever asks first; this is so that a stroke need
    not wait for that.

    Parameters
    ----------
    desk
        Whose explanation is shown.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        self.desk, self.session = desk, desk.session
        self._unknown: Explanation | None = None

    def take(self, explanation: Explanation | None, reference: Explanation | None) -> None:
        """Other explanations are on display, made elsewhere."""
        self._unknown = explanation
        taken = (explanation, reference)
        self.session.models.explainers.earlier = tuple(one for one in taken if one is not None)
        self.start()

    def is_unknown(self, explanation: Explanation | None) -> bool:
        """Whether no patch of an explanation is known here, or nobody has looked yet."""
        return explanation is not None and explanation is self._unknown

    def start(self) -> None:
        """Fill an explainer in a worker, once slide, mask and model are there."""
        desk, explanation = self.desk, self._unknown
        slide, editor, models = self.session.slide, self.session.tissue.editor, self.session.models
        if explanation is None or desk.explanation is not explanation:
            return
        if slide is None or editor is None or models.model is None or self.session.runs.is_running:
            return
        model, options, mask = models.model, models.options, editor.mask

        def body(job: Job) -> Generator[None, None, bool]:
            yield None
            with models.explainers.at_work(slide, model, options) as explainer:
                if job.cancelled:
                    return False
                run = explainer.run_of(explainer.plan(mask), explainer.cache)
                run.recall()
                run.explanation(complete=False)
                return run.done > 0

        self.session.jobs.start(
            CHANNEL, "", body, on_done=lambda known: self._recalled(explanation, known)
        )

    def _recalled(self, explanation: Explanation, known: bool) -> None:
        if known and self._unknown is explanation:
            self._unknown = None
            if self.desk.explanation is explanation:
                self.desk.live.prepare()
