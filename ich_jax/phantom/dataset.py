"""A synthetic data set in the layout of RSNA's, and the one that stands in where no data are given."""

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_jax.data import preparing
from ich_jax.data.dicom import read_stored
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import open_source
from ich_jax.paper.printed import CLASSES, TYPES
from ich_jax.phantom.domains import GENERATOR
from ich_jax.phantom.patients import DUPLICATED, Patient, Truth, plan, write_patient
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import (
    claim,
    read_json,
    require_empty,
    require_space,
    write_csv,
    write_json,
    write_whole_with,
)
from ich_jax.plumbing.journal import Journal
from ich_jax.plumbing.parallel import map_in_processes

# What `train` makes when it is given no data: small enough for a laptop, and enough patients to keep some apart.
DEFAULT_FOLDER = Path("data/phantom")
DEFAULT = {"slices": 3400, "seed": 0, "prevalence": "teaching"}
DEFAULT_IMAGE_SIZE = 96
MONTAGE_PATIENTS, VARIETY = 3, 36
SLICE_BYTES = 526_000  # of one file, nearly all of it 512 × 512 × 2 bytes of pixels
FOLDER, LABELS, TRUTH = "stage_2_train", "stage_2_train.csv", "truth.csv"
DONE, JOURNAL = "phantom.json", "unfinished.csv"


def make_phantom(
    out: Path,
    slices: int,
    seed: int,
    prevalence: str = "teaching",
    workers: int = 1,
    clean: bool = False,
    domain: str = "usual",
    without: str = "",
) -> list[Truth]:
    """Write a Kaggle-shaped folder of synthetic slices; the same bytes for any number of workers.

        out/stage_2_train/ID_*.dcm  out/stage_2_train.csv   as in the Kaggle download
        out/truth.csv       what was put into each slice
        out/montage.png     large bleeds of each class, where there are enough patients with each
        out/variety.png     slices as they come, where there are enough
        out/phantom.json    settings and counts; written last, so a folder that has it is complete

    Killed at any moment, the same call goes on where it was. Returns the rows of truth.csv.

    Raises InputError if `out` holds anything else, or the disk has no room.
    """
    settings = {"slices": slices, "seed": seed, "prevalence": prevalence, "clean": clean}
    settings |= {"domain": domain, "without": without, "generator": GENERATOR}
    # A folder made by another version of this code is not continued: its slices would not match ours.
    job = json.dumps(settings | {"code": _code_hash()})
    with claim(out):
        if (out / DONE).exists():
            if settings_of(out) != settings:
                raise InputError(f"{out}: holds a phantom with other settings; choose another --out")
            return read_truth(out)
        if not (out / JOURNAL).exists():
            require_empty(out)
            require_space(out, slices * SLICE_BYTES)
        return _make(out, Journal(out / JOURNAL, job, out), settings, workers)


def _make(out: Path, journal: Journal, settings: dict, workers: int) -> list[Truth]:
    (out / FOLDER).mkdir(exist_ok=True)
    done = {row.image_id: row for row in _truths(journal.path, journal.rows)}
    patients = patients_of(settings)
    finished, todo = [], []
    for patient in patients:
        (finished if all(one.image_id in done for one in patient.slices) else todo).append(patient)
    rows = [done[one.image_id] for patient in finished for one in patient.slices]
    with tqdm(total=settings["slices"], initial=len(rows), unit="slice", desc="phantom", disable=None) as bar:
        work = partial(_write, seed=settings["seed"], folder=out / FOLDER)
        results = map_in_processes(work, todo, workers) if workers > 1 and todo else map(work, todo)
        for truths in results:
            journal.append(truths)
            rows += truths
            bar.update(len(truths))
    rows.sort()
    _write_labels(out / LABELS, rows)
    write_csv(out / TRUTH, Truth._fields, rows)
    _draw_montage(out, rows, settings)
    _draw_variety(out, rows, settings)
    counts = Counter("multi-type" if len(row.kinds) > 1 else row.types for row in rows)
    write_json(out / DONE, {"settings": settings, "patients": len(patients), "counts": dict(sorted(counts.items()))})
    journal.path.unlink()
    return rows


def settings_of(folder: Path) -> dict:
    """Raises InputError if a phantom that is there was made by another version of the generator."""
    settings = read_json(folder / DONE).get("settings")
    version = settings.get("generator", 1) if isinstance(settings, dict) else 1
    if version != GENERATOR:
        how = "delete it, and what was prepared from it, to have it made again"
        raise InputError(f"{folder}: holds a phantom of generator {version}, and this is generator {GENERATOR}; {how}")
    return settings


def patients_of(settings: dict) -> list[Patient]:
    """The patients of a phantom of these settings, planned (seconds for thousands of slices)."""
    return plan(**{name: value for name, value in settings.items() if name != "generator"})


def _write(patient: Patient, seed: int, folder: Path) -> list[Truth]:
    return write_patient(patient, seed, folder)


