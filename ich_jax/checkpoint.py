"""Save and restore a training run with Orbax: a whole checkpoint after every epoch, or none.

`checkpoint/epoch_0007/` holds the state after epoch 7 and, inside the same atomic save, everything needed to go on:
history and early stopping. Only the latest and the best epoch are kept. It is written under a temporary name and
renamed when whole. Orbax stores plain arrays and JSON: nothing in a checkpoint can run code.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

from ich_jax.early_stopping import EarlyStopping
from ich_jax.errors import InputError
from ich_jax.steps import TrainState

SUMS = "sha256.json"
KEPT = "the epochs before it are kept"
_NAME = re.compile(r"epoch_(\d{4})")


def saved_epochs(folder: Path) -> list[int]:
    """The epochs that have a whole checkpoint, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name)))


def save(folder: Path, state: TrainState, history: list[dict[str, float]], stopping: EarlyStopping) -> None:
    """Save the state after epoch `stopping.epoch`, then drop every epoch that is neither the latest nor the best.

    Raises InputError if it cannot be written, as on a full disk; what was there before is kept.
    """
    metadata = {"history": history, "stopping": stopping._asdict()}
    path = _path(folder, stopping.epoch)
    partial = path.with_name("partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    need, free = sum(leaf.nbytes for leaf in jax.tree.leaves(state)), shutil.disk_usage(path.parent).free
    if need * 1.1 > free:  # Orbax would find out too, with a screenful of tracebacks
        raise InputError(f"{path}: needs {need / 1e6:.0f} MB, the disk has {free / 1e6:.0f} MB free; {KEPT}")
    try:
        ocp.save(partial, state._asdict(), overwrite=True, custom_metadata=metadata)
        (partial / SUMS).write_text(json.dumps(_sums(partial)), encoding="utf-8")
        os.rename(partial, path)
    except Exception as error:  # Orbax reports a full disk as a ValueError
        _keep_only(folder, saved_epochs(folder))
        reason = "no space left on the disk" if "No space left" in str(error) else " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be written: {reason}; {KEPT}") from None
    _keep_only(folder, (stopping.epoch, stopping.best_epoch))


def _keep_only(folder: Path, epochs: Iterable[int]) -> None:
    keep = {_path(folder, epoch).name for epoch in epochs}
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name not in keep:
            shutil.rmtree(entry, ignore_errors=True)


def load(folder: Path, epoch: int, like: TrainState) -> tuple[TrainState, list[dict[str, float]], EarlyStopping]:
    """The state, history and stopping after an epoch. `like` gives shapes, dtypes and device; its values are not used.

    Raises InputError if the checkpoint is damaged or of another network.
    """
    path = _path(folder, epoch)
    try:
        if json.loads((path / SUMS).read_text(encoding="utf-8")) != _sums(path):
            raise ValueError("its files are not as they were saved")
        metadata = ocp.metadata(path).custom_metadata
        state = TrainState(**ocp.load(path, jax.tree.map(_describe, like._asdict())))
        return state, metadata["history"], EarlyStopping(**metadata["stopping"])
    except Exception as error:  # Orbax and TensorStore have no common exception for a damaged checkpoint
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged, or from another network or version: {reason}") from None


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


def _describe(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
