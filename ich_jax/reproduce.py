"""`python -m ich_jax.reproduce --out DIR`: the paper's five trainings, and its results beside ours (paper: Bulgular).

out/runs/<training>/        a run folder each, see run.py
out/report.md, report.html  the report; the HTML file needs no other
out/figures/                its pictures
out/reproduce.json          settings
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

from ich_jax import audit, beyond_the_paper, paper, train
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.errors import InputError, run_command
from ich_jax.files import read_json, require_empty, write_whole
from ich_jax.finished import Finished, is_finished, read_finished
from ich_jax.phantom import phantom_data
from ich_jax.presets import PRESETS, unlike_the_paper
from ich_jax.report import Heading, Part, Text, write_report
from ich_jax.run import Config, split_rows
from ich_jax.side_by_side import side_by_side

# A running variance starts at 1 and forgets that by a factor of 0.99 a step, so within the 150 steps of a small phantom
# run at batch 32 evaluation never gets off the ground. On RSNA, 11,000 steps an epoch, Keras's 0.99 stays.
PHANTOM_NORM_MOMENTUM = 0.9


class Training(NamedTuple):
    """One training of the paper, or of ours where `split` is "patient"."""

    name: str
    model: str
    batch_size: int
    split: str


TRAININGS = (
    Training("proposed-32", "proposed", paper.BATCH_SIZE, "image"),  # Figs. 5 and 6, Table 2
    *(Training(f"{name}-8", name, paper.BATCH_SIZE_OF_COMPARISON, "image") for name in paper.NETWORKS),  # Tables 3–9
    Training("proposed-32-patient", "proposed", paper.BATCH_SIZE, "patient"),  # not in the paper
)


def reproduce(
    data: Path,
    out: Path,
    models: tuple[str, ...] = paper.NETWORKS,
    *,
    preset: str | None = None,
    epochs: int | None = None,
    limit: int = 0,
    seed: int = 0,
) -> dict[str, Finished]:
    """Run the trainings of `models` that are not finished, then write the report.

    Killed at any moment, the same call goes on, at the last finished epoch of the training it was at.

    Args:
        data: prepared folder.
        out: where everything goes.
        models: some of paper.NETWORKS.
        preset: of presets.PRESETS; by default the paper's on real slices, the phantom's on synthetic ones.
        epochs: at most; the preset's if None.
        limit: how many slices to use; 0 is all.
        seed: of every training.

    Returns:
        Training name → its result.

    Raises InputError if `out` holds a reproduction with other settings or on other data.
    """
    prepared = open_prepared(data)
    preset = preset or ("phantom" if prepared.phantom else "paper")
    settings = {"preset": preset, "epochs": epochs, "limit": limit, "seed": seed}
    chosen = [
        training for training in TRAININGS if training.model in models and _can_split(training, prepared, settings)
    ]
    _claim(out, prepared, settings)
    for number, training in enumerate(chosen, start=1):
        folder = out / "runs" / training.name
        print(f"\n[{number}/{len(chosen)}] {training.name}", flush=True)
        if is_finished(folder):
            print("finished before")
        else:
            _train(training, prepared, folder, settings)
    # Networks that an earlier call trained stay in the report.
    folders = {training.name: out / "runs" / training.name for training in TRAININGS}
    results = {name: read_finished(folder, prepared) for name, folder in folders.items() if is_finished(folder)}
    _report(out, prepared, results, limit)
    return results


def _can_split(training: Training, prepared: Prepared, settings: dict) -> bool:
    """Whether there are slices for every part. Too few patients to keep apart leave one training out, said on stderr.

    Raises InputError if a split by image is not possible.
    """
    config = Config("", split=training.split, seed=settings["seed"], limit=settings["limit"])
    try:
        split_rows(config, prepared)
    except InputError as error:
        if training.split == "image":
            raise
        print(f"note: {training.name} is left out: {error}", file=sys.stderr)
        return False
    return True


def _claim(out: Path, prepared: Prepared, settings: dict) -> None:
    job = settings | {"data_fingerprint": prepared.fingerprint}
    path = out / "reproduce.json"
    if path.exists():
        if read_json(path) != job:
            raise InputError(f"{out}: holds a reproduction with other settings or data; choose another --out")
        return
    require_empty(out)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write(json.dumps(job, indent=2) + "\n"))


def _train(training: Training, prepared: Prepared, folder: Path, settings: dict) -> None:
    command = ["--data", str(prepared.path), "--preset", settings["preset"], "--model", training.model]
    command += ["--batch-size", str(training.batch_size), "--split", training.split, "--seed", str(settings["seed"])]
    command += ["--epochs", str(settings["epochs"])] if settings["epochs"] else []
    command += ["--limit", str(settings["limit"])] if settings["limit"] else []
    command += ["--norm-momentum", str(PHANTOM_NORM_MOMENTUM)] if prepared.phantom else []
    train.main([*command, "--out", str(folder), "--resume"])


def _report(out: Path, prepared: Prepared, results: dict[str, Finished], limit: int) -> None:
    """Which data it ran on comes first, and again in the title of every table and picture."""
    (out / "figures").mkdir(exist_ok=True)
    data = prepared.title if prepared.phantom else f"Data: {prepared.title}"
    slices = len(prepared.classes)
    first = (
        f"Ran on {prepared.title}: {f'{min(limit, slices):,} of ' if limit else ''}{slices:,} slices of"
        f" {len(set(prepared.patient_ids.tolist())):,} patients, {prepared.image_size}×{prepared.image_size} pixels."
        f"{' No real patient, not RSNA data.' if prepared.phantom else ''}"
    )
    batch_32, by_patient = results.get("proposed-32"), results.get("proposed-32-patient")
    batch_8 = {name: results[f"{name}-8"] for name in paper.NETWORKS if f"{name}-8" in results}
    parts = [
        *_settings(results),
        Heading("The paper's tables and figures"),
        *side_by_side(prepared, batch_32, batch_8, data),
        Heading("What the paper does not have"),
        beyond_the_paper.intervals(results, data),
    ]
    if "proposed" in batch_8 and len(batch_8) > 1:
        parts.append(beyond_the_paper.paired(batch_8, data))
    parts += beyond_the_paper.calibration(out / "figures" / "reliability.png", results, data)
    if batch_32 and by_patient:
        parts += beyond_the_paper.splits(batch_32, by_patient, prepared, data)
    parts.append(Heading("Where the paper's own figures disagree"))
    parts += [Text(f"{where}: {what}; {why}.") for where, what, why in audit.audit().findings]
    write_report(out, first, f"The paper's results, reproduced{' on a PHANTOM' if prepared.phantom else ''}", parts)


def _settings(results: dict[str, Finished]) -> list[Part]:
    config = next(iter(results.values())).config
    ours = [said for said in unlike_the_paper(config) if not said.startswith(("batch size", "split"))]
    return [
        Text("For learning and research, never for diagnosis."),
        Text(f"Not as in the paper, its value in brackets: {', '.join(ours) or 'nothing'}."),
        Text(
            "'Printed' is what the paper's tables say, 'audited' what its own confusion matrices give"
            " (`python -m ich_jax.audit`), 'ours' what was measured here. The difference is ours minus audited, or"
            " minus printed where nothing can be audited. Accuracy and loss on the training part are those of the best"
            " epoch, as the network learned."
        ),
    ]


def main(argv: list[str] | None = None) -> dict[str, Finished]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.reproduce",
        description="Train the paper's networks and report beside its tables. Stopped, it goes on when run again.",
    )
    parser.add_argument("--data", type=Path, help="prepared folder (default: the phantom in data/phantom/)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and the report")
    parser.add_argument("--models", nargs="+", choices=paper.NETWORKS, default=paper.NETWORKS, help="(default: all)")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="(default: the paper's; on a phantom its own)")
    parser.add_argument("--epochs", type=int, help="at most (default: the preset's)")
    parser.add_argument(
        "--limit", type=train.seed_or_count, default=0, help="use only so many slices, drawn at random (default: all)"
    )
    parser.add_argument("--seed", type=train.seed_or_count, default=0, help="of every training (default: 0)")
    args = parser.parse_args(argv)
    if args.epochs is not None and args.epochs < 1:
        parser.error("--epochs must be at least 1")
    results = reproduce(
        args.data or phantom_data(),
        args.out,
        tuple(args.models),
        preset=args.preset,
        epochs=args.epochs,
        limit=args.limit,
        seed=args.seed,
    )
    print(f"\nreport: {args.out / 'report.html'} and report.md")
    return results


if __name__ == "__main__":
    run_command(main, "stopped; finished trainings and epochs are kept: the same command goes on from there")