def _code_hash() -> str:
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def read_truth(folder: Path) -> list[Truth]:
    """The rows of a phantom's truth.csv."""
    with open(folder / TRUTH, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != Truth._fields:
            raise InputError(f"{folder / TRUTH}: expected rows of {','.join(Truth._fields)}")
        return _truths(folder / TRUTH, rows)


def _truths(path: Path, rows: Iterable[list[str]]) -> list[Truth]:
    try:
        return [Truth(*row[:3], float(row[3]), row[4], *(float(area) for area in row[5:10]), *row[10:]) for row in rows]
    except (ValueError, IndexError, TypeError, csv.Error):
        raise InputError(f"{path}: damaged; delete {path.parent} and make it again") from None


def _write_labels(path: Path, rows: list[Truth]) -> None:
    """The label CSV in Kaggle's manner, the first few slices without hemorrhage listed twice as there."""
    healthy = [row for row in rows if not row.kinds]
    labels = (
        (f"{row.image_id}_{kind}", int(kind in row.kinds or (kind == "any" and bool(row.kinds))))
        for row in [*rows, *healthy[:DUPLICATED]]
        for kind in (*TYPES, "any")
    )
    write_csv(path, ("ID", "Label"), labels)


def _draw_montage(out: Path, rows: list[Truth], settings: dict) -> None:
    """montage.png: of each class the largest bleeds of MONTAGE_PATIENTS patients; none if some class has fewer."""
    shown = []
    for name in CLASSES:
        found = [row for row in rows if row.types == name and not row.damage]
        # Without a bleed: the slices nearest to the third ventricle.
        found.sort(key=lambda row: -abs(row.height_mm - 5) if name == "none" else getattr(row, f"{name}_mm2"))
        of_patients = {row.patient_id: row for row in found}  # the last of each counts
        largest = sorted(of_patients.values(), key=found.index)[-MONTAGE_PATIENTS:]
        if len(largest) < MONTAGE_PATIENTS:
            return
        shown.append([slice_to_image(read_stored(out / FOLDER / f"{row.image_id}.dcm"), 192) for row in largest])
    from ich_jax.show import figures  # matplotlib takes a second to import

    figure = figures.montage(np.array(shown), f"{_title(settings)}: synthetic slices, the same in the three windows")
    write_whole_with(out / "montage.png", lambda path: figure.savefig(path, dpi=120, format="png"))


def _draw_variety(out: Path, rows: list[Truth], settings: dict) -> None:
    """variety.png: VARIETY slices drawn at random, in the brain window; none if there are fewer."""
    whole = [row for row in rows if not row.damage]
    if len(whole) < VARIETY:
        return
    from ich_jax.show import figures

    chosen = np.random.default_rng(settings["seed"]).permutation(len(whole))[:VARIETY]
    shown = [whole[k] for k in sorted(chosen)]
    images = [slice_to_image(read_stored(out / FOLDER / f"{row.image_id}.dcm"), 192)[..., 0] for row in shown]
    title = f"{_title(settings)}: {VARIETY} synthetic slices as they come, in the brain window"
    figure = figures.grey_slices(images, [row.types.replace("+", "\n+ ") for row in shown], title)
    write_whole_with(out / "variety.png", lambda path: figure.savefig(path, dpi=80, format="png"))


def _title(settings: dict) -> str:
    return f"PHANTOM (generator {settings['generator']}, {settings['domain']} domain)"


def phantom_data(folder: Path = DEFAULT_FOLDER) -> Path:
    """The default phantom's prepared folder, made first if it is not there.

    Raises InputError if what is there was made by another version of the generator.
    """
    finished = folder / "prepared" / "prepare.json"
    if finished.exists():
        if read_json(finished).get("phantom_generators") != [str(GENERATOR)]:
            how = f"not of a phantom of generator {GENERATOR}; delete {folder} to have one made"
            raise InputError(f"{finished.parent}: {how}")
    else:
        size = DEFAULT["slices"] * SLICE_BYTES / 1e9
        print(f"no --data given: making a PHANTOM, {DEFAULT['slices']} synthetic slices ({size:.1f} GB), in {folder}")
        workers = os.cpu_count() or 1
        print(as_text(folder / "kaggle", make_phantom(folder / "kaggle", **DEFAULT, workers=workers)), flush=True)
        source = open_source(folder / "kaggle")
        prepared = preparing.prepare(source, folder / "prepared", DEFAULT_IMAGE_SIZE, workers)
        print(preparing.as_text(prepared), flush=True)
    return folder / "prepared"


def as_text(out: Path, rows: list[Truth]) -> str:
    """What the terminal says at the end."""
    counts = Counter("multi-type" if len(row.kinds) > 1 else row.types for row in rows)
    kinds = ", ".join(f"{counts[name]} {name}" for name in (*CLASSES, "multi-type") if counts[name])
    patients = len({row.patient_id for row in rows})
    lines = [f"{len(rows)} synthetic slices of {patients} patients in {out}: {kinds}"]
    damaged = [f"{row.image_id} ({row.damage})" for row in rows if row.damage]
    if damaged:
        lines.append(f"damaged on purpose, as in RSNA's data: {', '.join(damaged)}")
    return "\n".join(lines)
