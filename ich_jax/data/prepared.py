"""The prepared data set on disk, opened and checked; `unfinished` writes it.

    images.npy    uint8 (N, size, size, 3), never loaded whole
    slices.csv    image_id, class, patient_id, study_id, pixel_hash: one row per image, in the same order
    rejected.csv  image_id, reason: every slice of the source or the label file that is not in images.npy
    prepare.json  settings, versions, counts; written last, so a folder that has it is complete

`pixel_hash` is the SHA-256 of the image's bytes, so anyone can check a row, or find twins.
"""

import csv
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json

SLICE_COLUMNS = ("image_id", "class", "patient_id", "study_id", "pixel_hash")


@dataclass(frozen=True)
class Prepared:
    """An open prepared folder. `images` is memory-mapped (N, size, size, 3) uint8, `classes` (N,) int32 indices into
    CLASSES, the rest (N,) strings. Where a file names no patient, its study stands in `patient_ids`, or ""."""

    path: Path
    images: np.ndarray
    classes: np.ndarray
    image_ids: np.ndarray
    patient_ids: np.ndarray
    info: dict
    studies_for_patients: int = 0  # slices whose patient ID is a study's, as they have none

    @property
    def nameless(self) -> str:
        """What a split by patient has to do with slices that name no patient: a sentence, or nothing."""
        neither = int(np.sum(self.patient_ids == ""))
        if neither:
            return f"{neither} slices have neither PatientID nor StudyInstanceUID: no split by patient is possible"
        count = self.studies_for_patients
        return f"{count} slices have no PatientID: a split by patient is one by StudyInstanceUID there" if count else ""

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

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all rows of slices.csv: the same data set, to the pixel, has the same."""
        with open(self.path / "slices.csv", "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


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
        info = read_json(path / "prepare.json")
        images = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
        image_ids, classes, patient_ids, stand_ins = _read_slices(path / "slices.csv")
    except (ValueError, EOFError, csv.Error) as error:
        raise InputError(f"{path}: damaged prepared folder: {error}") from None
    if images.dtype != np.uint8 or images.shape != (len(image_ids), *images.shape[1:2] * 2, 3):
        raise InputError(f"{path / 'images.npy'}: {images.shape} {images.dtype} does not fit the {len(image_ids)} rows")
    return Prepared(path, images, classes, image_ids, patient_ids, info, stand_ins)


def open_same(path: str | Path, fingerprint: str) -> Prepared:
    """Open the prepared folder that a run was trained on, wherever it is now.

    Raises InputError if it is not one, or has another fingerprint.
    """
    prepared = open_prepared(path)
    if prepared.fingerprint != fingerprint:
        raise InputError(f"{path}: not the data set that this run was trained on (slices.csv differs)")
    return prepared


def _read_slices(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Image IDs, class indices and patient IDs, row by row (RSNA has 720,729), and how many of the last are studies."""
    index = {name: k for k, name in enumerate(CLASSES)}
    image_ids, classes, patient_ids, stand_ins = [], [], [], 0
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != SLICE_COLUMNS:
            raise InputError(f"{path}: expected rows of {','.join(SLICE_COLUMNS)}")
        for image_id, class_name, patient_id, study_id, _ in rows:
            if class_name not in index:
                raise InputError(f"{path}, row {rows.line_num}: unknown class {class_name!r}")
            image_ids.append(image_id)
            classes.append(index[class_name])
            patient_ids.append(patient_id or study_id)
            stand_ins += not patient_id and bool(study_id)
    return np.array(image_ids), np.array(classes, np.int32), np.array(patient_ids), stand_ins
