"""`python -m benchmarks.leakage`: what a split by image lets through.

Slices of one patient resemble each other and share their bleed. Split by image, as in the paper, most test slices have
neighbours among the training slices; split by patient, none has. The same network is trained under both splits on the
same data with the same settings, for several seeds, each of which draws new splits, weights and orders. As in the
paper it is shown every slice as it is: augmentation hides what a network could have remembered. What is reported is
each split's test result and the difference within a seed, whichever way it falls.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.phantom.dataset import phantom_data
from ich_jax.plumbing.command import run_command
from ich_jax.plumbing.files import read_json
from ich_jax.training.config import PRESETS, SPLITS, Settings, option_type, preset
from ich_jax.training.run import train

METRICS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "any_sensitivity": "any-ICH sensitivity"}


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leakage", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="prepared folder (default: the phantom in data/phantom/)")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="phantom", help="(default: phantom)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--epochs", type=option_type("epochs"), help="epochs at most (default: the preset's)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    if args.seeds < 2:
        parser.error("--seeds must be at least 2: one difference has no spread")
    prepared = open_prepared(args.data or phantom_data())
    changes = {"augment": False} | ({"epochs": args.epochs} if args.epochs else {})
    print(f"{prepared.title}: {len(prepared.classes):,} slices, {args.seeds} seeds; {describe_machine()}", flush=True)
    found = {split: {name: [] for name in METRICS} for split in SPLITS}
    for seed in range(args.seeds):
        for split in SPLITS:
            own = {"split": split, "seed": seed, "split_seed": seed}
            metrics = _train(prepared, preset(args.preset, **(changes | own)))
            for name in METRICS:
                found[split][name].append(metrics[name])
            print(f"  seed {seed}, by {split:<8} test balanced accuracy {metrics['balanced_accuracy']:.3f}", flush=True)
    rows = []
    for name, label in METRICS.items():
        by_image, by_patient = (np.array(found[split][name]) for split in SPLITS)
        values = (by_image, by_patient, by_image - by_patient)
        rows.append((label, *(f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" for v in values)))
    print_table(("test part, mean ± standard deviation over seeds", "by image", "by patient", "difference"), rows)
    result = {"data": prepared.title, "slices": len(prepared.classes), "preset": args.preset, "test": found}
    if args.json:
        save(args.json, "leakage", result)
    return result


def _train(prepared: Prepared, settings: Settings) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        run = train(settings, prepared, folder, say=lambda _: None)
        return read_json(run.folder / "metrics.json")


if __name__ == "__main__":
    run_command(main, at_once=True)
