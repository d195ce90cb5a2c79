"""Where the blood of a phantom is, pixel by pixel. truth.csv has only its area."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ich_jax.data.dicom import pad_to_square
from ich_jax.data.find import Member
from ich_jax.phantom.dataset import DONE, TRUTH, patients_of, read_truth, settings_of
from ich_jax.phantom.patients import Patient, PlannedSlice, Truth
from ich_jax.phantom.scanner import scan
from ich_jax.plumbing.command import InputError

BRIGHTER_HU = 1000


def blood_of(patient: Patient, planned: PlannedSlice) -> np.ndarray:
    """(rows, columns) bool. The slice is drawn twice, with the same noise, the second time with brighter blood; blood
    is where that shows."""
    bright = [replace(bleed, hu=bleed.hu + BRIGHTER_HU) for bleed in patient.bleeds]
    as_it_is, with_bright = (
        scan(
            patient.head,
            bleeds,
            patient.scanner,
            planned.height_mm,
            patient.slice_mm,
            np.random.default_rng(0),
            planned.shape,
            patient.clutter,
        )[0]
        for bleeds in (patient.bleeds, bright)
    )
    return with_bright - as_it_is > BRIGHTER_HU / 2


def at_size(blood: np.ndarray, size: int) -> np.ndarray:
    """(rows, columns) bool → (size, size) bool, as a slice becomes an image: blood where half of a pixel is."""
    square = pad_to_square(blood, False).astype(np.uint8) * 255
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BOX)) > 127


class Phantoms:
    """What is known of slices that are in their phantom's own folder, beside its truth.csv. Each folder is read and
    planned once."""

    def __init__(self):
        self._truths: dict[Path, dict[str, Truth]] = {}
        self._planned: dict[Path, dict[str, tuple[Patient, PlannedSlice]]] = {}

    def truth(self, file: Member, image_id: str) -> Truth | None:
        """What was put into a slice; None if the file is anywhere else, such as in a zip.

        Raises InputError if truth.csv is damaged.
        """
        if not isinstance(file, Path):
            return None
        folder = _folder_of(file)
        if folder not in self._truths:
            rows = read_truth(folder) if (folder / TRUTH).is_file() else []
            self._truths[folder] = {row.image_id: row for row in rows}
        return self._truths[folder].get(image_id)

    def blood(self, file: Path, image_id: str) -> np.ndarray:
        """(rows, columns) bool, where the blood of a slice is that has a `truth`; draws it again, which takes seconds.

        Raises InputError if the phantom is not finished, or of another version of the generator.
        """
        folder = _folder_of(file)
        if folder not in self._planned:
            if not (folder / DONE).is_file():
                raise InputError(f"{folder}: has no {DONE}, so it is no finished phantom")
            patients = patients_of(settings_of(folder))
            self._planned[folder] = {one.image_id: (patient, one) for patient in patients for one in patient.slices}
        return blood_of(*self._planned[folder][image_id])


def _folder_of(file: Path) -> Path:
    return file.resolve().parent.parent
