"""Harrell's concordance index, which torchmetrics lacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def concordance_index(
    time: NDArray[np.float64], event: NDArray[np.bool_], risk: NDArray[np.float64]
) -> float:
    """Share of comparable pairs whose risks are in the order of their events.

    Harrell et al., "Evaluating the yield of medical tests", JAMA 1982. A pair is comparable if
    the one with the shorter time had the event (or both have the same time and only one had it);
    equal risks count half.

    Parameters
    ----------
    time, event, risk
        [N] follow-up, whether the event was seen, and the predicted risk (higher is worse).

    Returns
    -------
    float
        In [0, 1]; nan where no pair is comparable.
    """
    concordant = comparable = 0.0
    for at in np.flatnonzero(event):
        later = (time > time[at]) | ((time == time[at]) & ~event)
        comparable += np.count_nonzero(later)
        concordant += np.count_nonzero(risk[later] < risk[at])
        concordant += 0.5 * np.count_nonzero(risk[later] == risk[at])
    return concordant / comparable if comparable else float("nan")
