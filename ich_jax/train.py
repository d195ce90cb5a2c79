"""`python -m ich_jax.train --data DIR`: train a network (paper: Hiperparametre Seçimleri ve Ayarlar)."""

import argparse
import math
import time
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from ich_jax import checkpoint
from ich_jax.data.batches import training_batches
from ich_jax.data.labels import CLASSES
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.data.splits import small_class_warnings
from ich_jax.early_stopping import RULES, EarlyStopping
from ich_jax.errors import InputError, run_command
from ich_jax.metrics import cross_entropy
from ich_jax.models import MODELS
from ich_jax.phantom import phantom_data
from ich_jax.presets import PRESETS, SETTINGS, unlike_the_paper
from ich_jax.results import answer, report, write_results
from ich_jax.run import (
    DECAYS,
    SPLITS,
    Config,
    Run,
    build,
    build_like,
    open_data,
    open_run,
    read_config,
    split_rows,
    write_config,
    write_history,
)
from ich_jax.steps import TrainState, adam, train_step

FINISHED = "this run is finished; for a new training choose another --out (with make: OUT=folder)"
READ_EVERY = 20  # steps between looks at the loss: each look waits for the device


def train_epoch(
    structure: nnx.GraphDef,
    state: TrainState,
    config: Config,
    prepared: Prepared,
    rows: np.ndarray,
    epoch: int,
) -> tuple[TrainState, float, float]:
    """One pass over the training rows: the new state, and mean loss and accuracy as they were while it learned.

    Raises InputError as soon as the loss is seen to be NaN or infinite.
    """
    optimizer, scale = adam(config.learning_rate, config.beta1), decayed(config, epoch)
    key = jax.random.fold_in(jax.random.key(config.seed), epoch)
    loss_sum, correct, seen, unread = 0.0, 0, 0, []
    batches = training_batches(prepared.images, prepared.classes, rows, config.batch_size, config.seed, epoch)
    with tqdm(total=len(rows), unit="slice", desc=f"epoch {epoch}", leave=False, disable=None) as bar:
        for step, batch in enumerate(batches):
            state, loss, hits = train_step(structure, optimizer, state, batch, jax.random.fold_in(key, step), scale)
            unread.append((loss, hits, len(batch.classes)))
            if len(unread) == READ_EVERY or seen + sum(size for *_, size in unread) == len(rows):
                for value, right, size in unread:
                    loss_sum += float(value) * size
                    correct += int(right)
                    seen += size
                    bar.update(size)
                unread.clear()
                bar.set_postfix(loss=f"{loss_sum / seen:.4f}", accuracy=f"{correct / seen:.4f}")
                _require_finite(loss_sum, "training", epoch)
    return state, loss_sum / seen, correct / seen


def decayed(config: Config, epoch: int) -> float:
    """The learning rate of an epoch as a share of the first one's: 1, or half a cosine from 1 to nearly 0 (SGDR)."""
    return (1 + math.cos(math.pi * (epoch - 1) / config.epochs)) / 2 if config.decay == "cosine" else 1.0


def _require_finite(loss: float, which: str, epoch: int) -> None:
    if not math.isfinite(loss):
        kept = f"the state after epoch {epoch - 1} is kept" if epoch > 1 else "no epoch was finished"
        raise InputError(f"the {which} loss became {loss} in epoch {epoch}; {kept}; try a lower --learning-rate")


