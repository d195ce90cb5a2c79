"""A run folder: the settings of a training, what it produced, and how to open it again.

config.json       settings and what is needed to rebuild the network
history.csv       epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, seconds
checkpoint/       the latest and the best epoch, see checkpoint.py
metrics.json  confusion.csv  predictions.csv  figures/*.png     the best epoch on the test part
validation/       the same four for the validation part, once `evaluate --part validation` has run
"""

import csv
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from ich_jax import checkpoint, paper
from ich_jax.data.labels import CLASSES
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.data.splits import split_by_image, split_by_patient
from ich_jax.early_stopping import RULES, EarlyStopping
from ich_jax.errors import InputError
from ich_jax.files import write_whole
from ich_jax.models import MODELS
from ich_jax.models.layers import NORM_MOMENTUM
from ich_jax.steps import TrainState, adam, split_model

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
)
SPLITS = ("image", "patient")
DECAYS = ("none", "cosine")


@dataclass(frozen=True)
class Config:
    """A training's settings; the defaults are the paper's. `data` and the four last are filled in when it starts."""

    data: str
    model: str = "proposed"
    batch_size: int = paper.BATCH_SIZE
    learning_rate: float = paper.LEARNING_RATE
    beta1: float = paper.BETA1
    decay: str = DECAYS[0]  # of the learning rate from epoch to epoch
    epochs: int = paper.EPOCHS
    patience: int = paper.PATIENCE
    stopping: str = RULES[0]
    split: str = "image"
    seed: int = 0
    limit: int = 0  # slices to use; 0 is all
    norm_momentum: float = NORM_MOMENTUM  # of batch norm's running statistics
    image_size: int = 0
    slices: int = 0
    data_fingerprint: str = ""
    phantom: bool = False  # trained on synthetic slices


@dataclass(frozen=True)
class Run:
    """An opened run: the network's structure, and its state and history at the best epoch so far."""

    folder: Path
    config: Config
    structure: nnx.GraphDef
    state: TrainState
    history: list[dict[str, float]]
    stopping: EarlyStopping  # of the latest epoch


def read_config(folder: Path) -> Config:
    """Raises InputError if the folder is not a run."""
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        config = Config(**settings)
        wrong = [f.name for f in fields(Config) if not isinstance(getattr(config, f.name), f.type)]
    except FileNotFoundError:
        raise InputError(
            f"{folder}: not a run folder (no config.json); make one with `python -m ich_jax.train`"
        ) from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not wrong:
        choices = {"model": MODELS, "split": SPLITS, "stopping": RULES, "decay": DECAYS}
        least = {"batch_size": 1, "epochs": 1, "patience": 1, "limit": 0}
        wrong = [name for name, known in choices.items() if getattr(config, name) not in known]
        wrong += [name for name, value in least.items() if getattr(config, name) < value]
    if wrong:
        values = ", ".join(f"{name} {getattr(config, name)!r}" for name in wrong)
        raise InputError(f"{path}: settings that this version does not know: {values}")
    return config


def write_config(folder: Path, config: Config) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.json", lambda file: file.write(json.dumps(asdict(config), indent=2) + "\n"))


def build(config: Config) -> tuple[nnx.GraphDef, TrainState]:
    """The network and optimizer of a config, freshly initialised from its seed."""
    model = MODELS[config.model](config.image_size, len(CLASSES), rngs=nnx.Rngs(config.seed))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, nnx.BatchNorm):
            module.momentum = config.norm_momentum
    return split_model(model, adam(config.learning_rate, config.beta1))


def build_like(config: Config) -> tuple[nnx.GraphDef, TrainState]:
    """The same with shapes instead of arrays, at no cost: what a checkpoint is loaded into."""
    structures = []

    def traced() -> TrainState:
        structure, state = build(config)
        structures.append(structure)
        return state

    state = jax.eval_shape(traced)
    return structures[0], state


def open_run(folder: Path) -> Run:
    """Raises InputError if the folder is not a run or has not finished an epoch."""
    config = read_config(folder)
    epochs = checkpoint.saved_epochs(folder / "checkpoint")
    if not epochs:
        raise InputError(
            f"{folder}: no epoch is finished yet; go on with `python -m ich_jax.train --out {folder} --resume`"
        )
    structure, like = build_like(config)
    state, history, stopping = checkpoint.load(folder / "checkpoint", epochs[-1], like)
    if stopping.best_epoch != epochs[-1]:
        state, _, _ = checkpoint.load(folder / "checkpoint", stopping.best_epoch, like)
    return Run(folder, config, structure, state, history, stopping)


def open_data(config: Config, path: str | Path | None = None) -> Prepared:
    """The prepared folder a run was trained on, from `path` if it has moved.

    Raises InputError if it is not there or is another data set.
    """
    prepared = open_prepared(path or config.data)
    if prepared.fingerprint != config.data_fingerprint:
        raise InputError(f"{prepared.path}: not the data set that this run was trained on (slices.csv differs)")
    return prepared


def split_rows(config: Config, prepared: Prepared) -> dict[str, np.ndarray]:
    """Part → rows of the prepared folder, the same each time.

    Raises InputError if a part would be empty.
    """
    used = np.arange(len(prepared.classes))
    if config.limit:
        used = np.sort(np.random.default_rng(config.seed).permutation(used)[: config.limit])
    classes = prepared.classes[used]
    if config.split == "patient":
        split = split_by_patient(classes, prepared.patient_ids[used], config.seed)
    else:
        split = split_by_image(classes, config.seed)
    split = {part: used[rows] for part, rows in split.items()}
    empty = [part for part, rows in split.items() if not len(rows)]
    if empty:
        raise InputError(f"{prepared.path}: {len(used)} slices are too few, nothing is left for {empty[0]}")
    return split


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    def write(file) -> None:
        writer = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)

    write_whole(folder / "history.csv", write)
