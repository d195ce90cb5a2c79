from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import series
from ich_jax.plumbing.command import InputError
from ich_jax.training.config import Settings
from ich_jax.training.run import open_run, train
from tests.make import make_prepared


def test_one_false_alarm_turns_a_scan():
    # Patient:         a  a  a  b  b  b  c  c  d; d bleeds in all slices, c in one, a and b in none.
    patients = np.array(list("aaabbbccd"))
    actual = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1], bool)
    called = np.array([0, 1, 0, 0, 0, 0, 1, 0, 0], bool)
    np.testing.assert_array_equal(series.any_by_scan(actual, patients), [False, False, True, True])
    assert series.slices_a_scan_without(actual, patients) == 3
    assert series.rates(actual, called, patients) == pytest.approx(
        {
            "sensitivity_by_slice": 0 / 2,
            "sensitivity_by_scan": 1 / 2,  # c, for the wrong slice
            "specificity_by_slice": 5 / 7,
            "specificity_by_scan": 1 / 2,  # a has one false alarm, b none
            "if_independent": (5 / 7) ** 3,
        }
    )


def test_patients_in_any_order():
    patients, called = np.array(["b", "a", "b", "a"]), np.array([True, False, False, False])
    np.testing.assert_array_equal(series.any_by_scan(called, patients), [False, True])


@pytest.fixture(scope="module")
def run(narrow, toy, tmp_path_factory) -> Path:
    settings = Settings(batch_size=20, epochs=1, split="patient")
    return train(settings, toy, tmp_path_factory.mktemp("runs") / "run", say=lambda _: None).folder


def with_a_healthy_patient(folder: Path) -> Path:
    """A toy data set whose first patient's four slices have become slices without hemorrhage."""
    path = make_prepared(folder, seed=1) / "slices.csv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    for k in range(4):
        cells = rows[k].split(",")
        rows[k] = ",".join([cells[0], "none", *cells[2:]])
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def test_new_patients_are_counted_and_measured(run, tmp_path, capsys):
    result = series.main([str(run), "--data", str(with_a_healthy_patient(tmp_path / "new"))])
    assert result["slices"] == {"with": 77, "without": 19}  # every sixth of 96 is without, and three more
    assert result["scans"] == {"with": 23, "without": 1}
    assert result["slices_a_scan_without"] == 4
    assert list(result["rates"]) == ["0.5", "0.9", "0.99"]
    assert "23 scans with hemorrhage, 1 without" in capsys.readouterr().out


def test_what_cannot_be_measured_is_one_line(run, toy, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="patients have a hemorrhage; patients with and without one are needed"):
        series.main([str(run)])
    with pytest.raises(InputError, match="this run was trained on it"):
        series.main([str(run), "--data", str(toy)])
    with pytest.raises(InputError, match="prepare with --size 32"):
        series.main([str(run), "--data", str(make_prepared(tmp_path / "large", count=48, size=48))])
    opened = open_run(run)
    by_image = replace(opened, settings=replace(opened.settings, split="image"))
    monkeypatch.setattr(series, "open_run", lambda _: by_image)
    with pytest.raises(InputError, match="no whole patients"):
        series.main([str(run)])
