"""A training's settings, and what was found when it started (paper: Hiperparametre Seçimleri ve Ayarlar).

Each setting stands once, as a field with its default (the paper's), its help and its rule; the command's options,
`config.json` and its check all come from these fields.
"""

import argparse
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ich_jax.paper import printed
from ich_jax.paper.early_stopping import RULES
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json, write_json

FORMAT = 3  # of config.json; 1 was version 0.1.0's
SHARED = "model.safetensors"  # what tells a shared folder from a run, see shared.py
SPLITS = ("image", "patient")
DECAYS = ("none", "cosine")
EPSILONS = ("keras", "plain")
PRECISIONS = ("float32", "bfloat16")


def _setting(default: Any, text: str, **rule: Any) -> Any:
    """A field. Of `rule`: `choices`; or bounds, `least` included, `above` and `below` excluded."""
    return field(default=default, metadata={"help": text, **rule})


def _count(default: int, text: str, least: int = 1) -> Any:
    return _setting(default, text, least=least, below=2**32)


@dataclass(frozen=True)
class Settings:
    """What a person chose. The defaults are the paper's. Raises InputError for a value that breaks its rule."""

    model: str = _setting(printed.NETWORKS[0], "network to train", choices=printed.NETWORKS)
    batch_size: int = _count(printed.BATCH_SIZE, "slices per step")
    learning_rate: float = _setting(printed.LEARNING_RATE, "Adam's step size", above=0)
    beta1: float = _setting(printed.BETA1, "Adam's first decay rate, the paper's momentum", least=0, below=1)
    epsilon: str = _setting(
        EPSILONS[0], "where Adam adds its ε: before bias correction as Keras does, or after (plain)", choices=EPSILONS
    )
    decay: str = _setting("none", "of the learning rate: none as in the paper, or along a cosine to 0", choices=DECAYS)
    epochs: int = _count(printed.EPOCHS, "epochs at most")
    patience: int = _count(printed.PATIENCE, "epochs without a better validation loss before stopping")
    stopping: str = _setting(RULES[0], "how to read the paper's stopping rule", choices=RULES)
    split: str = _setting("image", "by image as in the paper, or by patient", choices=SPLITS)
    limit: int = _count(0, "use only so many slices, drawn at random; 0 is all", least=0)
    norm_momentum: float = _setting(
        0.99, "of batch norm's running statistics: how much they keep at each step", least=0, below=1
    )
    augment: bool = _setting(
        False, "change each training slice as another head, scanner or export would, anew in every epoch"
    )
    precision: str = _setting(PRECISIONS[0], "in which the layers compute; the rest is float32", choices=PRECISIONS)
    seed: int = _count(0, "decides initial weights, dropout and order", least=0)
    split_seed: int = _count(0, "decides which slices are used and for what", least=0)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, one.name, value)
            wrong = _broken_rule(one, value)
            if wrong:
                raise InputError(f"{one.name.replace('_', ' ')} {wrong}, not {value!r}")


def _broken_rule(setting: Any, value: Any) -> str:
    """What a value of a setting has to be, if it is not that."""
    rule = setting.metadata
    if "choices" in rule:
        return "" if value in rule["choices"] else f"must be one of {', '.join(rule['choices'])}"
    if setting.type is bool:
        return "" if type(value) is bool else "must be true or false"
    kind = "a whole number" if setting.type is int else "a number"
    if type(value) is not setting.type or not math.isfinite(value):
        return f"must be {kind}"
    least, above, below = rule.get("least"), rule.get("above"), rule.get("below", math.inf)
    if (least is not None and value < least) or (above is not None and value <= above) or value >= below:
        bounds = [f"above {above}" if least is None else f"at least {least}"]
        bounds += [] if below == math.inf else [f"below {'2^32' if below == 2**32 else below}"]
        return f"must be {kind} {' and '.join(bounds)}"
    return ""


# The paper's settings are made for 360,000 training slices. Its small steps learn 1,500 synthetic ones by heart: larger
# ones, and more of them, carry over to other patients better, but leave the weights restless to the end (the validation
# loss jumps from epoch to epoch), so they shrink again. Running statistics that keep 0.99 of what they were still
# remember weights of half an epoch ago. Each slice is changed before it is learned from, so that the network looks for
# blood and not for this phantom's scanners. Only whole patients kept apart show whether anything was learned but faces.
PRESETS = {
    "paper": {
        "batch_size": printed.BATCH_SIZE,
        "learning_rate": printed.LEARNING_RATE,
        "decay": "none",
        "epochs": printed.EPOCHS,
        "patience": printed.PATIENCE,
        "split": "image",
        "norm_momentum": 0.99,
        "augment": False,
    },
    "phantom": {
        "batch_size": 8,
        "learning_rate": 3e-4,
        "decay": "cosine",
        "epochs": 10,
        "patience": 10,
        "split": "patient",
        "norm_momentum": 0.9,
        "augment": True,
    },
}


