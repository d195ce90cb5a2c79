"""The parameter ledger: what each layer of a network puts out, holds and costs (paper: Önerilen Model, Table 3)."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ich_jax.models.proposed import WIDTHS, ProposedCNN
from ich_jax.paper import printed


class Line(NamedTuple):
    """One layer with parameters. Activations and pools have none; a pool shows in the next layer's shape."""

    name: str
    kind: str
    shape: tuple[int, ...]  # of the output for one image: (H, W, C) or (C,)
    trainable: int
    total: int  # with batch norm's running mean and variance
    multiply_adds: int  # for one image; batch norm is not counted, it can be merged into its neighbours


def ledger(network: type[nnx.Module], image_size: int = 224, classes: int = 6) -> list[Line]:
    """The layers in the order in which the network's `__init__` makes them, which in ours is the order in which an
    image meets them. Nothing is computed but shapes."""
    layers = []

    def trace(image: jax.Array) -> nnx.State:
        model = network(image_size, classes, rngs=nnx.Rngs(0))
        layers.extend(_layers(model))
        _, outputs = nnx.capture(_evaluating(model), nnx.Intermediate, method_outputs=nnx.Intermediate)(image)
        return nnx.to_pure_dict(outputs)

    outputs = jax.eval_shape(trace, jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32))
    return [_line(path, module, outputs) for path, module in layers]


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


def derivation() -> str:
    """How the printed parameter count of the proposed network gives its strides and padding away."""
    lines = ledger(ProposedCNN)
    body = sum(line.total for line in lines[:-1])
    count = printed.table_3()["proposed"]["parameters_millions"] * 1e6
    features = 4 * WIDTHS[-1]
    halvings = (224, 112, 56, 28, 14, 7, 4)
    thirds = (224, 224, 74, 37, 18, 9, 4)
    sides = [(side, body + side * side * features * 6 + 6) for side in (3, 4, 5)]
    ours, other = (_cost(sizes[1], sizes[2:]) / 1e9 for sizes in (halvings, thirds))
    return f"""Strides and padding of the proposed network, from its parameter count

The paper prints kernels and widths but neither strides nor padding. They do not touch the parameters of the
convolutions and batch norms, {body:,} together; but the dense layer reads the last feature map, {features} channels
of side s, and has 6·{features}·s² + 6 parameters:

  {"; ".join(f"s = {side}: {total / 1e6:.3f} M in all" for side, total in sides)}

The paper prints {count / 1e6:.3f} M (cut off after three decimals), so s = 4. Two ways lead from 224 to 4:

  conv stride 2, max-pool stride 2, average pools 2×2, all padded 'same': {" → ".join(map(str, halvings))}
  conv stride 1, max-pool stride 3, nothing padded in the pools:         {" → ".join(map(str, thirds))}

The first costs {ours:.2f} G multiply-adds an image, the second {other:.2f} G. The first is the default here: it fits
Table 4, where DenseNet121 takes {_ratio("densenet121")} and Inception v1 {_ratio("inception_v1")} times as long."""


def _cost(stem: int, sides: tuple[int, ...]) -> int:
    """Multiply-adds of the proposed network by hand: side after the first convolution, then before each block; last."""
    total, channels = stem**2 * 7 * 7 * 3 * 64, 64
    for side, width in zip(sides, WIDTHS, strict=False):
        total += side**2 * (channels * width + 9 * width**2 + width * 4 * width)
        channels = 4 * width
    return total + sides[-1] ** 2 * channels * 6


def _ratio(network: str) -> str:
    minutes = printed.table_4()
    return f"{minutes[network] / minutes['proposed']:.1f}"
