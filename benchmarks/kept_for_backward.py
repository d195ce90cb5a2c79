"""`python -m benchmarks.kept_for_backward`: what a framework that runs one operation after another keeps in memory from
the forward to the backward pass, counted on the shapes of each network. Nothing is computed, so it needs no GPU.

Counted are the tensors whose values the gradient of a layer reads: a convolution's and a batch norm's input, a ReLU's
output, a max-pool's input and output. TensorFlow lists for each of its operations what its gradient does not need
(`tensorflow/python/eager/pywrap_gradient_exclusions.cc`) and lets go of that. By that list it keeps more than is
counted here, the inputs of concatenations and average pools: the count is what it keeps at least.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from tqdm import tqdm

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.models import MODELS
from ich_jax.paper.printed import CLASSES, IMAGE_SIZE, NETWORK_NAMES, NETWORKS
from ich_jax.paper.steps import Batch, loss_fn
from ich_jax.plumbing.command import run_command

BATCH_SIZES = (8, 16, 32)
MIB = 2**20

# What a layer's gradient reads: its input, its result. Batch norm's layer is found by the squares of its input, whose
# mean is the variance.
READS = {
    "conv_general_dilated": (True, False),
    "dot_general": (True, False),
    "square": (True, False),
    "relu": (False, True),
    "reduce_window_max": (True, True),
}


def batch_of(size: int) -> Batch:
    """The shapes of a batch of images."""
    images = jax.ShapeDtypeStruct((size, IMAGE_SIZE, IMAGE_SIZE, 3), jnp.uint8)
    return Batch(images, jax.ShapeDtypeStruct((size,), jnp.int32))


def kept_bytes(name: str, batch_size: int) -> int:
    """What a network keeps in float32 for the backward pass, its parameters not among it."""
    model = nnx.eval_shape(lambda: MODELS[name](IMAGE_SIZE, len(CLASSES), rngs=nnx.Rngs(0)))
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def loss(params, batch_stats, batch, key):
        return loss_fn(params, batch_stats, structure, batch, key)

    return _kept_by_layers(jax.make_jaxpr(loss)(params, batch_stats, batch_of(batch_size), key).jaxpr)


def _bytes(array: jax.ShapeDtypeStruct) -> int:
    return array.size * array.dtype.itemsize


@dataclass(eq=False)
class Tensor:
    """One that exists while the program runs; a reshape gives it another name only."""

    bytes: int


def _kept_by_layers(jaxpr: Jaxpr) -> int:
    kept = set()

    def run(jaxpr: Jaxpr, inputs: list[Tensor]) -> list[Tensor]:
        tensors = dict(zip(jaxpr.invars, inputs, strict=True))

        def tensor(variable):
            new = Tensor(_bytes(variable.aval))
            return new if isinstance(variable, Literal) else tensors.setdefault(variable, new)

        for equation in jaxpr.eqns:
            operands, name, inner = [*map(tensor, equation.invars)], _name(equation), _inner(equation.params)
            if name == "cond":  # a layer with a form for each platform; the last is the general one
                operands, inner = operands[1:], equation.params["branches"][-1].jaxpr
            if name in READS:
                result = tensor(equation.outvars[0])
                kept.update(one for one, read in zip((operands[0], result), READS[name], strict=True) if read)
            elif name == "reshape":
                tensors[equation.outvars[0]] = operands[0]
            elif inner:
                tensors.update(zip(equation.outvars, run(inner, operands), strict=True))
        return [*map(tensor, jaxpr.outvars)]

    run(jaxpr, [Tensor(_bytes(variable.aval)) for variable in jaxpr.invars])
    return sum(one.bytes for one in kept)


def _name(equation: JaxprEqn) -> str:
    """The operation, or the jitted function that it calls."""
    primitive = equation.primitive.name
    return equation.params["name"] if primitive == "jit" else primitive


def _inner(params: dict) -> Jaxpr | None:
    """The program inside an operation that calls one."""
    for value in params.values():
        if isinstance(value, ClosedJaxpr):
            return value.jaxpr
        if isinstance(value, Jaxpr):
            return value
    return None


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kept_for_backward", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    result, rows = {}, []
    for name in tqdm(NETWORKS, unit="network", leave=False, disable=None):
        result[name] = {size: kept_bytes(name, size) for size in BATCH_SIZES}
        rows.append((NETWORK_NAMES[name], *(f"{kept / MIB:,.0f}" for kept in result[name].values())))
    print(f"MiB kept for the backward pass at least, float32, {IMAGE_SIZE}×{IMAGE_SIZE}; {describe_machine()}")
    print_table(("network", *(f"batch {size}" for size in BATCH_SIZES)), rows)
    if args.json:
        save(args.json, "kept_for_backward", result)
    return result


if __name__ == "__main__":
    run_command(main)
