"""The training slices kept in the memory of the device, so that no epoch reads them from the disk again."""

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ich_jax.paper.steps import Batch
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import size_in_words
from ich_jax.training.devices import Devices

CHUNK = 1024  # slices that are read at a time
FOR_THE_CACHE = 0.75  # of what is free; the rest is left for the step


class Cache:
    """`images` (M, size, size, 3) uint8 on the device are those of `rows` (M,), ascending."""

    def __init__(self, images: jax.Array, rows: np.ndarray, devices: Devices):
        self.images, self.rows, self.devices = images, rows, devices

    def batch(self, classes: np.ndarray, rows: np.ndarray) -> Batch:
        places, chosen = self.devices.put((np.searchsorted(self.rows, rows), classes[rows]))
        return Batch(_gather(self.images, places), chosen)


@jax.jit
def _gather(images: jax.Array, places: jax.Array) -> jax.Array:
    return images[places]


@partial(jax.jit, donate_argnums=0)
def _fill(images: jax.Array, chunk: jax.Array, start: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_slice(images, chunk, (start, 0, 0, 0))


def cache_on_device(images: np.ndarray, rows: np.ndarray, devices: Devices) -> Cache:
    """Read `rows`, (M,) ascending, of `images`, (N, size, size, 3) uint8, into the device's memory, chunk by chunk.

    Raises InputError with the numbers if they do not fit, or if there are several devices.
    """
    if devices.count > 1:
        raise InputError(f"--cache-on-device keeps the slices on one device, not on {devices.count}; add --devices 1")
    needed, free = len(rows) * images[0].nbytes, _free(devices)
    if needed > FOR_THE_CACHE * free:
        raise InputError(
            f"--cache-on-device: {len(rows):,} training slices are {size_in_words(needed)}; the device has"
            f" {size_in_words(free)} free, of which {FOR_THE_CACHE:.0%} may be used; train without it"
        )
    whole = jax.jit(lambda: jnp.zeros((len(rows), *images.shape[1:]), jnp.uint8), out_shardings=devices.whole)()
    for start in tqdm(range(0, len(rows), CHUNK), unit="chunk", desc="to the device", leave=False, disable=None):
        start = max(0, min(start, len(rows) - CHUNK))  # the last chunk reaches back, so that all have one size
        whole = _fill(whole, *devices.put((images[rows[start : start + CHUNK]], np.int32(start))))
    return Cache(whole, rows, devices)


def _free(devices: Devices) -> int:
    """Bytes of the device's memory that nothing uses; on a CPU the machine's."""
    memory = devices.mesh.devices.flat[0].memory_stats()
    if memory:
        return memory["bytes_limit"] - memory["bytes_in_use"]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**62
