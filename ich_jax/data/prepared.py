"""The prepared data set on disk: open it, check it, write it so that a kill at any moment loses next to nothing.

    images.npy    uint8 (N, size, size, 3), never loaded whole
    slices.csv    image_id, class, patient_id, study_id, pixel_hash: one row per image, in the same order
    rejected.csv  image_id, reason: every slice of the source or the label file that is not in images.npy
    prepare.json  settings, versions, counts; written last, so a folder that has it is complete

While it is being made, the work is in a subfolder `unfinished/`. `pixel_hash` is the SHA-256 of the image's bytes, so
anyone can check a row, or find twins.
"""

import csv
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ich_jax.data.labels import CLASSES
from ich_jax.errors import InputError
from ich_jax.files import write_whole

OTHER = "another source or other settings; choose another --out (with make: DATA=folder OUT=run)"
NPY_HEADER_BYTES = 128  # for any N: NumPy pads the header so that N can grow
SLICE_COLUMNS = ("image_id", "class", "patient_id", "study_id", "pixel_hash")


@dataclass(frozen=True)
class Prepared:
    """An open prepared folder. `images` is memory-mapped (N, size, size, 3) uint8, `classes` (N,) int32 indices into
    CLASSES, the rest (N,) strings."""

    path: Path
    images: np.ndarray
    classes: np.ndarray
    image_ids: np.ndarray
    patient_ids: np.ndarray
    pixel_hashes: np.ndarray
    info: dict

    @property
    def image_size(self) -> int:
        return self.images.shape[1]

    @property
    def phantom(self) -> bool:
        """Whether any slice is synthetic."""
        return self.info.get("counts", {}).get("synthetic", 0) > 0

    @property
    def title(self) -> str:
        """The data set's name for tables and figures; a phantom's says so."""
        return "PHANTOM (synthetic slices)" if self.phantom else self.path.resolve().name

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all rows of slices.csv: the same data set, to the pixel, has the same."""
        return hashlib.sha256((self.path / "slices.csv").read_bytes()).hexdigest()


def open_prepared(path: str | Path) -> Prepared:
    """Open a prepared folder; nothing is read but the small files.

    Raises InputError if it is not one, is not complete, or its files do not fit together.
    """
    path = Path(path)
    if not (path / "prepare.json").is_file():
        if (path / "unfinished").is_dir():
            raise InputError(f"{path}: not complete yet; run the same `python -m ich_jax.prepare` again to finish it")
        raise InputError(f"{path}: not a prepared folder (no prepare.json); make one with `python -m ich_jax.prepare`")
    try:
        info = json.loads((path / "prepare.json").read_text(encoding="utf-8"))
        images = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
        with open(path / "slices.csv", encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = tuple(next(rows, ()))
            columns = list(zip(*rows, strict=True))
    except (ValueError, EOFError, csv.Error) as error:
        raise InputError(f"{path}: damaged prepared folder: {error}") from None
    if header != SLICE_COLUMNS or len(columns) != len(SLICE_COLUMNS):
        raise InputError(f"{path / 'slices.csv'}: expected rows of {','.join(SLICE_COLUMNS)}")
    image_ids, class_names, patient_ids, _, pixel_hashes = columns
    if images.dtype != np.uint8 or images.shape != (len(image_ids), *images.shape[1:2] * 2, 3):
        raise InputError(f"{path / 'images.npy'}: {images.shape} {images.dtype} does not fit the {len(image_ids)} rows")
    unknown = set(class_names) - set(CLASSES)
    if unknown:
        raise InputError(f"{path / 'slices.csv'}: unknown class {min(unknown)!r}")
    index = {name: k for k, name in enumerate(CLASSES)}
    classes = np.array([index[name] for name in class_names], np.int32)
    return Prepared(path, images, classes, np.array(image_ids), np.array(patient_ids), np.array(pixel_hashes), info)


class Outcome(NamedTuple):
    """What became of one candidate slice: its place among the candidates, and either identifiers or a reason."""

    row: int
    patient_id: str
    study_id: str
    pixel_hash: str
    padded: bool  # was not square
    reason: str  # why it was rejected; empty if it was not
    synthetic: bool = False  # the file says that it is a phantom


class Unfinished:
    """A prepared folder in the making.

    Candidate k's image goes to row k of `unfinished/images.npy`, and only then into the journal `progress.csv`; what is
    not in the journal is done again. The pixels are forced to disk before the journal, so not even a power cut
    leaves a row in the journal without its pixels.
    """

    def __init__(self, out: Path, size: int, candidates: int, job: str):
        """Begin, or go on with, the job identified by the string `job`.

        Raises InputError if the folder holds another job or the disk has no room.
        """
        self.out, self.size, self.candidates = out, size, candidates
        self.folder = out / "unfinished"
        self.images_path = self.folder / "images.npy"
        self.journal = self.folder / "progress.csv"
        self.done: dict[int, Outcome] = {}
        job_file = self.folder / "job.txt"
        if job_file.is_file():
            if job_file.read_text(encoding="utf-8") != job:
                raise InputError(f"{out}: holds unfinished work from {OTHER}")
            self._read_journal()
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._reserve()
            write_whole(job_file, lambda file: file.write(job))

    def _reserve(self) -> None:
        """Claim the whole of images.npy now: a disk that fills up later would kill a process that writes to the map."""
        need = self.candidates * self.size * self.size * 3
        free = shutil.disk_usage(self.folder).free
        if need + 2**20 > free:
            raise InputError(f"{self.out}: needs {need / 1e9:.3f} GB, the disk has {free / 1e9:.3f} GB free")
        shape = (self.candidates, self.size, self.size, 3)
        images = np.lib.format.open_memmap(self.images_path, mode="w+", dtype=np.uint8, shape=shape)
        assert images.offset == NPY_HEADER_BYTES
        if hasattr(os, "posix_fallocate"):
            with open(self.images_path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, images.offset + images.nbytes)

    def _read_journal(self) -> None:
        if not self.journal.exists():
            return
        text = self.journal.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a kill can cut the last line
        for row, patient_id, study_id, pixel_hash, padded, reason, synthetic in csv.reader(whole.splitlines()):
            flags = (padded == "True", reason, synthetic == "True")
            self.done[int(row)] = Outcome(int(row), patient_id, study_id, pixel_hash, *flags)
        if whole != text:
            os.truncate(self.journal, len(whole.encode("utf-8")))

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Journal finished candidates, after their pixels are safe on disk."""
        outcomes = list(outcomes)
        with open(self.images_path, "rb") as images:
            os.fsync(images.fileno())
        with open(self.journal, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(outcomes)
            file.flush()
            os.fsync(file.fileno())
        self.done.update((outcome.row, outcome) for outcome in outcomes)

    def finish(self, image_ids: list[str], class_names: list[str], rejected: dict[str, str], info: dict) -> None:
        """Turn the finished candidates into the prepared folder. Can be cut off anywhere and called again.

        Args:
            image_ids, class_names: of the candidates, in order.
            rejected: image ID → reason, of slices that never were candidates.
            info: what prepare.json should say besides the counts.

        Raises InputError if no slice is left; rejected.csv is written all the same.
        """
        accepted = [row for row in range(self.candidates) if not self.done[row].reason]
        rejected = rejected | {image_ids[row]: o.reason for row, o in self.done.items() if o.reason}
        write_whole(
            self.out / "rejected.csv",
            lambda file: _write_rows(file, "image_id,reason", sorted(rejected.items())),
        )
        if not accepted:
            shutil.rmtree(self.folder)
            raise InputError(f"{self.out}: none of {len(rejected)} slices can be used; rejected.csv there says why")
        # Rejected rows leave holes. The last images fill them, so that few of them move, whatever N is.
        count, accepted_rows = len(accepted), set(accepted)
        last = iter(row for row in accepted if row >= count)
        order = [row if row in accepted_rows else next(last) for row in range(count)]
        if self.images_path.exists():
            self._close_holes(order)
            os.replace(self.images_path, self.out / "images.npy")
        rows = [
            (
                image_ids[row],
                class_names[row],
                self.done[row].patient_id,
                self.done[row].study_id,
                self.done[row].pixel_hash,
            )
            for row in order
        ]
        write_whole(self.out / "slices.csv", lambda file: _write_rows(file, ",".join(SLICE_COLUMNS), rows))
        per_class = Counter(row[1] for row in rows)
        info["counts"] = {
            "slices": count,
            "per_class": {name: per_class[name] for name in CLASSES},
            "rejected": len(rejected),
            "padded_to_square": sum(self.done[row].padded for row in accepted),
            "synthetic": sum(self.done[row].synthetic for row in accepted),
        }
        write_whole(self.out / "prepare.json", lambda file: file.write(json.dumps(info, indent=2) + "\n"))
        shutil.rmtree(self.folder)

    def _close_holes(self, order: list[int]) -> None:
        images = np.lib.format.open_memmap(self.images_path, mode="r+")
        shape = (len(order), *images.shape[1:])
        if images.shape != shape:  # else a kill came after the new header: the images have moved
            for place, row in enumerate(order):
                if place != row:
                    images[place] = images[row]
            images.flush()
        del images
        with open(self.images_path, "r+b") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(NPY_HEADER_BYTES + math.prod(shape))
            file.flush()
            os.fsync(file.fileno())


def _write_rows(file, header: str, rows: Iterable[Iterable[str]]) -> None:
    file.write(header + "\n")
    csv.writer(file, lineterminator="\n").writerows(rows)
