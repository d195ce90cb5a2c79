import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from ich_jax.models.proposed import ProposedCNN
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.steps import adam, split_model
from ich_jax.plumbing.command import InputError
from ich_jax.training import checkpoint
from ich_jax.training.config import Found, Settings
from ich_jax.training.loop import Progress

SETTINGS = Settings(seed=3)
FOUND = Found("data/toy", "toy", False, "abc", 20, {"train": 4, "validation": 2, "test": 2}, "cpu (cpu)")


@pytest.fixture(scope="module")
def state():
    return split_model(ProposedCNN(20, rngs=nnx.Rngs(0)), adam())[1]


def like(state):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), state)


def save(folder, state, stopping, history=()):
    checkpoint.save(folder, Progress(state, list(history), stopping), SETTINGS, FOUND)


def load(folder, epoch, state, settings=SETTINGS, found=FOUND):
    return checkpoint.load(folder, epoch, like(state), settings, found)


def test_what_is_saved_comes_back_on_its_device(tmp_path, state):
    history = [{"epoch": 1, "train_loss": 0.1 + 0.2}]
    stopping = EarlyStopping(3).after(1 / 3)
    save(tmp_path, state, stopping, history)
    assert checkpoint.saved_epochs(tmp_path) == [1]
    restored = load(tmp_path, 1, state)
    assert jax.tree.structure(restored.state) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(restored.state), strict=True):
        assert old.dtype == new.dtype
        assert new.committed
        np.testing.assert_array_equal(old, new)
    assert (restored.history, restored.stopping) == (history, stopping)


def test_the_latest_and_the_best_are_kept(tmp_path, state):
    stopping = EarlyStopping(9)
    (tmp_path / "epoch_0099.partial").mkdir()  # left by a kill
    for loss, kept in [(0.5, [1]), (0.4, [2]), (0.6, [2, 3]), (0.7, [2, 4]), (0.3, [5])]:
        stopping = stopping.after(loss)
        save(tmp_path, state, stopping)
        assert checkpoint.saved_epochs(tmp_path) == kept
    assert [entry.name for entry in tmp_path.iterdir()] == ["epoch_0005"]


def test_a_kill_before_the_rename_leaves_the_old_one(tmp_path, state, monkeypatch):
    stopping = EarlyStopping(9).after(1.0)
    save(tmp_path, state, stopping)
    rename = os.rename

    def killed(source, target):
        if Path(target).name == "epoch_0002":  # Orbax renames too, and waits for ever if that fails
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, state, stopping.after(0.5))
    assert checkpoint.saved_epochs(tmp_path) == [1]
    save(tmp_path, state, stopping.after(0.5))
    assert checkpoint.saved_epochs(tmp_path) == [2]


def test_a_full_disk_is_one_line_and_keeps_the_old_one(tmp_path, state, monkeypatch):
    stopping = EarlyStopping(9).after(1.0)
    save(tmp_path, state, stopping)

    def full(path, *_, **__):
        (path.parent / "partial.orbax-checkpoint-tmp").mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: Failed writing: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(InputError, match=r"needs \d+ MB, the disk has 0 kB free; the epochs before it are kept"):
            save(tmp_path, state, stopping.after(0.5))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.ocp, "save", full)
        with pytest.raises(InputError, match="epoch_0002: cannot be written: no space left") as caught:
            save(tmp_path, state, stopping.after(0.5))
    assert isinstance(caught.value.__cause__, ValueError)
    assert [entry.name for entry in tmp_path.iterdir()] == ["epoch_0001"]


@pytest.mark.parametrize("place", ["save", "load"])
def test_a_bug_of_our_own_is_not_called_damage(tmp_path, state, monkeypatch, place):
    def buggy(*_, **__):
        raise ValueError("a bug") if place == "save" else TypeError("a bug")

    stopping = EarlyStopping(3).after(1.0)
    save(tmp_path, state, stopping)
    monkeypatch.setattr(checkpoint.ocp, place, buggy)
    with pytest.raises((TypeError, ValueError), match="a bug"):
        save(tmp_path, state, stopping.after(0.5)) if place == "save" else load(tmp_path, 1, state)


def test_other_settings_other_data_and_other_versions_are_refused(tmp_path, state, monkeypatch):
    save(tmp_path, state, EarlyStopping(3).after(1.0))
    with pytest.raises(InputError, match="epoch_0001: was started with seed 3, not 4"):
        load(tmp_path, 1, state, settings=replace(SETTINGS, seed=4))
    with pytest.raises(InputError, match="epoch_0001: was trained on another data set"):
        load(tmp_path, 1, state, found=replace(FOUND, fingerprint="def"))
    load(tmp_path, 1, state, settings=replace(SETTINGS, epochs=99))
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    with pytest.raises(InputError, match="epoch_0001: not of this version"):
        load(tmp_path, 1, state)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's, from its own threads
def test_damaged_checkpoints_are_refused_and_the_cause_is_kept(tmp_path, state):
    save(tmp_path, state, EarlyStopping(3).after(1.0))
    path = tmp_path / "epoch_0001"
    for file in path.rglob("*"):
        if file.is_file() and file.name != "_CHECKPOINT_METADATA":  # our own part, read before the arrays are
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="epoch_0001: damaged"):
        load(tmp_path, 1, state)
    (path / checkpoint.SUMS).write_text(json.dumps(checkpoint._sums(path)), encoding="utf-8")  # so that Orbax is asked
    with pytest.raises(InputError, match="epoch_0001: damaged") as caught:
        load(tmp_path, 1, state)
    assert caught.value.__cause__ is not None


def test_no_folder_has_no_epochs(tmp_path):
    assert checkpoint.saved_epochs(tmp_path / "absent") == []