def preset(name: str, **changes: Any) -> Settings:
    """A preset's settings, some of them changed.

    >>> preset("phantom", epochs=3).batch_size
    8
    """
    return Settings(**(PRESETS[name] | changes))


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each setting, and `--preset`. What is not given is not in the parsed arguments."""
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default=argparse.SUPPRESS,
        help="settings to start from; the other options replace single ones (default: paper with --data, else phantom)",
    )
    for one in fields(Settings):
        default, phantoms = one.default, PRESETS["phantom"].get(one.name, one.default)
        defaults = f"default: {default}" if phantoms == default else f"default: {default}, on the phantom {phantoms}"
        if one.type is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif "choices" in one.metadata:
            how = {"choices": one.metadata["choices"]}
        else:
            how = {"type": option_type(one.name)}
        name, words = f"--{one.name.replace('_', '-')}", f"{one.metadata['help']} ({defaults})"
        parser.add_argument(name, default=argparse.SUPPRESS, help=words, **how)


def option_type(name: str) -> Any:
    """What argparse calls with the text that was given for a setting."""
    one = next(one for one in fields(Settings) if one.name == name)

    def parse(text: str) -> Any:
        value = one.type(text)
        wrong = _broken_rule(one, value)
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong}, not {text}")
        return value

    parse.__name__ = "whole number" if one.type is int else "number"  # argparse: "invalid … value"
    return parse


DEVICES_HELP = "how many devices to train on, or all: every GPU, but one CPU (default: all)"


def count_or_all(text: str) -> int | None:
    """What `--devices` is given: a whole number from 1, or `all`, which is None."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number at least 1, or all, not {text}")
    return int(text)


@dataclass(frozen=True)
class Found:
    """What was there when the training started."""

    data: str  # the prepared folder
    title: str  # the data set's name for tables and figures
    phantom: bool  # synthetic slices
    fingerprint: str  # of the data set, see data/prepared.py
    image_size: int  # pixels
    slices: dict[str, int]  # part → how many
    device: str


def write_config(folder: Path, settings: Settings, found: Found) -> None:
    write_json(folder / "config.json", {"format": FORMAT, "settings": asdict(settings), "found": asdict(found)})


def read_config(folder: Path, shared: bool = False) -> tuple[Settings, Found]:
    """Of a run folder, or of a `shared` one.

    Raises InputError if it is not one, or its config.json is damaged or of another version.
    """
    path = folder / "config.json"
    if not shared and (folder / SHARED).exists():
        raise InputError(f"{folder}: a shared network, not a run; `predict` and `view` take it")
    if folder.is_file():
        raise InputError(f"{folder}: is a file; name the folder of a run")
    try:
        config = read_json(path)
    except FileNotFoundError:
        message = f"{folder}: not a run folder (no config.json); make one with `python -m ich_jax.train`"
        raise InputError(message) from None
    if not shared and "sha256" in config:
        raise InputError(f"{folder / SHARED}: missing, and this is a shared network's folder")
    if config.get("format") != FORMAT:
        raise InputError(f"{path}: not of this version of ich_jax; train again, into another folder")
    try:
        settings, found = Settings(**config["settings"]), Found(**config["found"])
    except KeyError as error:
        raise InputError(f"{path}: damaged: has no {error.args[0]!r}") from None
    except TypeError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    plain = [one for one in fields(Found) if one.name != "slices"]
    wrong = [one.name for one in plain if type(getattr(found, one.name)) is not one.type]
    if wrong or not _are_counts(found.slices):
        raise InputError(f"{path}: damaged: no possible value of {', '.join(wrong or ['slices'])}")
    return settings, found


def _are_counts(slices: Any) -> bool:
    return isinstance(slices, dict) and all(type(count) is int and count > 0 for count in slices.values())


def differences(settings: Settings, other: Settings) -> dict[str, str]:
    """Each setting that is not as in `other`: its name → both values, the other's in brackets."""
    pairs = {one.name: (getattr(settings, one.name), getattr(other, one.name)) for one in fields(Settings)}
    return {
        name: f"{name.replace('_', ' ')} {ours} ({theirs})" for name, (ours, theirs) in pairs.items() if ours != theirs
    }


def unlike_the_paper(settings: Settings, found: Found) -> list[str]:
    """What is not as in the paper, with the paper's in brackets."""
    said = ["synthetic data (RSNA 2019)"] if found.phantom else []
    if settings.limit:
        said.append(f"at most {settings.limit:,} slices (all)")
    left_open = ("model", "limit", "epsilon", "stopping", "seed", "split_seed")
    said += [words for name, words in differences(settings, Settings()).items() if name not in left_open]
    if found.image_size != printed.IMAGE_SIZE:
        said.append(f"image size {found.image_size} ({printed.IMAGE_SIZE})")
    return said


def require_same_training(settings: Settings, before: Settings, where: Path) -> None:
    """Raises InputError if `settings` would not go on with what was trained under `before`. More epochs do, unless the
    learning rate decays towards the last: then those so far would have been others."""
    changed = differences(settings, before)
    if before.decay == "none":
        changed.pop("epochs", None)
    for name in changed:
        words, value = name.replace("_", " "), getattr(settings, name)
        other = f"{where}: was started with {words} {getattr(before, name)}, not {value}"
        raise InputError(f"{other}; choose another --out (with make: OUT=folder)")
