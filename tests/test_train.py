import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from ich_jax import evaluate, predict, train
from ich_jax.data.labels import CLASSES
from ich_jax.data.prepared import open_prepared
from ich_jax.errors import InputError
from ich_jax.presets import unlike_the_paper
from ich_jax.run import HISTORY_COLUMNS, Config, build, open_run, split_rows
from tests.make import make_dicom, make_prepared

SETTINGS = ["--batch-size", "20", "--learning-rate", "1e-3", "--epochs", "4"]  # 48 training slices: 20, 20, 8


def command(data: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--out", str(out), *SETTINGS, *more]


def history(folder: Path) -> list[dict[str, str]]:
    """history.csv without the seconds, which are nobody's to repeat."""
    with open(folder / "history.csv", newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "finished"
    train.main(command(toy, out))
    return out


def test_it_learns_and_leaves_a_whole_run_folder(finished):
    run = open_run(finished)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert tuple(run.history[0]) == HISTORY_COLUMNS
    assert run.history[-1]["train_loss"] < 0.5 * run.history[0]["train_loss"]
    names = {"config.json", "history.csv", "metrics.json", "confusion.csv", "predictions.csv", "figures", "checkpoint"}
    assert {entry.name for entry in finished.iterdir()} == names
    figures = {"loss.png", "accuracy.png", "confusion.png", "windows.png"}
    assert {entry.name for entry in (finished / "figures").iterdir()} == figures
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["slices"] == 24
    with open(finished / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    right = np.mean([row["class"] == row["predicted"] for row in rows])
    assert right == pytest.approx(metrics["accuracy"])
    for row in rows:
        assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-4)
        assert max(CLASSES, key=lambda name: float(row[name])) == row["predicted"]


def test_the_terminal_says_what_happens(toy, tmp_path, capsys):
    train.main([*command(toy, tmp_path / "out"), "--epochs", "1"])
    out = capsys.readouterr().out
    for words in (
        "96 slices",
        "32×32",
        "48 train, 24 validation, 24 test",
        "parameters",
        "Adam 0.001",
        "cpu",
        "* best",
    ):
        assert words in out, words


def test_the_same_command_gives_the_same_numbers(toy, finished, tmp_path):
    train.main(command(toy, tmp_path / "again"))
    assert history(tmp_path / "again") == history(finished)
    for name in ("metrics.json", "confusion.csv", "predictions.csv"):
        assert (tmp_path / "again" / name).read_text() == (finished / name).read_text()


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.mark.parametrize(
    ("place", "time_to_die"),
    [*product(["train_step", "save before", "save after", "write_history"], [1, 3]), ("write_results", 1)],
)
def test_killed_and_resumed_it_ends_the_same(toy, finished, tmp_path, monkeypatch, place, time_to_die):
    calls = [0]
    name, _, when = place.partition(" ")
    owner = train.checkpoint if name == "save" else train
    function = getattr(owner, name)

    def deadly(*args, **kwargs):
        calls[0] += 1
        if calls[0] == time_to_die and when != "after":
            raise Killed
        result = function(*args, **kwargs)
        if calls[0] == time_to_die:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, deadly)
        with pytest.raises(Killed):
            train.main(command(toy, tmp_path / "out"))
    train.main(command(toy, tmp_path / "out", "--resume"))
    assert history(tmp_path / "out") == history(finished)
    for file in ("metrics.json", "confusion.csv", "predictions.csv"):
        assert (tmp_path / "out" / file).read_text() == (finished / file).read_text()


def test_killed_for_real_and_resumed_it_ends_the_same(toy, finished, tmp_path):
    full = [sys.executable, "-m", "ich_jax.train", *command(toy, tmp_path / "out", "--resume")]
    process = subprocess.Popen(full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out" / "checkpoint" / "epoch_0001").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run(full, check=True, capture_output=True)
    assert history(tmp_path / "out") == history(finished)
    assert (tmp_path / "out" / "metrics.json").read_text() == (finished / "metrics.json").read_text()


def test_ctrl_c_while_compiling_is_one_line(toy, tmp_path):
    full = [sys.executable, "-m", "ich_jax.train", *command(toy, tmp_path / "out")]
    process = subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not process.stdout.readline().startswith("training"):
        pass
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "stopped; finished epochs are kept: the same command with --resume goes on from there"


def test_resume_needs_no_settings_and_refuses_others(toy, finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    with pytest.raises(InputError, match="--resume"):
        train.main(command(toy, out))
    with pytest.raises(InputError, match="started with seed 0, not 5"):
        train.main(command(toy, out, "--resume", "--seed", "5"))
    assert len(train.main(["--out", str(out), "--resume"]).history) == 4
    assert len(train.main(["--out", str(out), "--resume", "--epochs", "5"]).history) == 5


def test_early_stopping_restores_the_best_epoch(toy, tmp_path, monkeypatch):
    validation = iter([0.5, 0.4, 0.6, 0.7, 0.8])
    states = {}

    def scripted_loss(*_):
        return next(validation)

    def remember(folder, state, rows, stopping):
        states[stopping.epoch] = jax.device_get(state.params)
        save(folder, state, rows, stopping)

    save = train.checkpoint.save
    monkeypatch.setattr(train, "cross_entropy", scripted_loss)
    monkeypatch.setattr(train.checkpoint, "save", remember)
    run = train.main([*command(toy, tmp_path / "out"), "--epochs", "9", "--patience", "2"])
    assert (run.stopping.epoch, run.stopping.best_epoch) == (4, 2)
    for kept, best in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(states[2]), strict=True):
        np.testing.assert_array_equal(kept, best)
    assert not np.array_equal(jax.tree.leaves(states[2])[0], jax.tree.leaves(states[4])[0])


def test_nan_stops_with_one_line_and_keeps_the_last_good_state(toy, tmp_path, monkeypatch):
    step, calls = train.train_step, [0]

    def poisoned(*args):
        calls[0] += 1
        state, loss, correct = step(*args)
        return state, loss * (float("nan") if calls[0] > 4 else 1), correct  # 3 steps an epoch: in the second

    monkeypatch.setattr(train, "train_step", poisoned)
    with pytest.raises(InputError, match=r"training loss became nan in epoch 2; the state after epoch 1 is kept"):
        train.main(command(toy, tmp_path / "out"))
    assert open_run(tmp_path / "out").stopping.epoch == 1
    metrics = evaluate.main([str(tmp_path / "out")])
    assert np.isfinite(metrics["loss"])


def test_split_by_patient(toy, tmp_path):
    out = tmp_path / "out"
    train.main([*command(toy, out), "--epochs", "1", "--split", "patient"])
    with open(out / "predictions.csv", newline="") as file:
        tested = {row["image_id"] for row in csv.DictReader(file)}
    with open(toy / "slices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    inside = {row["patient_id"] for row in rows if row["image_id"] in tested}
    assert all(row["image_id"] in tested for row in rows if row["patient_id"] in inside)


def test_evaluate_repeats_what_training_found(toy, finished, tmp_path, capsys):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    before = (out / "metrics.json").read_text()
    (out / "metrics.json").unlink()
    evaluate.main([str(out)])
    assert (out / "metrics.json").read_text() == before
    metrics = evaluate.main([str(out), "--part", "validation"])
    assert (out / "metrics.json").read_text() == before
    best = open_run(out)
    recorded = best.history[best.stopping.best_epoch - 1]
    assert metrics["loss"] == pytest.approx(recorded["validation_loss"])
    assert metrics["accuracy"] == recorded["validation_accuracy"]
    assert json.loads((out / "validation" / "metrics.json").read_text())["part"] == "validation"
    assert "weighted precision" in capsys.readouterr().out


def test_the_data_must_be_those_of_the_training(toy, finished, tmp_path):
    moved = shutil.copytree(toy, tmp_path / "moved")
    evaluate.main([str(finished), "--data", str(moved)])
    other = make_prepared(tmp_path / "other", count=60)
    with pytest.raises(InputError, match="not the data set"):
        evaluate.main([str(finished), "--data", str(other)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ('{"data": "x", "colour": 1}', "damaged"),
        ('{"data": "x", "model": "oracle"}', "oracle"),
        ('{"data": "x", "epochs": "many"}', "epochs 'many'"),
        ('{"data": "x", "limit": -1}', "limit -1"),
    ],
)
def test_a_wrong_config_is_refused(tmp_path, text, words):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=words):
        open_run(tmp_path)


def test_no_run_no_data_no_epoch(toy, tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        open_run(tmp_path)
    with pytest.raises(InputError, match="too few"):
        train.main(command(make_prepared(tmp_path / "tiny", count=6), tmp_path / "out"))
    config = train.configure({"data": str(toy)}, tmp_path / "out", resume=False)
    train.write_config(tmp_path / "begun", config)
    with pytest.raises(InputError, match="no epoch is finished yet"):
        open_run(tmp_path / "begun")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--batch-size", "0"),
        ("--learning-rate", "nan"),
        ("--beta1", "1"),
        ("--epochs", "-1"),
        ("--seed", "-1"),
        ("--model", "oracle"),
        ("--split", "series"),
    ],
)
def test_wrong_settings_exit_with_2(toy, tmp_path, wrong):
    with pytest.raises(SystemExit) as caught:
        train.main(command(toy, tmp_path / "out", *wrong))
    assert caught.value.code == 2


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    rng = np.random.default_rng(0)
    for k in range(19):  # more than one batch
        (folder / f"ID_{k:02}.dcm").write_bytes(make_dicom(rng.integers(900, 1100, (40, 40), np.int16)))
    return folder


def test_predict_a_folder(finished, slices, capsys):
    results = predict.main([str(finished), str(slices)])
    assert [Path(result["file"]).name for result in results] == [f"ID_{k:02}.dcm" for k in range(19)]
    for result in results:
        assert sum(result["probabilities"].values()) == pytest.approx(1)
        assert result["predicted"] == max(result["probabilities"], key=result["probabilities"].get)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert all(name in lines[0] for name in CLASSES)
    alone = predict.main([str(finished), str(slices / "ID_18.dcm")])[0]
    assert list(alone["probabilities"].values()) == pytest.approx(list(results[18]["probabilities"].values()), abs=1e-5)


def test_predict_reports_a_bad_file_and_goes_on(finished, slices, tmp_path, capsys):
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"no slice")
    good = [str(slices / "ID_00.dcm"), str(slices / "ID_01.dcm")]
    with pytest.raises(InputError, match="1 of 3 files"):
        predict.main([str(finished), good[0], str(bad), good[1]])
    captured = capsys.readouterr()
    assert "ID_00.dcm" in captured.out
    assert "ID_01.dcm" in captured.out
    assert f"{bad}: not a DICOM file" in captured.err
    with pytest.raises(InputError, match="1 of 2 files"):
        predict.main([str(finished), str(bad), good[0], "--json"])
    results = json.loads(capsys.readouterr().out)
    assert results[0] == {"file": str(bad), "error": "not a DICOM file"}
    assert set(results[1]["probabilities"]) == set(CLASSES)


