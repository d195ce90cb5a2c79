import csv
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from ich_jax.data.prepared import open_prepared
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.training import loop
from ich_jax.training.config import Settings
from ich_jax.training.outcome import HISTORY_COLUMNS
from ich_jax.training.run import evaluate, open_run, train
from tests.make import make_prepared

pytestmark = pytest.mark.usefixtures("narrow")

SETTINGS = Settings(batch_size=20, learning_rate=1e-2, epochs=3)  # 48 training slices: batches of 20, 20, 8
OPTIONS = ["--batch-size", "20", "--learning-rate", "1e-2", "--epochs", "3"]
RESULTS = ("metrics.json", "confusion.csv", "predictions.csv")


def quietly(*args, **kwargs):
    return train(*args, say=lambda _: None, **kwargs)


def history(folder: Path) -> list[dict[str, str]]:
    """history.csv without the seconds, which are nobody's to repeat."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def same_results(folder: Path, other: Path) -> bool:
    return history(folder) == history(other) and all(
        (folder / name).read_bytes() == (other / name).read_bytes() for name in RESULTS
    )


@pytest.fixture(scope="module")
def finished(narrow, toy, tmp_path_factory) -> Path:
    return quietly(SETTINGS, toy, tmp_path_factory.mktemp("runs") / "finished").folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """The finished run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def scripted(monkeypatch, *losses):
    """Let the validation losses be these."""
    script = iter(losses)
    monkeypatch.setattr(loop, "cross_entropy", lambda *_: next(script))


def test_it_learns_and_leaves_a_whole_run_folder(finished):
    run = open_run(finished)
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert tuple(run.history[0]) == HISTORY_COLUMNS
    assert run.history[-1]["train_loss"] < 0.8 * run.history[0]["train_loss"]
    names = {"config.json", "history.csv", "metrics.json", "confusion.csv", "predictions.csv", "figures", "checkpoint"}
    assert {entry.name for entry in finished.iterdir()} == names
    figures = {"loss.png", "accuracy.png", "confusion.png", "windows.png"}
    assert {entry.name for entry in (finished / "figures").iterdir()} == figures
    metrics = json.loads((finished / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["slices"] == 24
    with open(finished / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    right = np.mean([row["class"] == row["predicted"] for row in rows])
    assert right == pytest.approx(metrics["accuracy"])
    for row in rows:
        assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-4)
        assert max(CLASSES, key=lambda name: float(row[name])) == row["predicted"]


def test_it_says_what_happens(toy, tmp_path):
    said = []
    train(replace(SETTINGS, epochs=1), toy, tmp_path / "out", say=said.append)
    text = "\n".join(said)
    for words in (
        "96 slices",
        "32×32",
        "48 train, 24 validation, 24 test",
        "parameters",
        "Adam 0.01",
        "cpu",
        "* best",
    ):
        assert words in text, words


def test_the_same_settings_give_the_same_numbers_and_another_seed_others(toy, finished, tmp_path):
    assert same_results(quietly(SETTINGS, open_prepared(toy), tmp_path / "again").folder, finished)
    other = quietly(replace(SETTINGS, seed=1, epochs=1), toy, tmp_path / "other")
    assert other.history[0]["train_loss"] != open_run(finished).history[0]["train_loss"]
    assert image_ids(other.folder) == image_ids(finished), "the seed does not decide which slices are tested"
    split = quietly(replace(SETTINGS, split_seed=1, epochs=1), toy, tmp_path / "split")
    assert image_ids(split.folder) != image_ids(finished)


def image_ids(folder: Path) -> set[str]:
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        return {row["image_id"] for row in csv.DictReader(file)}


def test_each_step_is_compiled_once_for_each_batch_size(toy, finished, tmp_path, caplog):
    def compiled(log: str) -> list[str]:
        return sorted(re.findall(r"Compiling jit\((\w+_step)\) with", log))

    def compiled_by(call) -> list[str]:
        caplog.clear()
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            call()
        return compiled(caplog.text)

    settings = replace(SETTINGS, beta1=0.91)  # of no other test: this process has no such step yet
    first = compiled_by(lambda: quietly(replace(settings, epochs=2), toy, tmp_path / "out"))
    assert first == ["eval_step", "train_step", "train_step"]  # batches of 20 and of 8
    assert compiled_by(lambda: quietly(settings, toy, tmp_path / "out", resume=True)) == []
    command = [sys.executable, "-m", "benchmarks.narrow", "evaluate", finished]
    done = subprocess.run(command, env=os.environ | {"JAX_LOG_COMPILES": "1"}, capture_output=True, text=True)
    assert (done.returncode, compiled(done.stderr)) == (0, ["eval_step"])


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5, 6, 8, 10, 13, 14, 16, 22, 28])
def test_killed_at_a_file_operation_and_resumed_it_ends_the_same(toy, finished, tmp_path, monkeypatch, moment):
    """Die before or after the k-th rename of a whole file or checkpoint; there are fourteen in a training."""
    countdown, ours = [moment], ("epoch_", ".png", ".csv", ".json")

    def deadly(function):
        def wrapped(source, target):
            counts = any(part in Path(target).name for part in ours) and "orbax" not in str(source)
            for call in (lambda: None, lambda: function(source, target)):
                countdown[0] -= counts
                if counts and countdown[0] == 0 and call() is None:
                    raise Killed
                if countdown[0] != 0 or not counts:
                    call()

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", deadly(os.replace))
        patch.setattr(os, "rename", deadly(os.rename))
        with pytest.raises(Killed):
            quietly(SETTINGS, toy, tmp_path / "out")
    assert not (tmp_path / "out" / "metrics.json").exists() or moment == 28
    assert same_results(quietly(SETTINGS, toy, tmp_path / "out", resume=True).folder, finished)


