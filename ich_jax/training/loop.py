"""The training loop: an epoch, and epochs until early stopping (paper: Hiperparametre Seçimleri ve Ayarlar)."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ich_jax.data.prepared import Prepared
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.metrics import cross_entropy
from ich_jax.paper.steps import Sums, TrainState, no_sums
from ich_jax.plumbing.command import InputError
from ich_jax.training.batches import training_batches
from ich_jax.training.cache import Cache
from ich_jax.training.config import Settings
from ich_jax.training.inference import answer
from ich_jax.training.network import Network, dropout_key

LOOK_EVERY = 8  # steps between looks at the sums


class Progress(NamedTuple):
    """Where a training stands after an epoch."""

    state: TrainState
    history: list[dict[str, float]]  # a row for each epoch so far
    stopping: EarlyStopping


def fit(
    network: Network,
    progress: Progress,
    settings: Settings,
    prepared: Prepared,
    rows: dict[str, np.ndarray],
    after_epoch: Callable[[Progress], None],
    cache: Cache | None = None,
) -> Progress:
    """Train until early stopping or `settings.epochs`; `after_epoch` sees where it stands each time. The training
    slices come from the `cache`, if there is one.

    Raises InputError if a loss is not finite.
    """
    state, history, stopping = progress
    actual = prepared.classes[rows["validation"]]
    while stopping.epoch < settings.epochs and not stopping.should_stop:
        start, epoch = time.perf_counter(), stopping.epoch + 1
        images = cache or prepared.images
        state, train_loss, train_accuracy = train_epoch(
            network, state, settings, images, prepared.classes, rows["train"], epoch
        )
        logits = answer(network, state, prepared, rows["validation"], f"epoch {epoch}, validation")
        validation_loss = cross_entropy(actual, logits)
        _require_finite(validation_loss, "validation", epoch)
        stopping = stopping.after(validation_loss)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "validation_loss": validation_loss,
            "validation_accuracy": float(np.mean(logits.argmax(axis=1) == actual)),
            "seconds": round(time.perf_counter() - start, 1),
        }
        history = [*history, row]
        after_epoch(Progress(state, history, stopping))
    return Progress(state, history, stopping)


def train_epoch(
    network: Network,
    state: TrainState,
    settings: Settings,
    images: np.ndarray | Cache,
    classes: np.ndarray,
    rows: np.ndarray,
    epoch: int,
) -> tuple[TrainState, float, float]:
    """One pass over the training rows: the new state, and mean loss and accuracy as they were while it learned.

    Raises InputError as soon as the loss is seen to be NaN or infinite.
    """
    sums, key = network.devices.put((no_sums(), dropout_key(settings)))
    earlier = None  # sums of LOOK_EVERY steps ago: reading them does not wait for the steps that are under way
    order = settings.batch_size, settings.seed, epoch
    batches = training_batches(images, classes, rows, *order, network.devices)
    with tqdm(total=len(rows), unit="slice", desc=f"epoch {epoch}", leave=False, disable=None) as bar:
        for number, batch in enumerate(batches, start=1):
            state, sums = network.steps.train(state, sums, batch, key)
            if number % LOOK_EVERY == 0:
                if earlier:
                    _show(bar, earlier, epoch)
                earlier = sums
        _show(bar, sums, epoch)
    return state, *_means(sums)


def _show(bar: tqdm, sums: Sums, epoch: int) -> None:
    loss, accuracy = _means(sums)
    _require_finite(loss, "training", epoch)
    bar.set_postfix(loss=f"{loss:.4f}", accuracy=f"{accuracy:.4f}", refresh=False)
    bar.update(int(sums.slices) - bar.n)


def _means(sums: Sums) -> tuple[float, float]:
    slices = int(sums.slices)
    return float(sums.loss) / slices, int(sums.correct) / slices


def _require_finite(loss: float, which: str, epoch: int) -> None:
    if not math.isfinite(loss):
        kept = f"the state after epoch {epoch - 1} is kept" if epoch > 1 else "no epoch was finished"
        advice = "start again without --resume, with a lower --learning-rate and another --out"
        raise InputError(f"the {which} loss became {loss} in epoch {epoch}; {kept}; {advice}")
