"""`python -m benchmarks.series RUN`: what the maximum over the slices of a scan does to specificity.

A network's answer is per slice. Whoever calls a scan positive as soon as one slice's probability of any hemorrhage,
1 − p(none), exceeds a threshold lets the maximum over its slices decide: one false alarm among thirty is enough.
Beside what was measured stands what independent slices would give: specificity by slice to the power of their number.

A scan is all slices of a patient in the prepared folder, which leaves out those with several types of hemorrhage.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.paper.metrics import log_softmax
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.training.batches import split_rows
from ich_jax.training.inference import answer
from ich_jax.training.run import Run, open_run

THRESHOLDS = (0.5, 0.9, 0.99)
NONE = CLASSES.index("none")


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("--data", type=Path, help="prepared folder of new patients (default: the run's test part)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    run = open_run(args.run)
    prepared = open_prepared(args.data or run.found.data)
    rows = _new_patients(run, prepared) if args.data else _test_patients(run, prepared)
    actual, patients = prepared.classes[rows] != NONE, prepared.patient_ids[rows]
    scans = any_by_scan(actual, patients)
    if scans.all() or not scans.any():
        how = "patients with and without one are needed, give others with --data"
        raise InputError(f"{prepared.path}: {scans.sum()} of {len(scans)} patients have a hemorrhage; {how}")
    part = "all slices" if args.data else "the run's test part"
    print(f"{prepared.title}, {part}; network trained on {run.found.title}; {describe_machine()}", flush=True)
    result = {"data": prepared.title, "part": part, "trained_on": run.found.title}
    for name, positive in (("slices", actual), ("scans", scans)):
        result[name] = {"with": int(positive.sum()), "without": int((~positive).sum())}
        print(f"  {result[name]['with']:,} {name} with hemorrhage, {result[name]['without']:,} without")
    result["slices_a_scan_without"] = slices_a_scan_without(actual, patients)
    print(f"  {result['slices_a_scan_without']:.1f} slices in a scan without, on average")
    probability = 1 - np.exp(log_softmax(answer(run.network, run.state, prepared, rows, "series"))[:, NONE])
    found = result["rates"] = {f"{t:g}": rates(actual, probability > t, patients) for t in THRESHOLDS}
    header = [name.replace("_", " ") for name in found["0.5"]]
    print_table(("threshold", *header), [(t, *(f"{rate:.3f}" for rate in row.values())) for t, row in found.items()])
    if args.json:
        save(args.json, "series", result)
    return result


def rates(actual: np.ndarray, called: np.ndarray, patients: np.ndarray) -> dict[str, float]:
    """Sensitivity and specificity by slice and by scan, and the latter if slices were independent.

    Args:
        actual, called: (N,) bool, whether a slice shows a hemorrhage, and whether the network says so.
        patients: (N,) whose slice it is; some must be without hemorrhage, some with.
    """
    scans, scans_called = any_by_scan(actual, patients), any_by_scan(called, patients)
    specificity = 1 - called[~actual].mean()
    found = {
        "sensitivity_by_slice": called[actual].mean(),
        "sensitivity_by_scan": scans_called[scans].mean(),
        "specificity_by_slice": specificity,
        "specificity_by_scan": 1 - scans_called[~scans].mean(),
        "if_independent": specificity ** slices_a_scan_without(actual, patients),
    }
    return {name: float(rate) for name, rate in found.items()}


def any_by_scan(slices: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(N,) bool → (scans,) bool: whether any slice of the scan is; scans in the order of their patients' names."""
    _, scan = np.unique(patients, return_inverse=True)
    return np.bincount(scan, weights=slices) > 0


def slices_a_scan_without(actual: np.ndarray, patients: np.ndarray) -> float:
    """The mean number of slices in a scan without hemorrhage: only there can a false alarm turn the answer."""
    _, counts = np.unique(patients, return_counts=True)
    return float(counts[~any_by_scan(actual, patients)].mean())


def _test_patients(run: Run, prepared: Prepared) -> np.ndarray:
    if run.settings.split != "patient" or run.settings.limit:
        raise InputError(f"{run.folder}: its parts hold no whole patients (--split, --limit); give some with --data")
    if prepared.fingerprint != run.found.fingerprint:
        raise InputError(f"{prepared.path}: not the data set that this run was trained on (slices.csv differs)")
    return split_rows(prepared, run.settings)["test"]


def _new_patients(run: Run, prepared: Prepared) -> np.ndarray:
    if prepared.fingerprint == run.found.fingerprint:
        raise InputError(f"{prepared.path}: this run was trained on it; without --data its test part is taken")
    if prepared.image_size != run.found.image_size:
        raise InputError(f"{prepared.path}: the network needs another size; prepare with --size {run.found.image_size}")
    if "" in prepared.patient_ids:
        raise InputError(f"{prepared.path}: some slices name no patient, so they belong to no scan")
    return np.arange(len(prepared.classes))


if __name__ == "__main__":
    run_command(main)
