"""What the paper's results lack: intervals, paired comparisons, calibration, and a split that keeps patients apart."""

from pathlib import Path

import numpy as np

from ich_jax.data.prepared import Prepared
from ich_jax.paper import metrics
from ich_jax.paper.printed import NETWORK_NAMES
from ich_jax.results.bootstrap import draws, interval, metric_of_draws, patient_confusions
from ich_jax.show import figures
from ich_jax.show.document import Part, Picture, Table, Text
from ich_jax.training.batches import split_rows
from ich_jax.training.outcome import Outcome, save_figure

WITH_INTERVALS = {
    "accuracy": metrics.accuracy,
    "balanced accuracy": metrics.balanced_accuracy,
    # A draw of few patients may hold no hemorrhage at all.
    "any-hemorrhage sensitivity": lambda c: metrics.any_sensitivity(c) if c[1:].any() else np.nan,
    "any-hemorrhage specificity": lambda c: metrics.any_specificity(c) if c[0].any() else np.nan,
}


def intervals(results: dict[str, Outcome], data: str) -> Table:
    rows = []
    for name, result in results.items():
        confusions = patient_confusions(result.actual, result.predicted, result.patients)
        drawn = draws(len(confusions), seed=0)
        cells = []
        for metric in WITH_INTERVALS.values():
            low, high = interval(metric_of_draws(metric, confusions, drawn))
            cells.append(f"{metric(result.confusion):.3f} ({low:.3f}…{high:.3f})")
        rows.append((name, *cells))
    title = f"95 % intervals, by {len(drawn):,} bootstrap draws of whole test patients"
    return Table(f"{title}. {data}", ("training", *WITH_INTERVALS), rows)


def paired(results: dict[str, Outcome], data: str) -> Table:
    proposed = results["proposed"]
    confusions = {name: patient_confusions(r.actual, r.predicted, r.patients) for name, r in results.items()}
    drawn = draws(len(confusions["proposed"]), seed=0)  # the same draws for both
    rows = []
    for name, result in results.items():
        if name == "proposed":
            continue
        cells = []
        for metric in WITH_INTERVALS.values():
            pair = [metric_of_draws(metric, confusions[which], drawn) for which in (name, "proposed")]
            low, high = interval(pair[0] - pair[1])
            cells.append(f"{metric(result.confusion) - metric(proposed.confusion):+.3f} ({low:+.3f}…{high:+.3f})")
        right, theirs = result.predicted == result.actual, proposed.predicted == proposed.actual
        rows.append((NETWORK_NAMES[name], *cells, f"{np.sum(right & ~theirs):,} / {np.sum(theirs & ~right):,}"))
    header = ("network", *WITH_INTERVALS, "right alone / proposed alone")
    return Table(f"Each baseline minus the proposed network, same slices, 95 % intervals. {data}", header, rows)


def calibration(path: Path, results: dict[str, Outcome], data: str) -> list[Part]:
    found = {name: metrics.calibration(result.actual, result.probabilities) for name, result in results.items()}
    figure = figures.reliability_diagram(found, f"Test part. {data}")
    save_figure(path, figure)
    rows = [
        (
            name,
            f"{metrics.expected_calibration_error(bins):.3f}",
            f"{results[name].probabilities.max(axis=1).mean():.3f}",
            f"{results[name].metrics['accuracy']:.3f}",
        )
        for name, bins in found.items()
    ]
    header = ("training", "expected calibration error", "mean confidence", "accuracy")
    return [
        Table(f"Calibration: are answers as sure as they are right? {data}", header, rows),
        Picture(f"Reliability diagram: below the line, a network is surer than it is right. {data}", path),
    ]


def splits(by_image: Outcome, by_patient: Outcome, prepared: Prepared, data: str) -> list[Part]:
    rows = []
    for split, result in (("by image (the paper's)", by_image), ("by patient", by_patient)):
        trained = set(prepared.patient_ids[split_rows(prepared, result.settings)["train"]].tolist())
        shared = np.mean([patient in trained for patient in result.patients.tolist()])
        confusions = patient_confusions(result.actual, result.predicted, result.patients)
        drawn = draws(len(confusions), seed=0)
        cells = []
        for metric in (metrics.accuracy, metrics.balanced_accuracy):
            low, high = interval(metric_of_draws(metric, confusions, drawn))
            cells.append(f"{metric(result.confusion):.3f} ({low:.3f}…{high:.3f})")
        rows.append((split, f"{shared:.1%}", *cells))
    header = ("split", "test slices of patients in training", "accuracy", "balanced accuracy")
    return [
        Table(f"The proposed network under two splits, with 95 % intervals. {data}", header, rows),
        Text(
            "Slices of one patient resemble each other. A split by image tests on patients the network has seen,"
            " which no hospital can offer it; the split by patient is the fair test. One training each:"
            " `benchmarks/leakage.py` repeats this over seeds."
        ),
    ]
