"""Rows of a prepared folder → batches on the device, read ahead of the step that needs them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from ich_jax.ahead import map_ahead

AHEAD = 3  # batches under way: one in use, one on the device, one being read


class Batch(NamedTuple):
    """`images` (B, size, size, 3) uint8 and `classes` (B,) int32."""

    images: jax.Array
    classes: jax.Array


def training_batches(
    images: np.ndarray, classes: np.ndarray, rows: np.ndarray, batch_size: int, seed: int, epoch: int
) -> Iterator[Batch]:
    """One epoch over `rows`, in an order that depends on (seed, epoch) alone.

    The last batch is smaller when the sizes do not divide, as in Keras: padding it would bend the batch statistics.

    Args:
        images, classes: of the whole prepared folder, (N, size, size, 3) and (N,).
        rows: (M,) the indices to train on.
    """
    shuffled = np.random.default_rng((seed, epoch)).permutation(rows)
    # Inside a batch the order means nothing, and ascending rows are kinder to a spinning disk.
    return _ahead(images, classes, [np.sort(part) for part in _cut(shuffled, batch_size)])


def evaluation_batches(images: np.ndarray, classes: np.ndarray, rows: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """All of `rows` in order. The last batch is filled up by repeating its last row, so one compiled step serves all;
    the reader takes the first M results and drops the rest."""
    padded = np.pad(rows, (0, -len(rows) % batch_size), mode="edge")
    return _ahead(images, classes, _cut(padded, batch_size))


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def _ahead(images: np.ndarray, classes: np.ndarray, parts: list[np.ndarray]) -> Iterator[Batch]:
    def read(rows: np.ndarray) -> Batch:
        return Batch(*jax.device_put((images[rows], classes[rows])))

    with ThreadPoolExecutor(max_workers=1) as reader:
        yield from map_ahead(reader, read, parts, AHEAD)
