"""The pipeline from DICOM slices to a prepared folder (paper: Veri Ön İşleme)."""

import csv
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import pydicom
from tqdm import tqdm

import ich_jax
from ich_jax.data.dicom import NotAxialCT, SliceError, require_picture
from ich_jax.data.find import Member, read_member
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import Source
from ich_jax.data.unfinished import Candidate, Unfinished
from ich_jax.paper.printed import CLASSES, IMAGE_SIZE
from ich_jax.paper.windowing import WINDOWS
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim
from ich_jax.plumbing.journal import OTHER_WORK
from ich_jax.plumbing.parallel import map_in_processes

CHUNK = 16  # slices a worker takes at a time
JOURNAL_FORMAT = 2  # of what a Candidate has
JOURNAL_SECONDS = 5  # a kill loses at most the work of this long

Task = tuple[int, Member]  # a candidate's row and where its file is


class Worker:
    """Prepares slices and writes them straight into the memory-mapped images.npy."""

    def __init__(self, images: Path, repair: bool):
        self.images = np.lib.format.open_memmap(images, mode="r+")
        self.repair = repair

    def __call__(self, tasks: list[Task]) -> list[Candidate]:
        return [self._prepare(row, member) for row, member in tasks]

    def _prepare(self, row: int, member: Member) -> Candidate:
        try:
            raw = read_member(member)
            require_picture(raw, str(member))
        except NotAxialCT as error:
            return Candidate(row, "", "", "", False, f"no axial CT slice: {error.reason}")
        except SliceError as error:
            return Candidate(row, "", "", "", False, f"unreadable: {error.reason}")
        image = slice_to_image(raw, self.images.shape[1], self.repair)
        self.images[row] = image
        digest = hashlib.sha256(np.ascontiguousarray(image)).hexdigest()
        rows, columns = raw.stored.shape
        return Candidate(row, raw.patient_id, raw.study_id, digest, rows != columns, "", raw.generator)


def _start_worker(images: Path, repair: bool) -> None:
    global _worker
    _worker = Worker(images, repair)


def _run_worker(tasks: list[Task]) -> list[Candidate]:
    return _worker(tasks)


def _finished(work: Unfinished, tasks: list[Task], repair: bool, workers: int) -> Iterator[list[Candidate]]:
    chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    if workers == 1:
        yield from map(Worker(work.images_path, repair), chunks)
        return
    yield from map_in_processes(_run_worker, chunks, workers, _start_worker, (work.images_path, repair))


def _work_off(work: Unfinished, tasks: list[Task], repair: bool, workers: int) -> None:
    fresh, last = [], time.monotonic()
    with tqdm(total=work.candidates, initial=len(work.done), unit="slice", desc="prepare", disable=None) as bar:
        try:
            for candidates in _finished(work, tasks, repair, workers):
                fresh += candidates
                bar.update(len(candidates))
                if time.monotonic() - last > JOURNAL_SECONDS:
                    work.record(fresh)
                    fresh, last = [], time.monotonic()
        finally:
            work.record(fresh)


class Plan(NamedTuple):
    """What preparing a source at a size comes to, before a slice is read. `job` tells it from any other."""

    candidates: dict[str, str]  # image ID → class
    rejected: dict[str, str]  # image ID → reason, of every other slice of the labels and of the source
    info: dict  # of prepare.json, but for the counts

    @property
    def job(self) -> str:
        return json.dumps(self.info | {"journal": JOURNAL_FORMAT})


def plan(source: Source, size: int, repair: bool = True) -> Plan:
    """Sort every slice of the labels and of the source, for images of `size` × `size` pixels. No slice is read."""
    candidates, rejected = _sort(source)
    listing = "\n".join(f"{image_id},{what}" for image_id, what in (candidates | rejected).items())
    info = {
        "image_size": size,
        "windows_level_width_hu": WINDOWS,
        "resize": "bilinear with anti-aliasing, after windowing at full size",
        "wraparound_repaired": repair,
        "duplicate_labels": len(source.labels.duplicates),
        "listing_sha256": hashlib.sha256(listing.encode()).hexdigest(),
        "versions": {
            "ich_jax": ich_jax.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "pydicom": pydicom.__version__,
        },
    }
    return Plan(candidates, rejected, info)


def _sort(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    labels = source.labels
    candidates, rejected = {}, {}
    for image_id in sorted(labels.image_class.keys() | labels.multi_type.keys() | source.members.keys()):
        if image_id in labels.multi_type:
            rejected[image_id] = f"multi-type: {'+'.join(labels.multi_type[image_id])}"
        elif image_id not in labels.image_class:
            rejected[image_id] = "unlabelled: not in the label file"
        elif image_id in source.ambiguous:
            rejected[image_id] = "ambiguous: several files have this name; labels have to give the path"
        elif image_id not in source.members:
            rejected[image_id] = "missing: in the label file, but there is no such DICOM file"
        else:
            candidates[image_id] = labels.image_class[image_id]
    return candidates, rejected


def prepare(source: Source, out: Path, size: int = IMAGE_SIZE, workers: int = 1, repair: bool = True) -> Prepared:
    """Prepare every slice of a source; the result is the same, byte for byte, for any number of workers.

    `repair`: undo the 12-bit wrap-around where it is seen.

    Raises InputError if `out` holds another data set, the disk has no room, or no slice can be used.
    """
    planned = plan(source, size, repair)
    candidates, rejected, info = planned
    image_ids = list(candidates)
    with claim(out):
        if (out / "prepare.json").exists():
            finished = open_prepared(out)
            wanted = json.loads(json.dumps(info))
            if any(finished.info.get(key) != wanted[key] for key in wanted if key != "versions"):
                raise InputError(f"{out}: holds a data set {OTHER_WORK}")
            shutil.rmtree(out / "unfinished", ignore_errors=True)
            return finished
        work = Unfinished(out, size, len(image_ids), planned.job)
        tasks = [(row, source.members[image_id]) for row, image_id in enumerate(image_ids) if row not in work.done]
        if tasks:
            _work_off(work, tasks, repair, workers)
        work.finish(image_ids, list(candidates.values()), rejected, info)
    return open_prepared(out)


def as_text(prepared: Prepared) -> str:
    """What the terminal says at the end."""
    counts = prepared.info["counts"]
    per_class = ", ".join(f"{counts['per_class'][name]} {name}" for name in CLASSES if counts["per_class"][name])
    what = "PHANTOM, synthetic slices" if prepared.phantom else "slices"
    lines = [f"{counts['slices']} {what} in {prepared.path}: {per_class}"]
    with open(prepared.path / "rejected.csv", encoding="utf-8", newline="") as file:
        reasons = Counter(row["reason"].split(":")[0] for row in csv.DictReader(file))
    if reasons:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(reasons.items()))
        lines.append(f"{counts['rejected']} rejected ({kinds}): rejected.csv there says why")
    if counts["padded_to_square"]:
        lines.append(f"{counts['padded_to_square']} slices were not square and were centred in a square of air")
    if prepared.info["duplicate_labels"]:
        lines.append(f"{prepared.info['duplicate_labels']} images are in the label file twice and were counted once")
    if prepared.nameless:
        lines.append(prepared.nameless)
    return "\n".join(lines)
