"""`python -m ich_jax.phantom --out DIR`: synthetic slices in the layout of RSNA's, for who has none."""

import argparse
import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_jax import plots
from ich_jax.data.dicom import read_stored
from ich_jax.data.labels import CLASSES, TYPES
from ich_jax.data.phantom.patients import DUPLICATED, PREVALENCE, Patient, Truth, plan, write_patient
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import open_source
from ich_jax.errors import InputError, run_command
from ich_jax.files import read_json, require_empty, write_whole, write_whole_with
from ich_jax.pool import map_in_processes
from ich_jax.prepare import prepare
from ich_jax.prepare import report as prepare_report

# What `train` makes when it is given no data: small enough for a laptop, and enough patients to keep some apart.
DEFAULT_FOLDER = Path("data/phantom")
DEFAULT = {"slices": 3400, "seed": 0, "prevalence": "teaching"}
DEFAULT_IMAGE_SIZE = 96
MONTAGE_PATIENTS = 3
SLICE_BYTES = 526_000  # of one file, nearly all of it 512 × 512 × 2 bytes of pixels
FOLDER, LABELS, TRUTH, DONE = "stage_2_train", "stage_2_train.csv", "truth.csv", "phantom.json"


def make_phantom(
    out: Path, slices: int, seed: int, prevalence: str = "teaching", workers: int = 1, clean: bool = False
) -> list[Truth]:
    """Write a Kaggle-shaped folder of synthetic slices; the same bytes for any number of workers.

        out/stage_2_train/ID_*.dcm  out/stage_2_train.csv   as in the Kaggle download
        out/truth.csv       what was put into each slice
        out/montage.png     slices of each class, where there are enough patients with each
        out/phantom.json    settings and counts; written last, so a folder that has it is complete

    Killed at any moment, the same call goes on where it was. Returns the rows of truth.csv.

    Raises InputError if `out` holds anything else, or the disk has no room.
    """
    settings = {"slices": slices, "seed": seed, "prevalence": prevalence, "clean": clean}
    # A folder made by another version of this code is not continued: its slices would not match ours.
    job = json.dumps(settings | {"code": _code_hash()})
    journal = out / "unfinished.csv"
    if (out / DONE).exists():
        if read_json(out / DONE).get("settings") != settings:
            raise InputError(f"{out}: holds a phantom with other settings; choose another --out")
        return read_truth(out)
    done = _begin(out, journal, job, slices)
    patients = plan(slices, seed, prevalence, clean)
    finished, todo = [], []
    for patient in patients:
        (finished if all(one.image_id in done for one in patient.slices) else todo).append(patient)
    rows = [done[one.image_id] for patient in finished for one in patient.slices]
    with tqdm(total=slices, initial=len(rows), unit="slice", desc="phantom", disable=None) as bar:
        work = partial(_write, seed=seed, folder=out / FOLDER)
        results = map_in_processes(work, todo, workers) if workers > 1 and todo else map(work, todo)
        for truths in results:
            with open(journal, "a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(truths)
            rows += truths
            bar.update(len(truths))
    rows.sort()
    write_whole(out / LABELS, lambda file: _write_labels(file, rows))
    write_whole(out / TRUTH, lambda file: _write_table(file, Truth._fields, rows))
    _draw_montage(out, rows)
    counts = Counter("multi-type" if len(row.kinds) > 1 else row.types for row in rows)
    info = {"settings": settings, "patients": len(patients), "counts": dict(sorted(counts.items()))}
    write_whole(out / DONE, lambda file: file.write(json.dumps(info, indent=2) + "\n"))
    journal.unlink()
    return rows


def _write(patient: Patient, seed: int, folder: Path) -> list[Truth]:
    return write_patient(patient, seed, folder)


def _code_hash() -> str:
    modules = sorted((Path(__file__).parent / "data" / "phantom").glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def _begin(out: Path, journal: Path, job: str, slices: int) -> dict[str, Truth]:
    """Claim the folder; what an earlier, unfinished run has written, by image ID."""
    if not journal.exists():
        require_empty(out)
        out.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out).free
        if slices * SLICE_BYTES > free:
            raise InputError(f"{out}: needs {slices * SLICE_BYTES / 1e9:.2f} GB, the disk has {free / 1e9:.2f} GB free")
        write_whole(journal, lambda file: file.write(job + "\n"))
    (out / FOLDER).mkdir(exist_ok=True)
    text = journal.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # a kill can cut the last line
    first, *lines = whole.splitlines() or [""]
    if first != job:
        raise InputError(f"{out}: holds an unfinished phantom with other settings; choose another --out")
    if whole != text:
        os.truncate(journal, len(whole.encode("utf-8")))
    return {row.image_id: row for row in _truths(journal, csv.reader(lines))}


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


def _write_labels(file, rows: list[Truth]) -> None:
    """The label CSV in Kaggle's manner, the first few slices without hemorrhage listed twice as there."""
    healthy = [row for row in rows if not row.kinds]
    _write_table(
        file,
        ("ID", "Label"),
        (
            (f"{row.image_id}_{kind}", int(kind in row.kinds or (kind == "any" and bool(row.kinds))))
            for row in [*rows, *healthy[:DUPLICATED]]
            for kind in (*TYPES, "any")
        ),
    )


def _write_table(file, header: Iterable[str], rows: Iterable[Iterable]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _draw_montage(out: Path, rows: list[Truth]) -> None:
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
    figure = plots.montage(np.array(shown), "PHANTOM: synthetic slices, the same in the three windows")
    write_whole_with(out / "montage.png", lambda path: figure.savefig(path, dpi=120, format="png"))


def phantom_data(folder: Path = DEFAULT_FOLDER) -> Path:
    """The default phantom's prepared folder, made first if it is not there."""
    if not (folder / "prepared" / "prepare.json").exists():
        size = DEFAULT["slices"] * SLICE_BYTES / 1e9
        print(f"no --data given: making a PHANTOM, {DEFAULT['slices']} synthetic slices ({size:.1f} GB), in {folder}")
        workers = os.cpu_count() or 1
        print(report(folder / "kaggle", make_phantom(folder / "kaggle", **DEFAULT, workers=workers)), flush=True)
        source = open_source(folder / "kaggle")
        print(prepare_report(prepare(source, folder / "prepared", DEFAULT_IMAGE_SIZE, workers)), flush=True)
    return folder / "prepared"


def report(out: Path, rows: list[Truth]) -> str:
    """What the terminal says at the end."""
    counts = Counter("multi-type" if len(row.kinds) > 1 else row.types for row in rows)
    kinds = ", ".join(f"{counts[name]} {name}" for name in (*CLASSES, "multi-type") if counts[name])
    patients = len({row.patient_id for row in rows})
    lines = [f"{len(rows)} synthetic slices of {patients} patients in {out}: {kinds}"]
    damaged = [f"{row.image_id} ({row.damage})" for row in rows if row.damage]
    if damaged:
        lines.append(f"damaged on purpose, as in RSNA's data: {', '.join(damaged)}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> list[Truth]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.phantom",
        description="Write synthetic head-CT slices as DICOM, in the layout of the Kaggle download.",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument("--slices", type=int, default=DEFAULT["slices"], help="0.5 MB each (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=DEFAULT["seed"], help="decides every patient and pixel (default: %(default)s)"
    )
    parser.add_argument(
        "--prevalence",
        choices=sorted(PREVALENCE),
        default=DEFAULT["prevalence"],
        help="rsna: 89.5 %% of the slices without hemorrhage; teaching: about half (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--clean", action="store_true", help="leave out the truncated file and the one of noise")
    args = parser.parse_args(argv)
    if args.workers < 1 or args.slices < 1 or args.seed < 0:
        parser.error("--workers and --slices must be at least 1, --seed at least 0")
    rows = make_phantom(args.out, args.slices, args.seed, args.prevalence, args.workers, args.clean)
    print(report(args.out, rows))
    return rows


if __name__ == "__main__":
    run_command(main, "stopped; finished patients are kept, and running the same command again goes on from there")
