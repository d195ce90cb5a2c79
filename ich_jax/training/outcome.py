"""What a finished training leaves in its run folder: written here, and read again."""

import csv
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from ich_jax.data.prepared import Prepared
from ich_jax.paper.metrics import confusion_matrix, log_softmax, summarise
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json, write_csv, write_json, write_whole_with
from ich_jax.show import figures
from ich_jax.training.config import Found, Settings, differences, preset, read_config
from ich_jax.training.loop import Progress

History = list[dict[str, float]]

HISTORY_COLUMNS = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")


# Of three networks of `make train`, by `python -m benchmarks.transfer`; a test compares with benchmarks/results/.
PHANTOM_NETWORK = (
    "Three networks trained like this one told hemorrhage from none on 26 real slices, 9 with some, with an AUC of "
    "0.959 (95 % interval 0.884 to 1.000); the phantom had been made to look like those slices, and types are told "
    "apart badly (docs/phantom.md of ich_jax)"
)
PHANTOM_SLICES = 2935  # that they had, in all three parts


class Outcome(NamedTuple):
    """A finished training; the answers are of its best epoch, on the test part."""

    folder: Path
    settings: Settings
    history: History
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


def of_a_phantom(settings: Settings, found: Found) -> str:
    """What to say before the answers of a network that was trained on synthetic slices."""
    changed = set(differences(settings, preset("phantom"))) - {"seed", "split_seed"}
    measured = not changed and sum(found.slices.values()) == PHANTOM_SLICES
    what = PHANTOM_NETWORK if measured else "What such a network knows of real ones has not been measured"
    return f"trained on a PHANTOM, synthetic slices only. {what}. Never for diagnosis"


def write_history(folder: Path, history: History) -> None:
    write_csv(folder / "history.csv", HISTORY_COLUMNS, ([row[name] for name in HISTORY_COLUMNS] for row in history))


def write_outcome(
    folder: Path,
    settings: Settings,
    progress: Progress,
    prepared: Prepared,
    part: str,
    rows: np.ndarray,
    logits: np.ndarray,
) -> dict:
    """Metrics, confusion matrix, predictions and figures of one part, the metrics last; returns them.

    Those of the test part go into the run folder itself, others into a folder of the part's name.

    Args:
        folder: the run folder.
        settings, progress: of the training.
        prepared, part, rows: what the network was asked.
        logits: (M, 6), its answers at the best epoch.
    """
    _, history, stopping = progress
    folder = folder if part == "test" else folder / part
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    actual, predicted = prepared.classes[rows], logits.argmax(axis=1)
    confusion = confusion_matrix(actual, predicted)
    metrics = {
        "part": part,
        "data": prepared.title,
        "phantom": prepared.phantom,
        "slices": len(rows),
        "best_epoch": stopping.best_epoch,
        "epochs": stopping.epoch,
        "finished": stopping.should_stop or stopping.epoch >= settings.epochs,
        **summarise(actual, logits),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    cells = ([name, *row] for name, row in zip(CLASSES, confusion.tolist(), strict=True))
    write_csv(folder / "confusion.csv", ["actual\\predicted", *CLASSES], cells)
    answers = (
        [prepared.image_ids[row], CLASSES[prepared.classes[row]], CLASSES[k], *(f"{share:.6g}" for share in shares)]
        for row, k, shares in zip(rows, predicted, np.exp(log_softmax(logits)), strict=True)
    )
    write_csv(folder / "predictions.csv", ["image_id", "class", "predicted", *CLASSES], answers)
    shown = rows[int(np.argmax(actual > 0))]  # a hemorrhage, if there is one
    name, class_name = prepared.image_ids[shown], CLASSES[prepared.classes[shown]]
    title = f"{settings.model} on {prepared.title}"
    drawn = {
        "loss": figures.loss_curves(history, stopping.best_epoch, title),
        "accuracy": figures.accuracy_curves(history, stopping.best_epoch, title),
        "confusion": figures.confusion_figure(confusion, f"{title}, {part} part, {len(rows):,} slices"),
        "windows": figures.windows_panel(
            prepared.images[shown], f"{prepared.title}: slice {name} ({class_name}) as the network sees it"
        ),
    }
    for name, figure in drawn.items():
        save_figure(folder / "figures" / f"{name}.png", figure)
    write_json(folder / "metrics.json", metrics)
    return metrics


def save_figure(path: Path, figure: figures.Figure) -> None:
    write_whole_with(path, lambda partial: figure.savefig(partial, dpi=120, format="png"))


def peak_memory_bytes() -> int | None:
    """The device's memory high-water mark in bytes; None where the backend does not tell (the CPU)."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def is_finished(folder: Path) -> bool:
    """Whether a training has ended and reported on the test part. metrics.json is written last."""
    path = folder / "metrics.json"
    return path.exists() and bool(read_json(path).get("finished"))


def read_outcome(folder: Path, prepared: Prepared) -> Outcome:
    """A run folder whose training is finished, on `prepared`.

    Raises InputError if its files are damaged or do not fit together.
    """
    try:
        history = [{name: float(value) for name, value in row.items()} for row in _rows(folder / "history.csv")]
        metrics = read_json(folder / "metrics.json")
        if len(history) != metrics["epochs"]:
            raise ValueError(f"{len(history)} epochs in history.csv, {metrics['epochs']} in metrics.json")
        answers = _rows(folder / "predictions.csv")
        patient = dict(zip(prepared.image_ids.tolist(), prepared.patient_ids.tolist(), strict=True))
        return Outcome(
            folder,
            read_config(folder)[0],
            history,
            metrics,
            np.array([CLASSES.index(row["class"]) for row in answers]),
            np.array([CLASSES.index(row["predicted"]) for row in answers]),
            np.array([[float(row[name]) for name in CLASSES] for row in answers]),
            np.array([patient[row["image_id"]] for row in answers]),
        )
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise InputError(f"{folder}: damaged run ({error!r}); delete it to train again") from None


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_text(metrics: dict) -> str:
    """One page for the terminal."""
    present = sum(row["support"] > 0 for row in metrics["per_class"].values())
    over = "" if present == len(CLASSES) else f"   (means over the {present} of {len(CLASSES)} classes that occur)"
    lines = [
        f"{metrics['part']} part: {metrics['slices']:,} slices of {metrics['data']}, epoch {metrics['best_epoch']}",
        f"  accuracy {metrics['accuracy']:.4f} (always 'none': {metrics['majority_accuracy']:.4f})"
        f"   loss {metrics['loss']:.4f}",
        f"  weighted precision {metrics['precision_weighted']:.4f}, recall {metrics['recall_weighted']:.4f},"
        f" F1 {metrics['f1_weighted']:.4f}",
        f"  balanced accuracy {metrics['balanced_accuracy']:.4f}   macro F1 {metrics['f1_macro']:.4f}"
        f"   Matthews correlation {metrics['mcc']:.4f}{over}",
        f"  any hemorrhage: sensitivity {metrics['any_sensitivity']:.4f}, specificity {metrics['any_specificity']:.4f}",
        f"  {'class':<17}{'slices':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'AUC':>8}",
    ]
    for name, row in metrics["per_class"].items():
        area = "—" if row["auc"] is None else f"{row['auc']:.3f}"
        lines.append(
            f"  {name:<17}{row['support']:>8,}{row['precision']:>11.3f}{row['recall']:>8.3f}{row['f1']:>8.3f}{area:>8}"
        )
    lines += [f"  0/0, counted as 0: {ratio}: {', '.join(names)}" for ratio, names in metrics["undefined"].items()]
    return "\n".join(lines)
