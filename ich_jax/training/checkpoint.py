"""Save and restore a training with Orbax: a whole checkpoint after every epoch, or none.

`checkpoint/epoch_0007/` holds the state after epoch 7 and, inside the same atomic save, everything needed to go on:
history and early stopping, and the settings it was trained with. Only the latest and the best epoch are kept. It is
written under a temporary name and renamed when whole. Orbax stores plain arrays and JSON: nothing in a checkpoint can
run code.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.steps import TrainState
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import require_space
from ich_jax.training.config import Found, Settings, require_same_training
from ich_jax.training.devices import in_step, is_first
from ich_jax.training.loop import Progress

FORMAT = 3  # of what is in a checkpoint; 1 was version 0.1.0's
SUMS = "sha256.json"
KEPT = "the epochs before it are kept"
NO_SPACE = ("No space left", "Disk quota exceeded")
_NAME = re.compile(r"epoch_(\d{4,})")


def saved_epochs(folder: Path) -> list[int]:
    """The epochs that have a whole checkpoint, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name)))


def save(folder: Path, progress: Progress, settings: Settings, found: Found) -> None:
    """Save where a training stands, then drop every epoch that is neither the latest nor the best. Every host takes
    part; the first one gives the folder its name when all are done.

    Raises InputError if the disk is full; what was there before is kept.
    """
    state, history, stopping = progress
    metadata = {
        "format": FORMAT,
        "settings": asdict(settings),
        "fingerprint": found.fingerprint,
        "history": history,
        "stopping": stopping._asdict(),
    }
    path = _path(folder, stopping.epoch)
    partial = path.with_name("partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Orbax would find out too, with a screenful of tracebacks.
    require_space(path.parent, int(1.1 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))), f"; {KEPT}")
    try:
        ocp.save(partial, state._asdict(), overwrite=True, custom_metadata=metadata)
        if is_first():
            (partial / SUMS).write_text(json.dumps(_sums(partial)), encoding="utf-8")
            os.rename(partial, path)
    except (OSError, ValueError) as error:  # Orbax reports a full disk as a ValueError
        if not any(words in str(error) for words in NO_SPACE):
            raise
        _keep_only(folder, saved_epochs(folder))
        raise InputError(f"{path}: cannot be written: no space left on the disk; {KEPT}") from error
    if is_first():
        _keep_only(folder, (stopping.epoch, stopping.best_epoch))
    in_step(f"epoch {stopping.epoch} saved")


def _keep_only(folder: Path, epochs: Iterable[int]) -> None:
    keep = {_path(folder, epoch).name for epoch in epochs}
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name not in keep:
            shutil.rmtree(entry, ignore_errors=True)


def load(folder: Path, epoch: int, like: TrainState, settings: Settings, found: Found) -> Progress:
    """Where a training stood after an epoch. `like` gives shapes, dtypes and device of its state.

    Raises InputError if the checkpoint is damaged, was trained with other settings or on other data, or is of another
    version.
    """
    path = _path(folder, epoch)
    try:
        if json.loads((path / SUMS).read_text(encoding="utf-8")) != _sums(path):
            raise InputError(f"{path}: damaged: its files are not as they were saved")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged: {error}") from error
    metadata = _ask_orbax(path, lambda: ocp.metadata(path).custom_metadata) or {}
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: not of this version of ich_jax; train again, into another folder")
    require_same_training(settings, Settings(**metadata["settings"]), path)
    if metadata["fingerprint"] != found.fingerprint:
        raise InputError(f"{path}: was trained on another data set than config.json says")
    state = _ask_orbax(path, lambda: ocp.load(path, like._asdict()))
    return Progress(TrainState(**state), metadata["history"], EarlyStopping(**metadata["stopping"]))


def _ask_orbax(path: Path, question):
    try:
        return question()
    except (OSError, ValueError, KeyError) as error:  # what it and TensorStore raise on files that they cannot read
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())[:200]}") from error


def _path(folder: Path, epoch: int) -> Path:
    return folder.resolve() / f"epoch_{epoch:04d}"


def _sums(path: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint. Checked first, since Orbax fills the terminal on a damaged one."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != SUMS)
    sums = {}
    for file in files:
        with open(file, "rb") as stream:
            sums[file.relative_to(path).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
