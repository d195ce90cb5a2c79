from dataclasses import replace

import numpy as np
import pytest

from ich_jax.phantom.blood import Phantoms, blood_of
from ich_jax.phantom.dataset import make_phantom, patients_of, settings_of
from ich_jax.phantom.patients import plan
from ich_jax.phantom.scanner import USUAL_SHAPE
from ich_jax.plumbing.command import InputError


@pytest.mark.slow
def test_its_area_is_that_of_the_truth(tmp_path):
    rows = {row.image_id: row for row in make_phantom(tmp_path, 12, seed=3)}
    compared = 0
    for patient in patients_of(settings_of(tmp_path)):
        for planned in patient.slices:
            row = rows[planned.image_id]
            told = sum(getattr(row, f"{kind}_mm2") for kind in row.kinds)
            if compared < 2 or not told:
                spacing = patient.scanner.spacing_mm * max(USUAL_SHAPE) / max(planned.shape)
                area = blood_of(patient, planned).sum() * spacing**2
                assert area == pytest.approx(told, rel=0.25, abs=15)
                compared += told > 0
    assert compared == 2


def test_of_what_is_no_finished_phantom_nobody_knows_the_blood(tmp_path):
    file = tmp_path / "stage_2_train" / "ID_1.dcm"
    assert Phantoms().truth(file, "ID_1") is None
    with pytest.raises(InputError, match=r"has no phantom\.json, so it is no finished phantom"):
        Phantoms().blood(file, "ID_1")


def test_where_nothing_bleeds_there_is_no_blood():
    (patient,) = plan(3, 0, "teaching")
    assert not np.any(blood_of(replace(patient, bleeds=()), patient.slices[1]))
