"""What a finished training left: its settings, history, metrics, and its answers on the test part."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ich_jax.data.labels import CLASSES
from ich_jax.data.prepared import Prepared
from ich_jax.errors import InputError
from ich_jax.files import read_json
from ich_jax.metrics import confusion_matrix
from ich_jax.run import Config, read_config


class Finished(NamedTuple):
    """A finished training; the answers are of its best epoch."""

    folder: Path
    config: Config
    history: list[dict[str, float]]
    metrics: dict
    actual: np.ndarray  # (N,) class indices
    predicted: np.ndarray  # (N,) class indices
    probabilities: np.ndarray  # (N, 6)
    patients: np.ndarray  # (N,) identifiers

    @property
    def confusion(self) -> np.ndarray:
        return confusion_matrix(self.actual, self.predicted)

    @property
    def best(self) -> dict[str, float]:
        """The best epoch's row of history.csv."""
        return self.history[self.metrics["best_epoch"] - 1]

    @property
    def minutes(self) -> float:
        return sum(row["seconds"] for row in self.history) / 60


def is_finished(folder: Path) -> bool:
    """Whether a training has ended and reported on the test part. metrics.json is written last."""
    path = folder / "metrics.json"
    return path.exists() and bool(read_json(path).get("finished"))


def read_finished(folder: Path, prepared: Prepared) -> Finished:
    """A run folder whose training is finished, on `prepared`.

    Raises InputError if its files are damaged or do not fit together.
    """
    try:
        return _read(folder, prepared)
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise InputError(f"{folder}: damaged run ({error!r}); delete it to train again") from None


def _read(folder: Path, prepared: Prepared) -> Finished:
    with open(folder / "history.csv", encoding="utf-8", newline="") as file:
        history = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    patient = dict(zip(prepared.image_ids.tolist(), prepared.patient_ids.tolist(), strict=True))
    return Finished(
        folder,
        read_config(folder),
        history,
        read_json(folder / "metrics.json"),
        np.array([CLASSES.index(row["class"]) for row in rows]),
        np.array([CLASSES.index(row["predicted"]) for row in rows]),
        np.array([[float(row[name]) for name in CLASSES] for row in rows]),
        np.array([patient[row["image_id"]] for row in rows]),
    )
