"""Predictions as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskvit_training.errors import TrainingError
from maskvit_training.metrics import Predictions
from maskvit_training.writing import written_whole

if TYPE_CHECKING:
    import pandas as pd

    from napari_maskvit.model import Prediction

COLUMNS = ("unit", "patient", "fold", "label", "grade", "value", "time", "event")


def grade_of(prediction: Prediction) -> int:
    """The class that a prediction names, counted from 0; not for survival."""
    return int(np.clip(np.rint(prediction.value), 0, len(prediction.labels) - 1))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a CSV table, whole or not at all."""
    with written_whole(path) as place:
        to_table(predictions).to_csv(place, index=False, float_format="%.9g")


def read_predictions(paths: Sequence[Path], kind: str, classes: tuple[str, ...]) -> Predictions:
    """Read and join tables.

    Raises
    ------
    TrainingError
        If one cannot be read.
    """
    import pandas as pd

    text = {"unit": str, "patient": str}
    try:
        table = pd.concat([pd.read_csv(path, dtype=text) for path in paths], ignore_index=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"Predictions cannot be read: {error}") from error
    return from_table(table, kind, classes)


def to_table(predictions: Predictions) -> pd.DataFrame:
    """A row a unit."""
    import pandas as pd

    columns = {
        "unit": predictions.units,
        "patient": predictions.patients,
        "fold": predictions.folds,
        "label": predictions.labels,
        "grade": predictions.grades,
        "value": predictions.values,
        "time": predictions.times,
        "event": predictions.events,
        **{f"p_{k}": column for k, column in enumerate(predictions.probabilities.T)},
    }
    return pd.DataFrame({name: list(values) for name, values in columns.items() if len(values)})


def from_table(table: pd.DataFrame, kind: str, classes: tuple[str, ...]) -> Predictions:
    """What `to_table` made."""

    def column(name: str, dtype: type) -> np.ndarray:
        return table[name].to_numpy(dtype) if name in table else np.zeros(0, dtype)

    chances = [name for name in table.columns if name.startswith("p_")]
    return Predictions(
        kind=kind,
        classes=classes,
        units=tuple(table["unit"]),
        patients=tuple(table["patient"]),
        folds=column("fold", np.int64),
        labels=column("label", np.int64),
        grades=column("grade", np.int64),
        values=column("value", np.float64),
        probabilities=table[chances].to_numpy(np.float64).reshape(len(table), len(chances)),
        times=column("time", np.float64),
        events=column("event", np.bool_),
    )
