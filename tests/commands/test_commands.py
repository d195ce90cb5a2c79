"""The commands from outside: what a shell sees."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ich_jax import evaluate, predict, prepare, share, train
from ich_jax.__main__ import COMMANDS
from ich_jax.plumbing.command import InputError
from ich_jax.training.config import Found, preset
from ich_jax.training.outcome import PHANTOM_SLICES, of_a_phantom
from tests.make import make_dicom, make_zip

OPTIONS = ["--batch-size", "20", "--learning-rate", "1e-3", "--epochs", "1"]


def shell(*command: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, env=os.environ | environment, encoding="utf-8"
    )


def test_the_package_lists_its_commands():
    done = shell("ich_jax", PYTHONIOENCODING="cp1254")
    assert done.returncode == 0
    assert all(f"python -m ich_jax.{name}" in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_on_any_terminal(name):
    done = shell(f"ich_jax.{name}", "--help", PYTHONIOENCODING="cp1254")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m ich_jax.{name}")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "models"])
def test_help_needs_no_heavy_import(name):
    """jax, scikit-learn and matplotlib take seconds."""
    code = f"""
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module("ich_jax.{name}", run_name="__main__")
except SystemExit:
    pass
sys.exit([name for name in ("jax", "flax", "sklearn", "matplotlib") if name in sys.modules] or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train", ["--data", "absent"]),
        ("evaluate", ["absent"]),
        ("predict", ["absent", "x.dcm"]),
        ("share", ["absent", "--out", "out"]),
        ("explain", ["absent", "x.dcm", "--out", "out"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(name, arguments):
    done = shell(f"ich_jax.{name}", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: absent: ")
    assert done.stderr.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize(
    "wrong",
    [("--batch-size", "0"), ("--learning-rate", "nan"), ("--beta1", "1"), ("--seed", "-1"), ("--model", "oracle")],
)
def test_wrong_settings_exit_with_2(toy, wrong):
    with pytest.raises(SystemExit) as caught:
        train.main(["--data", str(toy), *wrong])
    assert caught.value.code == 2
    assert os.listdir() == []


def test_typed_twice_it_makes_two_runs_and_latest_leads_to_the_newest(narrow, toy, capsys, monkeypatch):
    command = ["--data", str(toy), *OPTIONS]
    first = train.main(command).folder
    assert f"figures, tables and the network: {first}" in capsys.readouterr().out
    monkeypatch.setattr(os, "getpid", lambda: 7)
    second = train.main(command).folder
    assert first != second
    assert Path("runs/latest").resolve() == second.resolve()
    assert len(os.listdir("runs")) == 3
    (second / "metrics.json").unlink()  # as a kill just before the end leaves it
    assert train.main([*command, "--resume"]).folder == second
    assert f"going on with {second}" in capsys.readouterr().out
    assert (second / "metrics.json").exists()
    train.main([*command, "--resume", "--out", "runs/latest"])
    assert Path("runs/latest").resolve() == second.resolve()
    assert evaluate.main(["runs/latest"])["slices"] == 24


@pytest.fixture(scope="module")
def run(toy, tmp_path_factory) -> Path:
    return train.main(["--data", str(toy), "--out", str(tmp_path_factory.mktemp("runs") / "run"), *OPTIONS]).folder


def test_resume_needs_no_settings_and_refuses_others(run, toy):
    assert len(train.main(["--out", str(run), "--resume"]).history) == 1
    with pytest.raises(InputError, match="was started with seed 0, not 5"):
        train.main(["--out", str(run), "--resume", "--seed", "5"])
    with pytest.raises(InputError, match="was started with batch size 20, not 8"):
        train.main(["--out", str(run), "--resume", "--preset", "phantom"])
    with pytest.raises(InputError, match="add --resume"):
        train.main(["--data", str(toy), "--out", str(run)])


def test_predict_prints_a_table_or_json_and_goes_on_after_a_bad_file(run, tmp_path, capsys):
    good, bad = tmp_path / "ID_00.dcm", tmp_path / "bad.dcm"
    good.write_bytes(make_dicom())
    bad.write_bytes(b"no slice")
    (tmp_path / "notes.txt").write_text("no slice, and says so", encoding="utf-8")
    with pytest.raises(InputError, match="1 of 2 files"):
        predict.main([str(run), str(bad), str(good)])
    captured = capsys.readouterr()
    assert "ID_00.dcm" in captured.out
    assert captured.out.splitlines()[-1] == "1 answered, 1 refused"
    assert f"{bad}: not a DICOM file" in captured.err
    with pytest.raises(InputError, match="1 of 2 files"):
        predict.main([str(run), str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    answer, error = found["slices"]
    assert set(answer) == {"file", "series", "position_mm", "predicted", "probabilities"}
    assert set(error) == {"file", "error"}
    assert found["counts"] == "1 answered, 1 refused; left out: 1 not DICOM"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: holds no DICOM file$"):
        predict.main([str(run), str(tmp_path / "empty")])


def test_predict_takes_a_shared_folder_in_place_of_the_run(run, tmp_path, capsys):
    image = tmp_path / "a.dcm"
    image.write_bytes(make_dicom(np.random.default_rng(0).integers(900, 1100, (64, 64), np.int16)))
    shared = share.main([str(run), "--out", str(tmp_path / "shared")])
    assert f"{shared / 'README.md'}: its model card" in capsys.readouterr().out
    assert predict.main([str(shared), str(image)]) == predict.main([str(run), str(image)])
    os.truncate(shared / "model.safetensors", 1000)
    done = shell("ich_jax.predict", str(shared), str(image))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {shared / 'model.safetensors'}: damaged")
    assert done.stderr.count("\n") == 1


def test_predict_answers_a_scan_in_the_order_of_the_body(run, tmp_path, capsys):
    """A hospital's folder: names and instance numbers say nothing of the order, and not all of it is axial CT."""
    places = {"IM3": 5.0, "IM1": 10.0, "IM2": -2.5}
    rng = np.random.default_rng(0)
    for name, place in places.items():
        tags = {"ImagePositionPatient": [0, 0, place], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        path = tmp_path / "patient" / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_dicom(rng.integers(900, 1100, (32, 32), np.int16), SOPInstanceUID=name, **tags))
    (tmp_path / "patient" / "scout").write_bytes(make_dicom(ImageType="LOCALIZER"))
    (tmp_path / "patient" / "DICOMDIR").write_bytes(make_dicom())
    found = predict.main([str(run), str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out) == found
    names = [Path(one["file"]).name for one in found["slices"]]
    assert names == ["IM2", "IM3", "IM1", "scout"]
    assert found["slices"][-1] == {
        "file": str(tmp_path / "patient" / "scout"),
        "left_out": "is a localizer, not an axial slice",
    }
    assert found["counts"] == "3 answered, 0 refused; left out: 1 DICOMDIR, 1 no axial CT slice"
    (series,) = found["series"]
    shares = {one["file"]: one["probabilities"] for one in found["slices"][:3]}
    assert (series["series"], series["slices"]) == ("ID_00000000c", 3)
    for kind, highest in series["highest"].items():
        assert highest["probability"] == max(one[kind] for one in shares.values())
        assert shares[highest["file"]][kind] == highest["probability"]
    suspicion = {file: 1 - one["none"] for file, one in shares.items()}
    assert series["most_suspicious"] == [
        {"file": file, "any_hemorrhage": suspicion[file]} for file in sorted(suspicion, key=suspicion.get)[::-1]
    ]
    predict.main([str(run), str(tmp_path)])
    *_, line, last = capsys.readouterr().out.splitlines()
    assert line.startswith("series ID_00000000c: 3 slices; any hemorrhage, highest: ")
    assert last == found["counts"]


def test_predict_where_nothing_is_axial_ct(run, tmp_path):
    (tmp_path / "a").write_bytes(make_dicom(Modality="MR"))
    with pytest.raises(InputError, match="no axial CT slice among 1 files"):
        predict.main([str(run), str(tmp_path)])


def test_predict_repairs_unless_told_not_to(run, tmp_path):
    stored = np.full((64, 64), 3096, np.uint16)
    stored[20:40, 20:40] = np.arange(400).reshape(20, 20) // 4
    path = tmp_path / "wrapped.dcm"
    path.write_bytes(make_dicom(stored, BitsStored=12, HighBit=11, RescaleIntercept="0"))
    repaired, plain = (predict.main([str(run), str(path), *more])["slices"][0] for more in ([], ["--no-repair"]))
    assert repaired["probabilities"] != plain["probabilities"]


def test_from_real_slices_to_predictions(rsna_sample, tmp_path, capsys):
    """The way of the data, at a small image size: prepare, train, evaluate, predict."""
    prepare.main([str(rsna_sample), "--out", str(tmp_path / "p"), "--size", "32", "--workers", "1"])
    train.main(["--data", str(tmp_path / "p"), "--epochs", "2", "--batch-size", "8", "--out", str(tmp_path / "r")])
    out = capsys.readouterr().out
    assert "warning: epidural: 0 in the data, none in any part" in out
    assert "PHANTOM" not in out
    assert evaluate.main([str(tmp_path / "r"), "--part", "test"])["slices"] == 4
    files = sorted(map(str, rsna_sample.glob("stage_2_train/*.dcm")))
    from_files = predict.main([str(tmp_path / "r"), *files])
    assert len(from_files["slices"]) == 38
    assert sum(series["slices"] for series in from_files["series"]) == 38
    archive = make_zip(rsna_sample, tmp_path / "kaggle.zip")
    from_zip = predict.main([str(tmp_path / "r"), str(archive)])
    assert from_zip["counts"].startswith("38 answered, 0 refused; left out: ")
    assert {Path(one["file"]).name: one["probabilities"] for one in from_files["slices"]} == {
        Path(one["file"]).name: one["probabilities"] for one in from_zip["slices"]
    }


def test_what_is_said_of_networks_that_saw_phantoms_only_was_measured():
    results = Path(__file__).parents[2] / "benchmarks" / "results" / "amd-epyc-2-cores.json"
    measured = json.loads(results.read_text(encoding="utf-8"))
    found = measured["transfer"]
    assert measured["leakage"]["slices"] == PHANTOM_SLICES, "of the default phantom"
    auc = found["auc"]["any"]
    low, high = auc["interval_of_mean"]
    said = f"AUC of {auc['mean']:.3f} (95 % interval {low:.3f} to {high:.3f})"
    default = Found("", "", True, "", 96, {"train": 1465, "validation": 733, "test": 737}, "")
    sentence = of_a_phantom(preset("phantom", seed=5), default)
    assert said in sentence
    assert f"on {found['slices']} real slices, {auc['positive']} with some," in sentence
    others = (preset("phantom", augment=False), default), (preset("phantom"), replace(default, slices={"train": 81}))
    for settings, data in others:
        assert "has not been measured" in of_a_phantom(settings, data)
    assert found["trained_on"].startswith("PHANTOM")
    assert "PHANTOM" not in found["data"]
