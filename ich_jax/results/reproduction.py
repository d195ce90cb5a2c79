"""The paper's five trainings, and its results beside ours (paper: Bulgular).

out/runs/<training>/        a run folder each, see training/run.py
out/report.md, report.html  the report; the HTML file needs no other
out/figures/                its pictures
out/reproduce.json          settings
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.paper import printed
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim, read_json, require_empty, write_json
from ich_jax.results import beyond_the_paper
from ich_jax.results.audit import audit
from ich_jax.results.side_by_side import side_by_side
from ich_jax.show.document import Heading, Part, Text, write_report
from ich_jax.training import config
from ich_jax.training.batches import split_rows
from ich_jax.training.config import Settings, read_config, unlike_the_paper
from ich_jax.training.devices import Devices
from ich_jax.training.outcome import Outcome, is_finished, read_outcome
from ich_jax.training.run import train

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
    Training("proposed-32", "proposed", printed.BATCH_SIZE, "image"),  # Figs. 5 and 6, Table 2
    *(
        Training(f"{name}-8", name, printed.BATCH_SIZE_OF_COMPARISON, "image") for name in printed.NETWORKS
    ),  # Tables 3–9
    Training("proposed-32-patient", "proposed", printed.BATCH_SIZE, "patient"),  # not in the paper
)


def reproduce(
    data: Prepared | str | Path,
    out: str | Path,
    models: Sequence[str] = printed.NETWORKS,
    *,
    preset: str | None = None,
    epochs: int | None = None,
    limit: int = 0,
    seed: int = 0,
    split_seed: int = 0,
    devices: Devices | None = None,
) -> dict[str, Outcome]:
    """Run the trainings of `models` that are not finished, then write the report.

    Killed at any moment, the same call goes on, at the last finished epoch of the training it was at.

    Args:
        data: a prepared folder, open or its path.
        out: where everything goes.
        models: some of printed.NETWORKS.
        preset: of config.PRESETS; by default the paper's on real slices, the phantom's on synthetic ones.
        epochs: at most; the preset's if None.
        limit, seed, split_seed: of every training, see config.Settings.
        devices: to train on (default: all GPUs, or one CPU).

    Returns:
        Training name → its outcome.

    Raises InputError if `out` holds a reproduction with other settings or on other data.
    """
    prepared, out = data if isinstance(data, Prepared) else open_prepared(data), Path(out)
    start = preset or ("phantom" if prepared.phantom else "paper")
    shared = {"limit": limit, "seed": seed, "split_seed": split_seed}
    shared |= {"epochs": epochs} if epochs else {}
    shared |= {"norm_momentum": PHANTOM_NORM_MOMENTUM} if prepared.phantom else {}
    chosen = {}
    for name, model, batch_size, split in TRAININGS:
        own = {"model": model, "batch_size": batch_size, "split": split}
        settings = config.preset(start, **(shared | own))
        if model in models and _can_split(name, settings, prepared):
            chosen[name] = settings
    with claim(out):
        _require_same(out, {"preset": start, **shared, "fingerprint": prepared.fingerprint})
        for number, (name, settings) in enumerate(chosen.items(), start=1):
            folder = out / "runs" / name
            print(f"\n[{number}/{len(chosen)}] {name}", flush=True)
            if is_finished(folder):
                print("finished before")
            else:
                train(settings, prepared, folder, resume=True, devices=devices)
        # Networks that an earlier call trained stay in the report.
        folders = {training.name: out / "runs" / training.name for training in TRAININGS}
        results = {name: read_outcome(folder, prepared) for name, folder in folders.items() if is_finished(folder)}
        _report(out, prepared, results, limit)
    return results


def _can_split(name: str, settings: Settings, prepared: Prepared) -> bool:
    """Whether there are slices for every part. Too few patients to keep apart leave one training out, said on stderr.

    Raises InputError if a split by image is not possible.
    """
    try:
        split_rows(prepared, settings)
    except InputError as error:
        if settings.split == "image":
            raise
        print(f"note: {name} is left out: {error}", file=sys.stderr)
        return False
    return True


def _require_same(out: Path, job: dict) -> None:
    path = out / "reproduce.json"
    if not path.exists():
        require_empty(out)
        write_json(path, job)
    elif read_json(path) != job:
        raise InputError(f"{out}: holds a reproduction with other settings or data; choose another --out")


def _report(out: Path, prepared: Prepared, results: dict[str, Outcome], limit: int) -> None:
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
    batch_8 = {name: results[f"{name}-8"] for name in printed.NETWORKS if f"{name}-8" in results}
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
    parts += [Text(f"{where}: {what}; {why}.") for where, what, why in audit().findings]
    write_report(out, first, f"The paper's results, reproduced{' on a PHANTOM' if prepared.phantom else ''}", parts)


def _settings(results: dict[str, Outcome]) -> list[Part]:
    settings, found = read_config(next(iter(results.values())).folder)
    ours = [said for said in unlike_the_paper(settings, found) if not said.startswith(("batch size", "split"))]
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
