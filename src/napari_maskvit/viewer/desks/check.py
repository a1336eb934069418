"""Whether explanation and mask belong together, where one of them comes from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_maskvit.viewer.work.jobs import once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_maskvit.explain import Explanation
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.desks.attention import AttentionDesk

CHANNEL = "check"
WORDS = "Running the model on the corrected tissue"


class MaskCheck:
    """Compares a mask or an explanation that comes from elsewhere with what it is put beside.

    Strokes are followed as they are made; a mask that is restored or loaded, or an explanation
    that is, tells nothing of how the two belong together.

    Parameters
    ----------
    desk
        Whose explanation is shown.
    """

    def __init__(self, desk: AttentionDesk) -> None:
        self.desk, self.session = desk, desk.session

    def start(self) -> None:
        """Compare in a worker, then mark what is out of date, and follow it if that is wanted."""
        explanation, editor = self.desk.explanation, self.session.tissue.editor
        slide = self.session.slide
        if explanation is None or editor is None or slide is None or not explanation.complete:
            return
        if (explanation.slide_identity, explanation.slide_spacing) != (
            slide.identity,
            slide.spacing,
        ):
            return
        mask = editor.mask

        def work() -> NDArray[np.bool_]:
            from napari_maskvit.explain.outdated import outdated_patches

            return outdated_patches(explanation, mask)

        self.session.jobs.start(
            CHANNEL,
            "",
            once(work, torch=True),
            on_done=lambda patches: self._compared(patches, explanation, mask),
        )

    def _compared(
        self, patches: NDArray[np.bool_], explanation: Explanation, mask: TissueMask
    ) -> None:
        editor = self.session.tissue.editor
        if self.desk.explanation is not explanation or editor is None:
            return
        if editor.mask is not mask:
            self.start()
            return
        live = self.desk.live
        live.stale.lay_out(explanation)
        if not patches.any() or patches.shape != live.stale.patches.shape:
            return
        live.stale.patches |= patches
        live.show()
        self.session.explanation_changed.emit()
        # Where nobody has chosen a model yet, another one must not answer in its place.
        models = self.session.models
        chosen = models.model is not None or models.is_loading
        if live.on and chosen and editor.areas.tissue_mm2 > 0:
            self.follow()

    def follow(self) -> None:
        """Run for the mask as it stands; the picture on display stays until it is overtaken."""
        desk, explanation = self.desk, self.desk.explanation
        models = self.session.models
        model = None if models.is_loading else models.model
        if explanation is None or model is None:
            self.session.runs.run()
        elif explanation.complete and model.sha256 == explanation.model_sha256:
            # Whatever is computed anew shows as before until then.
            all_of_it = np.ones_like(desk.live.stale.patches)
            request = replace(desk.live.request(desk.looking_at()), stale=all_of_it)
            self.session.runs.run_for(request, WORDS)
        else:
            request = replace(desk.live.request(desk.looking_at()), update=False)
            self.session.runs.run_for(request, WORDS)
