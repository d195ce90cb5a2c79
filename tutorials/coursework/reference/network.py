"""Assignment 4, as ich_jax.models does it."""

from collections.abc import Callable
from math import prod

import jax
from flax import nnx

from ich_jax.models import derivation, layers
from ich_jax.models.layers import average_pool_2x2
from ich_jax.models.proposed import Block

__all__ = [
    "average_pool_2x2",
    "batch_norm",
    "batch_norm_parameters",
    "block",
    "conv_1x1",
    "conv_3x3",
    "conv_parameters",
    "dense_parameters",
    "network_parameters",
    "same_side",
]


def same_side(side: int, stride: int) -> int:
    return derivation.shrunk(side, stride, stride, "same")


def conv_parameters(size: int, inputs: int, outputs: int) -> int:
    return _held(_empty(lambda rngs: layers.conv(inputs, outputs, size, rngs=rngs)))


def batch_norm_parameters(channels: int) -> tuple[int, int]:
    norm = _empty(lambda rngs: layers.batch_norm(channels, rngs=rngs))
    return _held(norm, nnx.Param), _held(norm)


def dense_parameters(inputs: int, outputs: int) -> int:
    return _held(_empty(lambda rngs: layers.dense(inputs, outputs, rngs=rngs)))


def network_parameters(image_size: int) -> int:
    return derivation.parameters(side=-(-image_size // 64))


def conv_1x1(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    layer = _empty(lambda rngs: layers.conv_1x1(*kernel.shape, rngs=rngs))
    _fill(layer, kernel=kernel, bias=bias)
    return layer(x)


def conv_3x3(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    layer = _empty(lambda rngs: layers.conv(*kernel.shape[2:], size=3, rngs=rngs))
    _fill(layer, kernel=kernel, bias=bias)
    return layer(x)


def batch_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
    norm = _empty(lambda rngs: layers.batch_norm(len(scale), rngs=rngs))
    _fill(norm, scale=scale, bias=bias, mean=mean, var=variance)
    return norm(x, use_running_average=True)


def block(x: jax.Array, parameters: dict[str, jax.Array]) -> jax.Array:
    model = _empty(lambda rngs: Block(*parameters["reduce_kernel"].shape, rngs=rngs))
    for name, array in parameters.items():
        layer, _, tensor = name.partition("_")
        _fill(getattr(model, layer), **{"var" if tensor == "variance" else tensor: array})
    return nnx.view(model, use_running_average=True)(x)


def _empty(make: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
    """A layer of which only the shapes are known."""
    return nnx.eval_shape(lambda: make(nnx.Rngs(0)))


def _held(layer: nnx.Module, kind: type = nnx.Variable) -> int:
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(layer, kind)))


def _fill(layer: nnx.Module, **arrays: jax.Array) -> None:
    for name, array in arrays.items():
        setattr(layer, name, type(getattr(layer, name))(array))
