import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from ich_jax import checkpoint
from ich_jax.models.proposed import ProposedCNN
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.steps import adam, split_model
from ich_jax.plumbing.command import InputError


def make_state(seed=0, size=20):
    return split_model(ProposedCNN(size, rngs=nnx.Rngs(seed)), adam())[1]


def test_what_is_saved_comes_back(tmp_path):
    state, like = make_state(0), make_state(1)
    history = [{"epoch": 1, "train_loss": 0.1 + 0.2}]
    stopping = EarlyStopping(3).after(1 / 3)
    checkpoint.save(tmp_path, state, history, stopping)
    assert checkpoint.saved_epochs(tmp_path) == [1]
    restored, restored_history, restored_stopping = checkpoint.load(tmp_path, 1, like)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(restored), strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_array_equal(old, new)
    assert restored_history == history
    assert restored_stopping == stopping


def test_the_latest_and_the_best_are_kept(tmp_path):
    state, stopping = make_state(), EarlyStopping(9)
    (tmp_path / "epoch_0099.partial").mkdir()  # left by a kill
    for loss, kept in [(0.5, [1]), (0.4, [2]), (0.6, [2, 3]), (0.7, [2, 4]), (0.3, [5])]:
        stopping = stopping.after(loss)
        checkpoint.save(tmp_path, state, [], stopping)
        assert checkpoint.saved_epochs(tmp_path) == kept
    assert [entry.name for entry in tmp_path.iterdir()] == ["epoch_0005"]


def test_a_kill_before_the_rename_leaves_the_old_one(tmp_path, monkeypatch):
    state, stopping = make_state(), EarlyStopping(9).after(1.0)
    checkpoint.save(tmp_path, state, [], stopping)

    rename = os.rename

    def killed(source, target):
        if Path(target).name == "epoch_0002":  # Orbax renames too, and waits for ever if that fails
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, state, [], stopping.after(0.5))
    assert checkpoint.saved_epochs(tmp_path) == [1]
    checkpoint.save(tmp_path, state, [], stopping.after(0.5))
    assert checkpoint.saved_epochs(tmp_path) == [2]


def test_a_full_disk_is_one_line_and_keeps_the_old_one(tmp_path, monkeypatch):
    state, stopping = make_state(), EarlyStopping(9).after(1.0)
    checkpoint.save(tmp_path, state, [], stopping)

    def full(path, *_, **__):
        (path.parent / "partial.orbax-checkpoint-tmp").mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: Failed writing: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(InputError, match=r"epoch_0002: needs \d+ MB, the disk has 0 MB free"):
            checkpoint.save(tmp_path, state, [], stopping.after(0.5))
    monkeypatch.setattr(checkpoint.ocp, "save", full)
    with pytest.raises(InputError, match=r"epoch_0002: cannot be written: no space left"):
        checkpoint.save(tmp_path, state, [], stopping.after(0.5))
    assert [entry.name for entry in tmp_path.iterdir()] == ["epoch_0001"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's, from its own threads
def test_damaged_or_foreign_checkpoints_are_refused(tmp_path):
    checkpoint.save(tmp_path, make_state(), [], EarlyStopping(3).after(1.0))
    with pytest.raises(InputError, match="epoch_0001: damaged, or from another network"):
        checkpoint.load(tmp_path, 1, make_state(size=100))
    for file in (tmp_path / "epoch_0001").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="epoch_0001: damaged"):
        checkpoint.load(tmp_path, 1, make_state())


def test_no_folder_has_no_epochs(tmp_path):
    assert checkpoint.saved_epochs(tmp_path / "absent") == []