def train(config: Config, out: Path) -> Run:
    """Train until early stopping or `config.epochs`, from the latest checkpoint in `out` if there is one.

    After every epoch the checkpoint and history.csv are renewed, so a kill loses at most the epoch under way, and the
    run that goes on ends with the same numbers as one that was never killed (on the same device).

    Returns:
        The run at its best epoch.

    Raises:
        InputError: the data do not fit, or the loss is not finite.
    """
    prepared = open_data(config)
    rows = split_rows(config, prepared)
    folder = out / "checkpoint"
    epochs = checkpoint.saved_epochs(folder)
    structure, state = build(config)
    history, stopping = [], EarlyStopping(config.patience, config.stopping)
    if epochs:
        state, history, stopping = checkpoint.load(folder, epochs[-1], state)
        write_history(out, history)
        left = config.epochs - stopping.epoch if not stopping.should_stop else 0
        print(f"going on after epoch {stopping.epoch}" if left > 0 else FINISHED)
    while stopping.epoch < config.epochs and not stopping.should_stop:
        start, epoch = time.perf_counter(), stopping.epoch + 1
        state, loss, accuracy = train_epoch(structure, state, config, prepared, rows["train"], epoch)
        logits = answer(structure, state, prepared, rows["validation"], config.batch_size, f"epoch {epoch}, validation")
        actual = prepared.classes[rows["validation"]]
        validation_loss = cross_entropy(actual, logits)
        _require_finite(validation_loss, "validation", epoch)
        validation_accuracy = float(np.mean(logits.argmax(axis=1) == actual))
        stopping = stopping.after(validation_loss)
        history.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "validation_loss": validation_loss,
                "validation_accuracy": validation_accuracy,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        checkpoint.save(folder, state, history, stopping)
        write_history(out, history)
        print(_epoch_line(history[-1], best=stopping.best_epoch == epoch), flush=True)
    run = open_run(out)
    why = f"{config.patience} bad epochs in a row" if stopping.should_stop else "all epochs done"
    print(f"stopped after epoch {stopping.epoch} ({why}); best epoch {stopping.best_epoch}\n")
    logits = answer(structure, run.state, prepared, rows["test"], config.batch_size, "test")
    print(report(write_results(run, prepared, "test", rows["test"], logits)))
    print(f"\nfigures, tables and the network: {out}")
    return run


def _epoch_line(row: dict[str, float], best: bool) -> str:
    return (
        f"epoch {row['epoch']:>2}  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}"
        f"  validation loss {row['validation_loss']:.4f} accuracy {row['validation_accuracy']:.4f}"
        f"  {row['seconds']:.0f} s{'  * best' if best else ''}"
    )


def introduce(config: Config, prepared: Prepared) -> str:
    """What is about to be trained, on what data and device."""
    rows = split_rows(config, prepared)
    _, like = build_like(config)
    trainable, statistics = (sum(math.prod(x.shape) for x in jax.tree.leaves(t)) for t in like[:2])
    counts = Counter(CLASSES[k] for k in prepared.classes)
    device = jax.devices()[0]
    lines = [
        f"data        {'PHANTOM, synthetic slices: ' if prepared.phantom else ''}{_shown(prepared.path)}:"
        f" {len(prepared.classes):,} slices, {config.image_size}×{config.image_size}"
        f" ({', '.join(f'{counts[name]:,} {name}' for name in CLASSES if counts[name])})",
        f"split       by {config.split}: " + ", ".join(f"{len(r):,} {part}" for part, r in rows.items()),
        f"device      {device.device_kind} ({device.platform})",
        f"network     {config.model}: {trainable + statistics:,} parameters, {trainable:,} of them trainable",
        f"training    Adam {config.learning_rate:g}, β1 {config.beta1:g}, decay {config.decay},"
        f" batch {config.batch_size}, ≤ {config.epochs} epochs, patience {config.patience} ({config.stopping}),"
        f" seed {config.seed}",
    ]
    differences = unlike_the_paper(config)
    if differences:
        lines.append(f"not as in the paper: {', '.join(differences)}")
    if prepared.phantom and config.learning_rate == PRESETS["paper"]["learning_rate"]:
        lines.append("hint: the paper's settings are made for 360,000 slices; --preset phantom suits these better")
    lines += [f"warning: {sentence}" for sentence in small_class_warnings(prepared.classes, rows)]
    return "\n".join(lines)


