"""The paper's tables and figures beside ours (paper: Bulgular, Figs. 5–6, Tables 1–9)."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ich_jax.data.prepared import Prepared
from ich_jax.models import MODELS
from ich_jax.models.ledger import ledger
from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES, NETWORK_NAMES
from ich_jax.paper.splits import PARTS
from ich_jax.show.document import Part, Picture, Table
from ich_jax.training.batches import split_rows
from ich_jax.training.outcome import Outcome

NONE = "—"


def side_by_side(prepared: Prepared, batch_32: Outcome | None, batch_8: dict[str, Outcome], data: str) -> list[Part]:
    """The paper's results section: printed figure, audited figure, ours.

    Args:
        prepared: what was trained on.
        batch_32: the proposed network's training at batch 32, if it was run.
        batch_8: network → its training at batch 8, those that were run.
        data: the data's name, for every title.
    """
    parts = [_table_1(prepared, next(iter([*filter(None, [batch_32]), *batch_8.values()])), data)]
    if batch_32:
        parts += [*_figures_5_and_6(batch_32, data), _table_2(batch_32, data)]
    if batch_8:
        parts += [_table_3(batch_8, data), _table_4(batch_8, data), _table_5(batch_8, data)]
    for name, result in batch_8.items():
        parts += _confusions(name, result, data)
    return parts


def _table_1(prepared: Prepared, result: Outcome, data: str) -> Table:
    split = split_rows(prepared, result.settings)
    ours = {part: Counter(prepared.classes[rows].tolist()) for part, rows in split.items()}
    table, rows = printed.table_1(), []
    for k, name in enumerate(CLASSES):
        cells = [f"{table[name][part]:,} / {ours[part][k]:,}" for part in PARTS]
        rows.append((name, *cells, f"{table[name]['total']:,} / {sum(ours[part][k] for part in PARTS):,}"))
    return Table(f"Table 1. Images, printed / ours. {data}", ("class", *PARTS, "total"), rows)


def _figures_5_and_6(result: Outcome, data: str) -> list[Part]:
    figures = result.folder / "figures"
    return [
        Picture(
            f"Fig. 5. Loss of the proposed network, batch {result.settings.batch_size}. {data}", figures / "loss.png"
        ),
        Picture(f"Fig. 6. Accuracy, the same training. {data}", figures / "accuracy.png"),
    ]


def _table_2(result: Outcome, data: str) -> Table:
    ours = {
        "train_accuracy": result.best["train_accuracy"],
        "validation_accuracy": result.best["validation_accuracy"],
        "test_accuracy": result.metrics["accuracy"],
        "train_loss": result.best["train_loss"],
        "validation_loss": result.best["validation_loss"],
        "test_loss": result.metrics["loss"],
    }
    table = printed.table_2()
    rows = [(name.replace("_", " "), *_compare(table[name], None, value)) for name, value in ours.items()]
    title = (
        f"Table 2. The proposed network, batch {result.settings.batch_size}, best epoch {result.metrics['best_epoch']}"
    )
    return Table(
        f"{title} (paper: 6). {data}", ("figure", "printed", "ours", "difference"), [_without(r, 2) for r in rows]
    )


def _table_3(results: dict[str, Outcome], data: str) -> Table:
    rows = []
    for name, result in results.items():
        table = printed.table_3()[name]
        ours = {
            "train": result.best["train_accuracy"],
            "validation": result.best["validation_accuracy"],
            "test": result.metrics["accuracy"],
        }
        for part, value in ours.items():
            audited = metrics.accuracy(printed.confusion(name)) if part == "test" else None
            label = f"{NETWORK_NAMES[name]}, {part} accuracy"
            rows.append((label, *_compare(table[f"{part}_accuracy"], audited, value)))
        lines = ledger(MODELS[name])
        counts = f"{sum(line.trainable for line in lines):,} / {sum(line.total for line in lines):,}"
        label = f"{NETWORK_NAMES[name]}, parameters at 224×224 (trainable / total)"
        rows.append((label, f"{table['parameters_millions']:.3f} M", NONE, counts, NONE))
    return Table(f"Table 3. Accuracy, batch 8. {data}", ("figure", "printed", "audited", "ours", "difference"), rows)


def _table_4(results: dict[str, Outcome], data: str) -> Table:
    minutes = printed.table_4()
    rows = []
    for name, result in results.items():
        cells = [f"{minutes[name]:.0f}", f"{minutes[name] / minutes['proposed']:.2f}", f"{result.minutes:.1f}"]
        cells.append(f"{len(result.history)}")
        if "proposed" in results:
            per_epoch = [np.median([row["seconds"] for row in r.history]) for r in (result, results["proposed"])]
            ratios = [(result.minutes, results["proposed"].minutes), per_epoch]
            cells += [f"{ours / proposed:.2f}" if proposed else NONE for ours, proposed in ratios]
        else:
            cells += [NONE, NONE]
        rows.append((NETWORK_NAMES[name], *cells))
    header = ("network", "printed, min", "ratio to proposed", "ours, min", "epochs", "our ratio", "our ratio per epoch")
    return Table(f"Table 4. Time of training, batch 8. {data}", header, rows)


def _table_5(results: dict[str, Outcome], data: str) -> Table:
    rows = []
    for name, result in results.items():
        table, audited = printed.table_5()[name], metrics.from_confusion(printed.confusion(name))
        for metric in ("precision", "recall", "f1"):
            key = f"{metric}_weighted"
            label = f"{NETWORK_NAMES[name]}, weighted {metric.replace('f1', 'F1')}"
            rows.append((label, *_compare(table[metric], audited[key], result.metrics[key])))
    return Table(
        f"Table 5. Weighted metrics, batch 8. {data}", ("figure", "printed", "audited", "ours", "difference"), rows
    )


def _confusions(name: str, result: Outcome, data: str) -> list[Part]:
    number, theirs, ours = printed.CONFUSION_TABLES[name], printed.confusion(name), result.confusion
    recalls = zip(metrics.recall(theirs), metrics.recall(ours), strict=True)
    rows = [
        (
            actual,
            *(f"{a:,} / {b:,}" for a, b in zip(theirs[k], ours[k], strict=True)),
            f"{a:.3f} / {f'{b:.3f}' if ours[k].any() else NONE}",
        )
        for k, (actual, (a, b)) in enumerate(zip(CLASSES, recalls, strict=True))
    ]
    title = f"Table {number}. Confusion matrix of {NETWORK_NAMES[name]}, printed / ours"
    picture = Picture(f"Our part of Table {number}. {data}", result.folder / "figures" / "confusion.png")
    return [Table(f"{title}. {data}", ("actual \\ predicted", *CLASSES, "recall"), rows), picture]


def _compare(printed: float, audited: float | None, ours: float) -> tuple[str, str, str, str]:
    reference = printed if audited is None else audited
    return (
        f"{printed:.4f}",
        NONE if audited is None else f"{audited:.4f}",
        f"{ours:.4f}",
        f"{ours - reference:+.4f}",
    )


def _without(row: Sequence[str], place: int) -> tuple[str, ...]:
    return (*row[:place], *row[place + 1 :])