@pytest.mark.slow
def test_a_folder_is_one_processes_and_after_a_kill_the_next_ends_the_same(toy, finished, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.narrow", "train", "--data", toy, "--out", out, *OPTIONS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while not process.stdout.readline().startswith("epoch  1"):
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    before = (out / "config.json").read_bytes()
    for use in (lambda: quietly(replace(SETTINGS, seed=7), toy, out, resume=True), lambda: evaluate(out)):
        with pytest.raises(InputError, match="another process is working in this folder"):
            use()
    second = subprocess.run([*command, "--resume", "--seed", "7"], capture_output=True, text=True)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "another process is working in this folder" in second.stderr
    assert (out / "config.json").read_bytes() == before
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert (out / ".lock").exists(), "left by the kill"
    assert same_results(quietly(SETTINGS, toy, out, resume=True).folder, finished)
    assert not (out / ".lock").exists()


# A shell's background jobs ignore Ctrl-C, and so would what they start, such as this test's process.
LISTENING = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("ich_jax.train", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_ctrl_c_while_compiling_is_one_line(toy, tmp_path):
    command = [sys.executable, "-c", LISTENING, "--data", toy, "--out", tmp_path / "out", *OPTIONS]
    command += ["--epochs", "100000", "--patience", "100000"]  # it does not end before the Ctrl-C comes
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not process.stdout.readline().startswith("training"):
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "stopped; finished epochs are kept: `make train`, or this command with --resume, goes on"


def test_resume_goes_on_with_the_same_settings_only(toy, copy):
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        quietly(SETTINGS, toy, copy)
    with pytest.raises(InputError, match="was started with seed 0, not 5"):
        quietly(replace(SETTINGS, seed=5), toy, copy, resume=True)
    assert len(quietly(SETTINGS, toy, copy, resume=True).history) == 3
    assert len(quietly(replace(SETTINGS, epochs=4), toy, copy, resume=True).history) == 4


def test_augmentation_is_of_training_alone_and_goes_on_with_its_draws(toy, finished, tmp_path):
    settings = replace(SETTINGS, augment=True)
    through = quietly(settings, toy, tmp_path / "through")
    quietly(replace(settings, epochs=1), toy, tmp_path / "out")
    assert same_results(quietly(settings, toy, tmp_path / "out", resume=True).folder, through.folder)
    assert through.history[0]["train_loss"] != open_run(finished).history[0]["train_loss"]
    before = [(through.folder / name).read_bytes() for name in RESULTS]
    evaluate(through.folder)
    assert [(through.folder / name).read_bytes() for name in RESULTS] == before
    with pytest.raises(InputError, match="was started with augment True, not False"):
        quietly(SETTINGS, toy, tmp_path / "out", resume=True)


def test_a_decaying_run_keeps_its_number_of_epochs(toy, tmp_path):
    settings = replace(SETTINGS, decay="cosine", epochs=1)
    quietly(settings, toy, tmp_path / "run")
    assert len(quietly(settings, toy, tmp_path / "run", resume=True).history) == 1
    with pytest.raises(InputError, match="was started with epochs 1, not 2"):
        quietly(replace(settings, epochs=2), toy, tmp_path / "run", resume=True)


def test_a_checkpoint_is_refused_under_other_settings_or_data(copy):
    path = copy / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for section, name, value, words in (
        ("settings", "split_seed", 3, "was started with split seed 0, not 3"),
        ("found", "fingerprint", "0" * 64, "another data set"),
    ):
        changed = config | {section: config[section] | {name: value}}
        path.write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(InputError, match=words):
            evaluate(copy)


def test_early_stopping_restores_the_best_epoch(toy, tmp_path, monkeypatch):
    scripted(monkeypatch, 0.5, 0.4, 0.6, 0.7, 0.8)
    run = quietly(replace(SETTINGS, epochs=9, patience=2), toy, tmp_path / "stopped")
    assert (run.stopping.epoch, run.stopping.best_epoch) == (4, 2)
    assert sorted(entry.name for entry in (run.folder / "checkpoint").iterdir()) == ["epoch_0002", "epoch_0004"]
    scripted(monkeypatch, 0.5, 0.4)
    two = quietly(replace(SETTINGS, epochs=2), toy, tmp_path / "two")
    for kept, best in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(two.state.params), strict=True):
        np.testing.assert_array_equal(kept, best)


def test_a_loss_that_is_not_finite_is_one_line_whose_advice_works(toy, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        scripted(patch, 0.5, float("nan"))
        with pytest.raises(InputError, match=r"validation loss became nan in epoch 2; the state after epoch 1 is kept"):
            quietly(SETTINGS, toy, tmp_path / "out")
    assert open_run(tmp_path / "out").stopping.epoch == 1
    assert np.isfinite(evaluate(tmp_path / "out")["loss"])
    with pytest.raises(InputError, match=r"training loss became (nan|inf) in epoch 1; no epoch .* without --resume"):
        quietly(replace(SETTINGS, learning_rate=1e30), toy, tmp_path / "wild")
    lower = quietly(replace(SETTINGS, learning_rate=1e-4, epochs=1), toy, tmp_path / "another")
    assert np.isfinite(lower.history[0]["train_loss"])


def test_split_by_patient(toy, tmp_path):
    run = quietly(replace(SETTINGS, epochs=1, split="patient"), toy, tmp_path / "out")
    tested = image_ids(run.folder)
    with open(toy / "slices.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    inside = {row["patient_id"] for row in rows if row["image_id"] in tested}
    assert all(row["image_id"] in tested for row in rows if row["patient_id"] in inside)


def test_evaluate_repeats_what_training_found(finished, copy):
    for name in RESULTS:
        (copy / name).unlink()
    evaluate(copy)
    assert same_results(copy, finished)
    said = []
    metrics = evaluate(copy, "validation", say=said.append)
    assert same_results(copy, finished)
    best = open_run(copy)
    recorded = best.history[best.stopping.best_epoch - 1]
    assert metrics["loss"] == pytest.approx(recorded["validation_loss"])
    assert metrics["accuracy"] == recorded["validation_accuracy"]
    written = json.loads((copy / "validation" / "metrics.json").read_text(encoding="utf-8"))
    assert written["part"] == "validation"
    assert "weighted precision" in said[-1]


def test_the_data_must_be_those_of_the_training(toy, copy, tmp_path):
    moved = shutil.copytree(toy, tmp_path / "moved")
    evaluate(copy, data=moved)
    other = make_prepared(tmp_path / "other", count=60)
    with pytest.raises(InputError, match="not the data set"):
        evaluate(copy, data=other)
    with pytest.raises(InputError, match="not the data set"):
        quietly(SETTINGS, other, copy, resume=True)


def test_no_run_no_data_no_epoch(toy, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="not a run folder"):
        open_run(tmp_path)
    with pytest.raises(InputError, match="too few"):
        quietly(SETTINGS, make_prepared(tmp_path / "tiny", count=6), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="holds other files"):
        quietly(SETTINGS, toy, tmp_path / "tiny")
    scripted(monkeypatch, float("nan"))
    with pytest.raises(InputError, match="no epoch was finished"):
        quietly(SETTINGS, toy, tmp_path / "begun")
    with pytest.raises(InputError, match="no epoch is finished yet"):
        open_run(tmp_path / "begun")


def test_a_run_of_version_010_says_that_it_must_be_made_again(copy):
    (copy / "config.json").write_text('{"data": "data/prepared", "model": "proposed", "seed": 0}', encoding="utf-8")
    with pytest.raises(InputError, match="not of this version of ich_jax; train again"):
        open_run(copy)