def test_predict_an_empty_folder(finished, tmp_path):
    with pytest.raises(InputError, match=r"no \.dcm files"):
        predict.main([str(finished), str(tmp_path)])


def test_from_real_slices_to_predictions(rsna_sample, tmp_path, capsys):
    """The issue of it all, at a small image size: prepare, train, evaluate, predict."""
    from ich_jax import prepare

    prepare.main([str(rsna_sample), "--out", str(tmp_path / "p"), "--size", "32", "--workers", "1"])
    train.main(["--data", str(tmp_path / "p"), "--epochs", "2", "--batch-size", "8", "--out", str(tmp_path / "r")])
    out = capsys.readouterr().out
    assert "warning: epidural: 0 in the data, none in any part" in out
    assert evaluate.main([str(tmp_path / "r"), "--part", "test"])["slices"] == 4
    files = sorted(map(str, rsna_sample.glob("stage_2_train/*.dcm")))
    assert len(predict.main([str(tmp_path / "r"), *files])) == 38


def test_the_learning_rate_decays_along_a_cosine_or_not_at_all():
    config = Config("toy", decay="cosine", epochs=5)
    scales = [train.decayed(config, epoch) for epoch in range(1, 6)]
    np.testing.assert_allclose(scales, [(1 + np.cos(np.pi * k / 5)) / 2 for k in range(5)])
    assert {train.decayed(Config("toy"), epoch) for epoch in range(1, 31)} == {1.0}


