"""Where the blood of a phantom is, pixel by pixel. truth.csv has only its area."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ich_jax.phantom.dataset import DONE, settings_of
from ich_jax.phantom.patients import Patient, PlannedSlice, plan
from ich_jax.phantom.scanner import scan
from ich_jax.plumbing.command import InputError

BRIGHTER_HU = 1000


def patients_of(folder: Path) -> list[Patient]:
    """The patients of a phantom's folder, planned again from its settings (seconds for thousands of slices).

    Raises InputError if it is none, or one of another version of the generator.
    """
    if not (folder / DONE).is_file():
        raise InputError(f"{folder}: has no {DONE}, so it is no finished phantom")
    settings = settings_of(folder)
    return plan(**{name: value for name, value in settings.items() if name != "generator"})


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
