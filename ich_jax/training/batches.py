"""Rows of a prepared folder → batches on the device, read ahead of the step that needs them (paper: Materyal)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ich_jax.data.prepared import Prepared
from ich_jax.paper.splits import split_by_image, split_by_patient
from ich_jax.paper.steps import Batch
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.memory import keep_memory
from ich_jax.plumbing.parallel import map_ahead
from ich_jax.training.cache import Cache
from ich_jax.training.config import Settings
from ich_jax.training.devices import Devices, choose_devices

READERS = 4  # batches that are being read: a disk answers several questions at a time faster than one by one
AHEAD = 2  # batches beside them: one in use, one on the device


def split_rows(prepared: Prepared, settings: Settings) -> dict[str, np.ndarray]:
    """Part → rows of the prepared folder, (M,) int64 ascending: the same each time for the same `split_seed`.

    Raises InputError if a part would be empty, or too few patients are there to be kept apart.
    """
    used = np.arange(len(prepared.classes))
    if settings.limit:
        used = np.sort(np.random.default_rng(settings.split_seed).permutation(used)[: settings.limit])
    classes = prepared.classes[used]
    if settings.split == "patient" and "" in prepared.patient_ids[used]:
        raise InputError(f"{prepared.path}: {prepared.nameless}; take --split image")
    try:
        if settings.split == "patient":
            split = split_by_patient(classes, prepared.patient_ids[used], settings.split_seed)
        else:
            split = split_by_image(classes, settings.split_seed)
    except ValueError as error:
        raise InputError(f"{prepared.path}: {error}; try --split image") from None
    split = {part: used[rows] for part, rows in split.items()}
    empty = [part for part, rows in split.items() if not len(rows)]
    if empty:
        raise InputError(f"{prepared.path}: {len(used)} slices are too few, nothing is left for {empty[0]}")
    return split


def training_batches(
    images: np.ndarray | Cache,
    classes: np.ndarray,
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    devices: Devices | None = None,
    readers: int = READERS,
) -> Iterator[Batch]:
    """One epoch over `rows`, in an order that depends on (seed, epoch) alone.

    The last batch is smaller when the sizes do not divide: padding it would bend the batch statistics.

    Args:
        images, classes: of the whole prepared folder, (N, size, size, 3) and (N,); or the images of `rows` in a cache.
        rows: (M,) the indices to train on.
        devices: over which each batch is spread (default: JAX's default device).
        readers: threads that read.
    """
    shuffled = np.random.default_rng((seed, epoch)).permutation(rows)
    # Inside a batch the order means nothing, and ascending rows are kinder to a spinning disk.
    return _ahead(images, classes, [np.sort(part) for part in _cut(shuffled, batch_size)], devices, readers)


def evaluation_batches(
    images: np.ndarray, classes: np.ndarray, rows: np.ndarray, batch_size: int, devices: Devices | None = None
) -> Iterator[Batch]:
    """All of `rows` in order. The last batch is filled up by repeating its last row, so one compiled step serves all;
    the reader takes the first M results and drops the rest."""
    padded = np.pad(rows, (0, -len(rows) % batch_size), mode="edge")
    return _ahead(images, classes, _cut(padded, batch_size), devices)


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def _ahead(
    images: np.ndarray | Cache,
    classes: np.ndarray,
    parts: list[np.ndarray],
    devices: Devices | None,
    readers: int = READERS,
) -> Iterator[Batch]:
    devices = devices or choose_devices(1)
    keep_memory()

    def read(rows: np.ndarray) -> Batch:
        return images.batch(classes, rows) if isinstance(images, Cache) else devices.batch(images, classes, rows)

    with ThreadPoolExecutor(readers) as pool:
        yield from map_ahead(pool, read, parts, readers + AHEAD)
