"""`python -m benchmarks.profile_layers`: the proposed network layer by layer, forward and backward, each layer alone.

Beside it PyTorch's layer, if PyTorch is here; the two take turns, the best of several runs counts. In the step a layer
may take longer than alone: there it shares caches and cores with its neighbours.
"""

import argparse
from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.against_torch import seconds
from benchmarks.machine import describe_machine, print_table
from benchmarks.torch_networks import average_pool, max_pool, torch, torch_network
from ich_jax.models.layers import average_pool_2x2, max_pool_3x3
from ich_jax.models.proposed import WIDTHS, ProposedCNN
from ich_jax.plumbing.command import run_command

IN_A_BLOCK = ("reduce", "conv", "norm", "expand", "average-pool")
LAYERS = (
    *("stem.conv", "stem.max-pool", "stem.norm"),
    *(f"blocks.{k}.{layer}" for k in range(len(WIDTHS)) for layer in IN_A_BLOCK),
    "dense",
)

Runs = tuple[Callable[[], Any], Callable[[], Any]]  # forward; forward and backward


def our_layer(kind: str, module: nnx.Module, x: jax.Array) -> jax.Array:
    """With the ReLU after it."""
    match kind:
        case "max-pool":
            return max_pool_3x3(x)
        case "average-pool":
            return average_pool_2x2(x)
        case "norm":
            return module(x)
        case "dense":
            return module(x.reshape(x.shape[0], -1))
    return nnx.relu(module(x))


def torch_layer(kind: str, module: Any, x: Any) -> Any:
    match kind:
        case "max-pool":
            return max_pool(x)
        case "average-pool":
            return average_pool(x)
        case "norm":
            return module(x)
        case "dense":
            return module(x.permute(0, 2, 3, 1).flatten(1))
    return torch.relu(module(x))


def our_runs(model: ProposedCNN, name: str, x: jax.Array) -> tuple[Runs, jax.Array]:
    """How to run the layer on x; and its output."""
    steps = [] if "pool" in name else name.split(".")
    module = reduce(lambda at, step: at[int(step)] if step.isdigit() else getattr(at, step), steps, model)
    structure, params, rest = nnx.split(module if steps else nnx.List([]), nnx.Param, ...)

    def forward(params: nnx.State, x: jax.Array) -> jax.Array:
        return our_layer(name.split(".")[-1], nnx.merge(structure, params, rest, copy=True), x)

    def both(params: nnx.State, x: jax.Array, g: jax.Array) -> Any:
        y, backward = jax.vjp(forward, params, x)
        by_params, by_x = backward(g)
        return y, by_params, None if name == LAYERS[0] else by_x  # nobody asks for that of the images

    forward_alone, both = jax.jit(forward), jax.jit(both)
    y = forward_alone(params, x)
    runs = (lambda: jax.block_until_ready(forward_alone(params, x)), lambda: jax.block_until_ready(both(params, x, y)))
    return runs, y


def torch_runs(network: Any, name: str, x: Any) -> tuple[Runs, Any]:
    x = x.detach().requires_grad_(name != LAYERS[0])
    module = None if "pool" in name else network.get_submodule(name)

    def forward() -> Any:
        return torch_layer(name.split(".")[-1], module, x)

    def both() -> None:
        network.zero_grad()
        x.grad = None
        forward().backward(y)

    y = forward().detach()
    return (forward, both), y


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_layers", description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each layer, the best counts (default: 5)")
    args = parser.parse_args(argv)
    model = ProposedCNN(args.size, rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).uniform(size=(args.batch_size, args.size, args.size, 3)).astype(np.float32)
    sides = {"here": (our_runs, model, jnp.asarray(images))}
    if torch is not None:
        sides["PyTorch"] = (torch_runs, torch_network(model), torch.from_numpy(images).permute(0, 3, 1, 2))
    result = {}
    rows = []
    for name in LAYERS:
        runs = []
        for side, (runs_of, network, x) in sides.items():
            of_side, y = runs_of(network, name, x)
            sides[side] = (runs_of, network, y)
            runs += of_side
        for run in runs:
            run()
        best = np.min([[seconds(run) for run in runs] for _ in range(args.rounds)], axis=0)
        best[1::2] -= best[0::2]
        result[name] = best.tolist()
        shape = "×".join(map(str, sides["here"][2].shape[1:]))
        rows.append((name, shape, *(f"{1e3 * value:.1f}" for value in best)))
    rows.append(("all", "", *(f"{1e3 * value:.0f}" for value in np.sum(list(result.values()), axis=0))))
    print(f"batch {args.batch_size}, {args.size}×{args.size}; {describe_machine()}; milliseconds")
    print_table(("layer", "output", *(f"{side}, {way}" for side in sides for way in ("forward", "backward"))), rows)
    return result


if __name__ == "__main__":
    run_command(main)
