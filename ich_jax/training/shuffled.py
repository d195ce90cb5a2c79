"""A run's training once more, on shuffled labels: a network that learned, and nothing that it could use (the data
randomisation test of Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018).

    shuffled.json   what was trained, and on what
    checkpoint/     the latest epoch, see checkpoint.py

Pictures, settings, first weights, order and augmentation are the run's, and so is the number of epochs, that of its
best one: early stopping would have nothing to wait for. Only which training slice has which label is drawn anew, so
each class has as many slices as before.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ich_jax.data.prepared import Prepared
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.steps import TrainState
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim, write_json
from ich_jax.training import checkpoint
from ich_jax.training.batches import split_rows
from ich_jax.training.loop import Progress, train_epoch
from ich_jax.training.network import weights_key
from ich_jax.training.run import Run

NAME = "shuffled_labels"  # of the folder in a run's
ABOUT = "shuffled.json"


def shuffled(classes: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """(N,) class indices, those of `rows` permuted among each other.

    >>> shuffled(np.array([0, 1, 2, 3, 4, 5]), np.array([1, 3, 5]), seed=2).tolist()
    [0, 5, 2, 3, 4, 1]
    """
    changed = classes.copy()
    changed[rows] = np.random.default_rng([seed, len(rows)]).permutation(classes[rows])
    return changed


def is_trained(run: Run, folder: Path) -> bool:
    """Whether the folder holds the network, so that no data are needed."""
    return (folder / ABOUT).exists() and checkpoint.saved_epochs(folder / "checkpoint")[-1:] == [_epochs(run)]


def _epochs(run: Run) -> int:
    return run.stopping.best_epoch


def train_on_shuffled_labels(
    run: Run, data: Prepared | None, folder: Path, say: Callable[[str], object] = print
) -> TrainState:
    """The network of `run.network` trained so. It is trained once: the folder keeps it, and where a kill has cut it off
    the same call goes on.

    Args:
        run: whose settings it has.
        data: the run's; None will do if it `is_trained`.
        folder: a new one, or one from an earlier call with the same run.
        say: what is told on the way goes here.

    Raises:
        InputError: `folder` holds something else, or a network of another run; a loss is not finite.
    """
    settings, epochs, path = run.settings, _epochs(run), folder / "checkpoint"
    if folder.exists() and not (folder / ABOUT).exists() and (folder.is_file() or any(folder.iterdir())):
        raise InputError(f"{folder}: is no network of shuffled labels; --shuffled takes its folder, or a new one")
    if is_trained(run, folder):
        return checkpoint.load(path, epochs, run.network.like, settings, run.found).state
    rows = split_rows(data, settings)["train"]
    classes = shuffled(data.classes, rows, settings.seed)
    with claim(folder):
        if not (folder / ABOUT).exists():
            write_json(folder / ABOUT, {"labels": "shuffled", "data": run.found.fingerprint, "epochs": epochs})
        saved = checkpoint.saved_epochs(path)
        if saved and saved[-1] > epochs:
            raise InputError(f"{folder}: was trained longer than the run; delete it to have it made again")
        if saved:
            progress = checkpoint.load(path, saved[-1], run.network.like, settings, run.found)
        else:
            stopping = EarlyStopping(settings.patience, settings.stopping)
            progress = Progress(run.network.draw(weights_key(settings)), [], stopping)
        say(f"training once on shuffled labels, {epochs} epochs, for comparison; kept in {folder}")
        for epoch in range(progress.stopping.epoch + 1, epochs + 1):
            state, loss, accuracy = train_epoch(
                run.network, progress.state, settings, data.images, classes, rows, epoch
            )
            history = [*progress.history, {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy}]
            progress = Progress(state, history, progress.stopping._replace(epoch=epoch, best_epoch=epoch))
            checkpoint.save(path, progress, settings, run.found)
            say(f"epoch {epoch:>2} of {epochs}, shuffled labels: train loss {loss:.4f} accuracy {accuracy:.4f}")
    return progress.state