def _shown(path: Path) -> Path:
    """A path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def configure(given: dict, out: Path, resume: bool) -> Config:
    """The settings of this training: those of the run to resume, or `given` over a preset's over the paper's.

    Without "data" in `given`, a new training makes and prepares the phantom, unless it is there.

    Raises InputError if `out` holds a run and `resume` is not asked for, or if `given` contradicts that run.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; --out has to be a folder")
    given = dict(given)
    preset = given.pop("preset", None)
    if (out / "config.json").exists():
        if not resume:
            raise InputError(f"{out}: holds a run already; add --resume to go on with it, or choose another --out")
        config = read_config(out)
        given = {**{name: value for name, value in PRESETS.get(preset, {}).items() if name != "epochs"}, **given}
        asked = set(given)
        given["data"] = str(Path(given.get("data", config.data)).resolve())
        if config.decay == "none":  # else the rates of the epochs so far would have been others
            config = replace(config, epochs=given.pop("epochs", config.epochs))
        for name, value in given.items():
            if value != getattr(config, name):
                raise InputError(f"{out}: was started with {name} {getattr(config, name)}, not {value}")
        usual = Config(config.data)
        kept = [name for name in SETTINGS if name not in asked and getattr(config, name) != getattr(usual, name)]
        if kept:
            print(f"settings kept from {out}: " + ", ".join(f"{name} {getattr(config, name)}" for name in kept))
    else:
        preset = preset or ("paper" if "data" in given else "phantom")
        prepared = open_prepared(given["data"] if "data" in given else phantom_data())
        given = {**PRESETS[preset], **given, "data": str(prepared.path.resolve())}
        config = Config(
            **given,
            image_size=prepared.image_size,
            slices=len(prepared.classes),
            data_fingerprint=prepared.fingerprint,
            phantom=prepared.phantom,
        )
    return config


def main(argv: list[str] | None = None) -> Run:
    defaults = {field.name: field.default for field in fields(Config)}
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.train",
        description="Train a network on a prepared folder with the paper's settings; without --data on a phantom.",
        argument_default=argparse.SUPPRESS,
    )

    def option(name: str, help_text: str, **kwargs) -> None:
        kwargs.setdefault("type", type(defaults[name]))
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"{help_text} (default: {defaults[name]})", **kwargs)

    parser.add_argument(
        "--data", help="prepared folder, from `python -m ich_jax.prepare` (default: a phantom, made in data/phantom/)"
    )
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="settings to start from; the other options replace single ones (default: paper with --data, else phantom)",
    )
    option("model", "network to train", choices=sorted(MODELS))
    option("batch_size", "slices per step", type=_positive(int))
    option("learning_rate", "Adam's step size", type=_positive(float))
    option("beta1", "Adam's first decay rate, the paper's momentum", type=_decay)
    option("decay", "of the learning rate: none as in the paper, or along a cosine to 0", choices=DECAYS)
    option("epochs", "epochs at most", type=_positive(int))
    option("patience", "epochs without a better validation loss before stopping", type=_positive(int))
    option("stopping", "how to read the paper's stopping rule", choices=RULES)
    option("split", "by image as in the paper, or by patient", choices=SPLITS)
    option("limit", "use only so many slices, drawn at random; 0 is all", type=seed_or_count)
    option("norm_momentum", "of batch norm's running statistics: how much they keep at each step", type=_decay)
    option("seed", "decides initial weights, split and order", type=seed_or_count)
    parser.add_argument("--out", type=Path, default=Path("runs/latest"), help="run folder (default: runs/latest)")
    parser.add_argument("--resume", action="store_true", default=False, help="go on with the run in --out")
    given = vars(parser.parse_args(argv))
    out, resume = given.pop("out"), given.pop("resume")
    config = configure(given, out, resume)
    print(introduce(config, open_data(config)), flush=True)
    write_config(out, config)
    try:
        return train(config, out)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise InputError("the device ran out of memory; start again with a smaller --batch-size") from None


def _positive(kind: type):
    def parse(text: str):
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
        return value

    return parse


def _decay(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, not {text}")
    return value


def seed_or_count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2^32 − 1, not {text}")
    return value


if __name__ == "__main__":
    run_command(main, "stopped; finished epochs are kept: the same command with --resume goes on from there")
