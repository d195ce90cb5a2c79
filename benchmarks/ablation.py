"""`python -m benchmarks.ablation --out DIR [SOURCE …]`: what each part of the phantom and of its training is worth.

Each arm leaves something out: a part of the phantom's variety, the augmentation, or a setting of the phantom preset.
For each arm a phantom is made and networks with several seeds are trained. Then all of them answer slices they cannot
know: a phantom of the domain `shifted`, and each labelled SOURCE, as it is and as if only its brain window had been
kept.

A part that is left out leaves other draws to the rest, so the same seed gives other patients: arms differ by chance as
well, as seeds do. Phantoms and networks that are finished in DIR are not made again; stopped, the same command goes on.
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np

from benchmarks.answers import ask
from benchmarks.machine import describe_machine, print_table, save
from benchmarks.transfer import measure
from ich_jax.data.preparing import prepare
from ich_jax.data.source import open_source
from ich_jax.phantom.dataset import DEFAULT, DEFAULT_IMAGE_SIZE, make_phantom
from ich_jax.phantom.domains import GENERATOR
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import read_json, write_json
from ich_jax.training.config import preset
from ich_jax.training.run import Run, open_run, train

# Arm → what is left out of the phantom, and the settings that differ from the phantom preset's.
ARMS = {
    "as shipped": ("", {}),
    "without pose": ("pose", {}),
    "without clutter": ("clutter", {}),
    "without subtle bleeds": ("subtle", {}),
    "without augmentation": ("", {"augment": False}),
    "slow statistics (0.99)": ("", {"norm_momentum": 0.99}),
    "half the rate": ("", {"learning_rate": 1.5e-4}),
    "rate without decay": ("", {"decay": "none"}),
}
SHIFTED = {"slices": 1200, "seed": 11, "prevalence": "teaching", "domain": "shifted"}


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="*", metavar="SOURCE", help="labelled folders or zips to ask about")
    parser.add_argument("--out", type=Path, required=True, help="folder for phantoms and runs")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="ARM", help="(default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--slices", type=int, default=DEFAULT["slices"], help="to learn from (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    if min(args.seeds, args.slices, args.workers) < 1:
        parser.error("--seeds, --slices and --workers must be at least 1")
    if len({path.name for path in args.sources}) < len(args.sources):
        raise InputError("two sources have one name; rename a folder, so that the table can tell them apart")
    print(f"trained on PHANTOM slices; {describe_machine()}; never for diagnosis", flush=True)
    _require_same(args.out, {"generator": GENERATOR, "slices": args.slices})
    shifted = args.out / "shifted"
    print(f"shifted PHANTOM to be asked about: {shifted}", flush=True)
    make_phantom(shifted, **SHIFTED, workers=args.workers)
    asked = {"shifted PHANTOM": shifted} | {str(path.name): path for path in args.sources}
    result = {"slices": args.slices, "seeds": args.seeds, "arms": {}}
    for arm in args.arms:
        runs = [_train(args.out, arm, seed, args.slices, args.workers) for seed in range(args.seeds)]
        found = result["arms"][arm] = _describe(runs)
        for name, path in asked.items():
            for brain_only in (False, True):
                answers = ask(runs, open_source(path), brain_only, args.workers)
                found[f"AUC of any, {name}{', brain window only' if brain_only else ''}"] = measure(answers)["auc"][
                    "any"
                ]["values"]
        print_table((arm, ""), [(f"  {what}", _cell(values)) for what, values in found.items()])
    if args.json:
        save(args.json, "ablation", result)
    return result


def _require_same(out: Path, settings: dict) -> None:
    """What is kept in `out` was made with these settings. Raises InputError if it was not."""
    path = out / "ablation.json"
    if not path.exists():
        write_json(path, settings)
    elif read_json(path) != settings:
        raise InputError(f"{out}: holds an ablation with other settings ({path.name}); choose another --out")


def _train(out: Path, arm: str, seed: int, slices: int, workers: int) -> Run:
    without, changes = ARMS[arm]
    folder = out / f"{arm.replace(' ', '-')}-{seed}"
    if (folder / "metrics.json").exists():
        return open_run(folder)
    data = out / f"phantom{'-without-' + without if without else ''}"
    print(f"{arm}, seed {seed}: {folder}", flush=True)
    if not (data / "prepared" / "prepare.json").exists():
        make_phantom(data / "kaggle", slices, DEFAULT["seed"], DEFAULT["prevalence"], workers, without=without)
        prepare(open_source(data / "kaggle"), data / "prepared", DEFAULT_IMAGE_SIZE, workers)
        shutil.rmtree(data / "kaggle")  # 1.8 GB
    return train(preset("phantom", seed=seed, **changes), data / "prepared", folder, resume=True, say=lambda _: None)


def _describe(runs: list[Run]) -> dict[str, list[float]]:
    """Of each run: how well it does on its own phantom's test part, and how restless its training was."""
    balanced, rises = [], []
    for run in runs:
        balanced.append(read_json(run.folder / "metrics.json")["balanced_accuracy"])
        losses = [row["validation_loss"] for row in run.history[len(run.history) // 2 :]]
        rises.append(float(max([0.0, *np.diff(losses)])))
    return {"balanced accuracy, own test part": balanced, "largest rise of the loss, second half": rises}


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    run_command(main, "stopped; what is finished is kept, and the same command goes on", at_once=True)
