"""From a trained network to what a run folder says about it: answers, metrics, tables, figures."""

import csv
import json

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from ich_jax import plots
from ich_jax.data.batches import evaluation_batches
from ich_jax.data.labels import CLASSES
from ich_jax.data.prepared import Prepared
from ich_jax.files import write_whole, write_whole_with
from ich_jax.metrics import confusion_matrix, log_softmax, summarise
from ich_jax.run import Run
from ich_jax.steps import TrainState, eval_step


def answer(
    structure: nnx.GraphDef,
    state: TrainState,
    prepared: Prepared,
    rows: np.ndarray,
    batch_size: int,
    what: str,
) -> np.ndarray:
    """Logits of `rows` in order, (M, 6) float32. `what` is the progress bar's name."""
    logits = []
    with tqdm(total=len(rows), unit="slice", desc=what, leave=False, disable=None) as bar:
        for batch in evaluation_batches(prepared.images, prepared.classes, rows, batch_size):
            logits.append(np.asarray(eval_step(structure, state.params, state.batch_stats, batch.images)))
            bar.update(batch_size)
    return np.concatenate(logits)[: len(rows)]  # the last batch is filled up


def peak_memory_bytes() -> int | None:
    """The device's memory high-water mark in bytes; None where the backend does not tell (the CPU)."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def write_results(run: Run, prepared: Prepared, part: str, rows: np.ndarray, logits: np.ndarray) -> dict:
    """Metrics, confusion matrix, predictions and figures of one part; returns the metrics."""
    folder = run.folder if part == "test" else run.folder / part
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    actual, predicted = prepared.classes[rows], logits.argmax(axis=1)
    confusion = confusion_matrix(actual, predicted)
    metrics = {
        "part": part,
        "data": prepared.title,
        "phantom": prepared.phantom,
        "slices": len(rows),
        "best_epoch": run.stopping.best_epoch,
        "epochs": run.stopping.epoch,
        "finished": run.stopping.should_stop or run.stopping.epoch >= run.config.epochs,
        **summarise(actual, logits),
        "peak_memory_bytes": peak_memory_bytes(),
    }

    def write_confusion(file) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["actual\\predicted", *CLASSES])
        writer.writerows([name, *row] for name, row in zip(CLASSES, confusion.tolist(), strict=True))

    def write_predictions(file) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", "class", "predicted", *CLASSES])
        probabilities = np.exp(log_softmax(logits))
        for row, answer, shares in zip(rows, predicted, probabilities, strict=True):
            shown = [f"{share:.6g}" for share in shares]
            writer.writerow([prepared.image_ids[row], CLASSES[prepared.classes[row]], CLASSES[answer], *shown])

    write_whole(folder / "confusion.csv", write_confusion)
    write_whole(folder / "predictions.csv", write_predictions)
    shown = rows[int(np.argmax(actual > 0))]  # a hemorrhage, if there is one
    name, class_name = prepared.image_ids[shown], CLASSES[prepared.classes[shown]]
    title = f"{run.config.model} on {prepared.title}"
    best = run.stopping.best_epoch
    figures = {
        "loss": plots.loss_curves(run.history, best, title),
        "accuracy": plots.accuracy_curves(run.history, best, title),
        "confusion": plots.confusion_figure(confusion, f"{title}, {part} part, {len(rows):,} slices"),
        "windows": plots.windows_panel(
            prepared.images[shown], f"{prepared.title}: slice {name} ({class_name}) as the network sees it"
        ),
    }
    for name, figure in figures.items():
        save = figure.savefig
        write_whole_with(folder / "figures" / f"{name}.png", lambda path, save=save: save(path, dpi=120, format="png"))
    write_whole(folder / "metrics.json", lambda file: file.write(json.dumps(metrics, indent=2) + "\n"))
    return metrics


def report(metrics: dict) -> str:
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
