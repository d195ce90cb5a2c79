"""The parameter ledger: what each layer of a network puts out, holds and costs (paper: Önerilen Model, Table 3)."""

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Line(NamedTuple):
    """One layer with parameters. Activations and pools have none; a pool shows in the next layer's shape."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of the output for one image: (H, W, C) or (C,)
    trainable: int
    total: int  # with batch norm's running mean and variance
    multiply_adds: int  # for one image; batch norm is not counted, it can be merged into its neighbours


@cache
def ledger(network: type[nnx.Module], image_size: int = 224, classes: int = 6) -> tuple[Line, ...]:
    """The layers in the order in which the network's `__init__` makes them, which in ours is the order in which an
    image meets them. Nothing is computed but shapes."""
    layers = []

    def trace(image: jax.Array) -> nnx.State:
        model = network(image_size, classes, rngs=nnx.Rngs(0))
        layers.extend(_layers(model))
        _, outputs = nnx.capture(_evaluating(model), nnx.Intermediate, method_outputs=nnx.Intermediate)(image)
        return nnx.to_pure_dict(outputs)

    outputs = jax.eval_shape(trace, jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32))
    return tuple(_line(path, module, outputs) for path, module in layers)


def _layers(module: nnx.Module, path: tuple = ()) -> Iterator[tuple[tuple, nnx.Module]]:
    """(path, layer) for each layer with parameters."""
    children = enumerate(module) if isinstance(module, nnx.List) else vars(module).items()
    for name, child in children:
        if isinstance(child, (nnx.Conv, nnx.Linear, nnx.BatchNorm)):
            yield (*path, name), child
        elif isinstance(child, nnx.Module):
            yield from _layers(child, (*path, name))


def _evaluating(model: nnx.Module) -> nnx.Module:
    return nnx.view(model, use_running_average=True, deterministic=True, raise_if_not_found=False)


def _line(path: tuple, module: nnx.Module, outputs: dict) -> Line:
    for name in path:
        outputs = outputs[name]
    shape = outputs["__call__"][0].shape[1:]
    trainable, statistics = (
        sum(prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(module, kind)))
        for kind in (nnx.Param, nnx.BatchStat)
    )
    cost = multiply_adds(module, shape)
    return Line(".".join(map(str, path)), _kind(module), shape, trainable, trainable + statistics, cost)


def _kind(module: nnx.Module) -> str:
    if isinstance(module, nnx.BatchNorm):
        return "batch norm"
    if isinstance(module, nnx.Linear):
        return "1×1 or dense"
    size = "×".join(map(str, module.kernel_size))
    return f"{'depthwise' if module.feature_group_count > 1 else 'conv'} {size}"


def multiply_adds(module: nnx.Module, shape: tuple[int, ...]) -> int:
    """Of one image: each value of the kernel is used once at each place of the output, `shape` without its channels."""
    if isinstance(module, nnx.BatchNorm):
        return 0
    return prod(shape[:-1]) * prod(module.kernel.shape)


def xla_multiply_adds(network: type[nnx.Module], image_size: int = 224, classes: int = 6) -> float:
    """What XLA's own cost analysis says for one image: half its floating-point operations.

    It counts a little more, activations and pools, and a little less, what a convolution multiplies with its padding.
    """
    model = nnx.eval_shape(lambda: network(image_size, classes, rngs=nnx.Rngs(0)))
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    image = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)

    def answer(params, batch_stats, image: jax.Array) -> jax.Array:
        return _evaluating(nnx.merge(structure, params, batch_stats))(image)

    return jax.jit(answer).lower(params, batch_stats, image).cost_analysis()["flops"] / 2
