"""A training from beginning to end, and a run folder opened again.

config.json       settings, and what was found when the training started
history.csv       epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, seconds
checkpoint/       the latest and the best epoch, see checkpoint.py
metrics.json  confusion.csv  predictions.csv  figures/*.png     the best epoch on the test part
validation/       the same four for the validation part, once `evaluate --part validation` has run
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from ich_jax.data.prepared import Prepared, open_prepared, open_same
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.printed import CLASSES, LEARNING_RATE
from ich_jax.paper.splits import small_class_warnings
from ich_jax.paper.steps import TrainState
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim, require_empty
from ich_jax.training import checkpoint, outcome
from ich_jax.training.batches import split_rows
from ich_jax.training.cache import Cache, cache_on_device
from ich_jax.training.config import (
    EPSILONS,
    Found,
    Settings,
    read_config,
    require_same_training,
    unlike_the_paper,
    write_config,
)
from ich_jax.training.devices import Devices, choose_devices, in_step, is_first
from ich_jax.training.folders import LATEST, RUNS, point_to
from ich_jax.training.inference import answer
from ich_jax.training.loop import Progress, fit
from ich_jax.training.network import Network, build, weights_key

FINISHED = "this run is finished; for a new training choose another --out (with make: OUT=folder)"

Say = Callable[[str], object]


@dataclass(frozen=True)
class Run:
    """A training that has finished an epoch: its network, at the best epoch so far."""

    folder: Path
    settings: Settings
    found: Found
    network: Network
    state: TrainState
    history: list[dict[str, float]]
    stopping: EarlyStopping  # of the latest epoch


def train(
    settings: Settings,
    data: Prepared | str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    devices: Devices | None = None,
    cached: bool = False,
    say: Say = print,
) -> Run:
    """Train until early stopping or `settings.epochs`, then evaluate the best epoch on the test part.

    After every epoch the checkpoint and history.csv are renewed, so a kill loses at most the epoch under way, and the
    run that goes on ends with the same numbers as one that was never killed (on the same device).

    Args:
        settings: what to train, and how.
        data: a prepared folder, open or its path.
        out: the run folder, an empty or new one.
        resume: go on with the run in `out`, if there is one, from its latest checkpoint.
        devices: to train on (default: all GPUs, or one CPU). Where several hosts call this, the first one writes.
        cached: keep the training slices in the device's memory, see cache.py.
        say: what is told on the way goes here, line by line.

    Returns:
        The run at its best epoch.

    Raises:
        InputError: the data or the folder do not fit, the device's memory or the disk is full, a loss is not finite,
            another host is gone.
    """
    devices = devices or choose_devices()
    say = say if is_first() else lambda _: None
    prepared, out = data if isinstance(data, Prepared) else open_prepared(data), Path(out)
    rows = split_rows(prepared, settings)
    found = Found(
        data=str(prepared.path.resolve()),
        title=prepared.title,
        phantom=prepared.phantom,
        fingerprint=prepared.fingerprint,
        image_size=prepared.image_size,
        slices={part: len(chosen) for part, chosen in rows.items()},
        device=str(devices),
    )
    with _one_of_several_hosts(), claim(out) if is_first() else nullcontext():
        if is_first():
            _require_fitting(out, settings, found, resume)
        network = build(settings, found, devices)
        cache = cache_on_device(prepared.images, rows["train"], devices) if cached else None
        say(_introduction(settings, found, prepared, rows, network))
        if is_first():
            write_config(out, settings, found)
        in_step("the folder is claimed")
        if is_first() and out.parent == RUNS and out != LATEST and not point_to(out):
            say(f"note: {LATEST} could not be made to lead to this run")
        try:
            progress = _fit(settings, found, network, prepared, rows, out, cache, say)
            run = _at_best(out, settings, found, network, progress)
            logits = answer(network, run.state, prepared, rows["test"], "test")
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" in str(error):
                raise InputError("the device ran out of memory; start again with a smaller --batch-size") from None
            if jax.process_count() == 1:
                raise
            how = "start all of them again with --resume"
            raise InputError(f"another host is gone; {how} ({str(error).splitlines()[0][:100]})") from None
        if is_first():
            metrics = outcome.write_outcome(out, settings, progress, prepared, "test", rows["test"], logits)
            say(f"{outcome.as_text(metrics)}\n\nfigures, tables and the network: {out}")
        in_step("the outcome is written")
    return run


@contextmanager
def _one_of_several_hosts() -> Iterator[None]:
    """A host that gives up leaves at once: the others, which wait for it, notice and leave too."""
    try:
        yield
    except InputError as error:
        error.at_once = jax.process_count() > 1
        raise


def _require_fitting(out: Path, settings: Settings, found: Found, resume: bool) -> None:
    """Raises InputError unless `out` is free, or holds a run that these settings and data go on with."""
    if not (out / "config.json").exists():
        require_empty(out)
        return
    if not resume:
        raise InputError(f"{out}: holds a run already; add --resume to go on with it, or choose another --out")
    before, found_before = read_config(out)
    require_same_training(settings, before, out)
    if found.fingerprint != found_before.fingerprint:
        how = "choose another --out (with make: OUT=folder)"
        raise InputError(f"{found.data}: not the data set that {out} was trained on (slices.csv differs); {how}")


def _fit(
    settings: Settings,
    found: Found,
    network: Network,
    prepared: Prepared,
    rows: dict[str, np.ndarray],
    out: Path,
    cache: Cache | None,
    say: Say,
) -> Progress:
    folder = out / "checkpoint"

    def after_epoch(progress: Progress) -> None:
        checkpoint.save(folder, progress, settings, found)
        if is_first():
            outcome.write_history(out, progress.history)
        say(_epoch_line(progress))

    epochs = checkpoint.saved_epochs(folder)
    if epochs:
        progress = checkpoint.load(folder, epochs[-1], network.like, settings, found)
        if is_first():
            outcome.write_history(out, progress.history)
        going_on = progress.stopping.epoch < settings.epochs and not progress.stopping.should_stop
        say(f"going on after epoch {progress.stopping.epoch}" if going_on else FINISHED)
    else:
        state = network.draw(weights_key(settings))
        progress = Progress(state, [], EarlyStopping(settings.patience, settings.stopping))
    progress = fit(network, progress, settings, prepared, rows, after_epoch, cache)
    stopping = progress.stopping
    why = f"{settings.patience} bad epochs in a row" if stopping.should_stop else "all epochs done"
    say(f"stopped after epoch {stopping.epoch} ({why}); best epoch {stopping.best_epoch}\n")
    return progress


def _at_best(folder: Path, settings: Settings, found: Found, network: Network, latest: Progress) -> Run:
    state, history, stopping = latest
    if stopping.best_epoch != stopping.epoch:
        best = checkpoint.load(folder / "checkpoint", stopping.best_epoch, network.like, settings, found)
        state = best.state
    return Run(folder, settings, found, network, state, history, stopping)


def open_run(folder: str | Path, devices: Devices | None = None) -> Run:
    """A run folder, at its best epoch, on `devices` (default: JAX's default device).

    Raises InputError if it is not one, is damaged, or has not finished an epoch.
    """
    folder = Path(folder)
    settings, found = read_config(folder)
    epochs = checkpoint.saved_epochs(folder / "checkpoint")
    if not epochs:
        how = f"go on with `python -m ich_jax.train --out {folder} --resume`"
        raise InputError(f"{folder}: no epoch is finished yet; {how}")
    network = build(settings, found, devices)
    latest = checkpoint.load(folder / "checkpoint", epochs[-1], network.like, settings, found)
    return _at_best(folder, settings, found, network, latest)


def evaluate(folder: str | Path, part: str = "test", data: str | Path | None = None, *, say: Say = print) -> dict:
    """Metrics, confusion matrix, predictions and figures of a run's best epoch, written into its folder.

    Args:
        folder: the run folder.
        part: "validation" or "test".
        data: the prepared folder, if it has moved since the training.
        say: what is told on the way goes here.

    Returns:
        The metrics, as in metrics.json.

    Raises InputError if the folder is no run, or the data are not those it was trained on.
    """
    folder = Path(folder)
    read_config(folder)  # what is no run is not claimed
    with claim(folder):
        run = open_run(folder)
        prepared = open_same(data or run.found.data, run.found.fingerprint)
        rows = split_rows(prepared, run.settings)
        for sentence in small_class_warnings(prepared.classes, rows):
            say(f"warning: {sentence}")
        if run.stopping.epoch < run.settings.epochs and not run.stopping.should_stop:
            say(f"warning: this training is not finished; these are the results after {run.stopping.epoch} epochs")
        logits = answer(run.network, run.state, prepared, rows[part], part)
        progress = Progress(run.state, run.history, run.stopping)
        metrics = outcome.write_outcome(folder, run.settings, progress, prepared, part, rows[part], logits)
    say(f"{outcome.as_text(metrics)}\n\nfigures and tables: {folder if part == 'test' else folder / part}")
    return metrics


def _epoch_line(progress: Progress) -> str:
    row, best = progress.history[-1], progress.stopping.best_epoch == progress.stopping.epoch
    return (
        f"epoch {row['epoch']:>2}  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}"
        f"  validation loss {row['validation_loss']:.4f} accuracy {row['validation_accuracy']:.4f}"
        f"  {row['seconds']:.0f} s{'  * best' if best else ''}"
    )


def _introduction(
    settings: Settings, found: Found, prepared: Prepared, rows: dict[str, np.ndarray], network: Network
) -> str:
    """What is about to be trained, on what data and device."""
    trainable, statistics = (
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for tree in (network.like.params, network.like.batch_stats)
    )
    counts = Counter(CLASSES[k] for k in prepared.classes.tolist())
    epsilon = "" if settings.epsilon == EPSILONS[0] else f", ε {settings.epsilon}"
    lines = [
        f"data        {'PHANTOM, synthetic slices: ' if found.phantom else ''}{_shown(prepared.path)}:"
        f" {len(prepared.classes):,} slices, {found.image_size}×{found.image_size}"
        f" ({', '.join(f'{counts[name]:,} {name}' for name in CLASSES if counts[name])})",
        f"split       by {settings.split}: " + ", ".join(f"{count:,} {part}" for part, count in found.slices.items()),
        f"device      {found.device}",
        f"network     {settings.model}: {trainable + statistics:,} parameters, {trainable:,} of them trainable",
        f"training    Adam {settings.learning_rate:g}, β1 {settings.beta1:g}{epsilon}, decay {settings.decay},"
        f" batch {settings.batch_size}, ≤ {settings.epochs} epochs, patience {settings.patience} ({settings.stopping}),"
        f" seed {settings.seed}, split seed {settings.split_seed}",
    ]
    if network.devices.count > 1 and settings.batch_size % network.devices.count:
        lines.append(f"note: batches of {settings.batch_size} go whole to each of {network.devices.count} devices")
    if settings.split == "patient" and prepared.nameless:
        lines.append(f"note: {prepared.nameless}")
    differences = unlike_the_paper(settings, found)
    if differences:
        lines.append(f"not as in the paper: {', '.join(differences)}")
    if found.phantom and settings.learning_rate == LEARNING_RATE:
        lines.append("hint: the paper's settings are made for 360,000 slices; --preset phantom suits these better")
    lines += [f"warning: {sentence}" for sentence in small_class_warnings(prepared.classes, rows)]
    return "\n".join(lines)


def _shown(path: Path) -> Path:
    """A path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
