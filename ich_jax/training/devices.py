"""One training on several devices, of one machine or of several.

The devices form a line, the mesh. Each holds the whole state and a share of every batch; XLA adds up what they find, so
batch norm's mean is still the whole batch's, and the numbers are one device's but for rounding. With several machines
(hosts) the same program runs once on each; each reads its own share of a batch, and the first one writes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ich_jax.paper.steps import Batch
from ich_jax.plumbing.command import InputError

Tree = Any
HEARTBEAT = 20  # seconds of silence after which a host counts as gone


@dataclass(frozen=True)
class Devices:
    mesh: Mesh

    @property
    def count(self) -> int:
        return self.mesh.size

    @cached_property
    def whole(self) -> NamedSharding:
        """For what every device has a copy of."""
        return NamedSharding(self.mesh, PartitionSpec())

    @cached_property
    def share(self) -> NamedSharding:
        """For arrays that are cut along their first axis, a piece for each device."""
        return NamedSharding(self.mesh, PartitionSpec("data"))

    def put(self, tree: Tree) -> Tree:
        """Copies of arrays, the same on every host, on every device."""

        def one(leaf: jax.Array) -> jax.Array:
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(one(jax.random.key_data(leaf)))
            return jax.device_put(np.asarray(leaf), self.whole)

        return jax.tree.map(one, tree)

    def batch(self, images: np.ndarray, classes: np.ndarray, rows: np.ndarray) -> Batch:
        """The batch of `rows`, (B,), spread over the devices; a host reads only what its own need.

        A batch that the devices do not divide, such as an epoch's last one, goes whole to each of them: no slice is
        lost and none counts twice, they only all do the same work.
        """
        sharding = self.whole if len(rows) % self.count else self.share

        def spread(array: np.ndarray) -> jax.Array:
            shape = (len(rows), *array.shape[1:])
            return jax.make_array_from_callback(shape, sharding, lambda index: array[rows[index[0]]])

        return Batch(spread(images), spread(classes))

    def __str__(self) -> str:
        device = self.mesh.devices.flat[0]
        several = f"{self.count} × " if self.count > 1 else ""
        hosts = f", on {jax.process_count()} hosts" if jax.process_count() > 1 else ""
        return f"{several}{device.device_kind} ({device.platform}{hosts})"


def choose_devices(count: int | None = None) -> Devices:
    """The first `count` devices; None stands for all GPUs or TPUs, but one CPU, and for all that several hosts have.

    Raises InputError if there are fewer, or if several hosts would not all take part.
    """
    there = jax.devices()
    if count is None:
        count = 1 if there[0].platform == "cpu" and jax.process_count() == 1 else len(there)
    if count > len(there):
        more = "; JAX_NUM_CPU_DEVICES=4 makes four of one CPU" if there[0].platform == "cpu" else ""
        raise InputError(f"--devices {count}: there are only {len(there)}{more}")
    if jax.process_count() > 1 and count != len(there):
        raise InputError(f"--devices {count}: several hosts use all their devices, here {len(there)}")
    return Devices(Mesh(np.array(there[:count]), ("data",), axis_types=(AxisType.Auto,)))


def join_hosts(text: str) -> None:
    """Let this process take part in one training with others, before anything else of JAX is used.

    Args:
        text: "auto", where a cluster's scheduler tells JAX what it needs (Slurm, Open MPI, Cloud TPU); otherwise
            "address:port,number,count": where the first host listens, which one this is from 0, and how many there are.

    Raises InputError if the text is no such thing, or the others do not come.
    """
    arguments = {}
    if text != "auto":
        try:
            address, number, count = text.split(",")
            arguments = {"coordinator_address": address, "process_id": int(number), "num_processes": int(count)}
        except ValueError:
            raise InputError(f"--hosts must be auto or address:port,number,count, not {text}") from None
        if ":" not in address or not 0 <= arguments["process_id"] < arguments["num_processes"]:
            raise InputError(f"--hosts {text}: needs a port, and a number from 0 to below the count")
    try:
        jax.distributed.initialize(**arguments, heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=300)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--hosts {text}: the hosts do not come together: {error}") from None


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def in_step(what: str) -> None:
    """Wait until every host has come to here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)
