"""A trained network to pass on: a folder with all that answering takes, and nothing of the training but its settings.

    model.safetensors   parameters and batch norm's statistics, float32, by their place in the network
    config.json         settings and what was found, as in a run; classes, windows, the SHA-256 of model.safetensors

Both are plain numbers and text: reading them runs no code. A shared folder names no file, slice or patient.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import TrainState
from ich_jax.paper.windowing import WINDOWS
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json, write_json
from ich_jax.training.config import FORMAT, SHARED, Found, Settings, read_config
from ich_jax.training.devices import Devices, Tree
from ich_jax.training.network import Network, build
from ich_jax.training.run import Run, open_run

LARGEST_IMAGE = 4096  # pixels; `prepare` makes none that are larger
LARGEST_TEXT = 2**20  # bytes of config.json, and of the header of model.safetensors
ABOUT = "ich_jax"  # the name under which model.safetensors says what it is
NEVER = "For learning and research. Never for diagnosis."


@dataclass(frozen=True)
class Shared:
    """A network that was passed on. `state` has no optimizer: it answers, but no training goes on from it."""

    folder: Path
    settings: Settings
    found: Found
    network: Network
    state: TrainState


def open_trained(folder: str | Path, devices: Devices | None = None) -> Run | Shared:
    """A run folder at its best epoch, or a shared folder; on `devices` (default: JAX's default device).

    Raises InputError if it is neither, or is damaged.
    """
    folder = Path(folder)
    return open_shared(folder, devices) if (folder / SHARED).exists() else open_run(folder, devices)


def facts(found: Found) -> dict[str, str]:
    """What every file of weights says of itself."""
    title = ("PHANTOM: trained on synthetic slices. " if found.phantom else "") + NEVER
    return {"about": title, "classes": ", ".join(CLASSES), "windows": "brain, subdural, bone"}


def write_shared(folder: Path, run: Run) -> None:
    """Write model.safetensors and config.json of a run's best epoch into a folder that is there."""
    tensors = {name: np.asarray(leaf) for name, leaf in named(run.state.params, run.state.batch_stats)}
    # One entry, since safetensors writes several in an order of its own: the same run gives the same bytes.
    content = save(tensors, {ABOUT: json.dumps(facts(run.found))})
    (folder / SHARED).write_bytes(content)
    config = {
        "format": FORMAT,
        "settings": asdict(run.settings),
        "found": asdict(replace(run.found, data=run.found.title)),
        "classes": list(CLASSES),
        "windows_hu": [window._asdict() for window in WINDOWS],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json(folder / "config.json", config)


def named(params: Tree, batch_stats: Tree) -> Iterator[tuple[str, jax.Array]]:
    """Each array with its place in the network, such as `blocks.0.conv.kernel`."""
    for tree in (params, batch_stats):
        for path, leaf in jax.tree.leaves_with_path(tree):
            yield ".".join(str(part.key) for part in path[:-1]), leaf  # the last part is Flax's box around the array


def open_shared(folder: Path, devices: Devices | None = None) -> Shared:
    """A shared folder, on `devices` (default: JAX's default device).

    Nothing is read that could not be right by its size, and no array before its name, shape and dtype are.

    Raises InputError if a file is missing, damaged, of another network, or larger than this network's.
    """
    path = folder / "config.json"
    if path.exists() and not (path.is_file() and path.stat().st_size <= LARGEST_TEXT):
        raise InputError(f"{path}: damaged: not a file, or too long for settings")
    settings, found = read_config(folder, shared=True)
    config = read_json(path)
    if not 1 <= found.image_size <= LARGEST_IMAGE:
        raise InputError(f"{path}: damaged: images of {found.image_size} pixels; 1 to {LARGEST_IMAGE:,} are possible")
    if config.get("classes") != list(CLASSES) or config.get("windows_hu") != [w._asdict() for w in WINDOWS]:
        raise InputError(f"{path}: not of this version of ich_jax: other classes or windows")
    # The learning rate's way, which needs the training's length, is nothing to an answer.
    answering = Settings(
        model=settings.model, precision=settings.precision, norm_momentum=settings.norm_momentum, decay="none"
    )
    network = build(answering, found, devices)
    like = network.like
    expected = dict(named(like.params, like.batch_stats))
    arrays, about = _read(folder / SHARED, expected, config.get("sha256"))
    if about != json.dumps(facts(found)):
        raise InputError(f"{path}: does not say what {SHARED} says of itself, whether it learned from a phantom")
    leaves = iter(network.devices.put([arrays[name] for name in expected]))
    params, batch_stats = (jax.tree.map(lambda _: next(leaves), tree) for tree in (like.params, like.batch_stats))
    return Shared(folder, settings, found, network, TrainState(jnp.int32(0), params, batch_stats, ()))


def _read(
    path: Path, expected: dict[str, jax.ShapeDtypeStruct], sha256: str | None
) -> tuple[dict[str, np.ndarray], str | None]:
    """The arrays of a file that has just the expected ones, and what it says of itself."""
    if not path.is_file():
        raise InputError(f"{path}: not a file")
    size, least = path.stat().st_size, sum(4 * math.prod(leaf.shape) for leaf in expected.values())
    if not least < size < least + LARGEST_TEXT:
        raise InputError(f"{path}: damaged or of another network: {size:,} bytes; its numbers alone take {least:,}")
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise InputError(
                f"{path}: damaged, or of another folder: not the weights that config.json was written with"
            )
    try:
        with safe_open(path, framework="numpy") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in found.items()}
            for name, leaf in expected.items():
                if found.pop(name, None) != (leaf.shape, "F32"):
                    raise InputError(f"{path}: of another network: {name} is not float32 {leaf.shape}")
            if found:
                raise InputError(f"{path}: of another network: has {min(found)}, too")
            arrays = {name: file.get_tensor(name) for name in expected}
            about = (file.metadata() or {}).get(ABOUT)
    except SafetensorError as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())[:200]}") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path}: damaged: {name} has values that are not finite")
    return arrays, about