def test_a_decaying_run_keeps_its_number_of_epochs(toy, tmp_path):
    out = tmp_path / "run"
    run = train.main(command(toy, out, "--decay", "cosine", "--epochs", "2"))
    assert run.config.decay == "cosine"
    assert len(train.main(["--out", str(out), "--resume", "--epochs", "2"]).history) == 2
    with pytest.raises(InputError, match="started with epochs 2, not 3"):
        train.main(["--out", str(out), "--resume", "--epochs", "3"])


@pytest.mark.parametrize("split", ["image", "patient"])
def test_a_limit_uses_so_many_slices_and_always_the_same(toy, split):
    prepared = open_prepared(toy)
    parts = split_rows(Config("toy", split=split, limit=40), prepared)
    used = np.concatenate(list(parts.values()))
    assert len(used) == len(set(used.tolist())) == 40
    again = split_rows(Config("toy", split=split, limit=40), prepared)
    assert all((parts[part] == again[part]).all() for part in parts)
    other = np.concatenate(list(split_rows(Config("toy", split=split, limit=40, seed=1), prepared).values()))
    assert set(used.tolist()) != set(other.tolist())
    everything = split_rows(Config("toy", split=split, limit=1000), prepared)
    assert sum(map(len, everything.values())) == len(prepared.classes)


def test_norm_momentum_reaches_every_batch_norm():
    structure, state = build(Config("toy", image_size=32, norm_momentum=0.5))
    model = nnx.merge(structure, state.params, state.batch_stats)
    norms = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.BatchNorm)]
    assert {norm.momentum for norm in norms} == {0.5}
    assert len(norms) == 5


def test_what_is_not_the_papers_is_said():
    usual = Config("toy", image_size=224)
    assert unlike_the_paper(usual) == []
    assert unlike_the_paper(replace(usual, learning_rate=1e-3, split="patient", limit=50, phantom=True)) == [
        "synthetic data (RSNA 2019)",
        "at most 50 slices (all)",
        "learning rate 0.001 (1e-05)",
        "split patient (image)",
    ]
