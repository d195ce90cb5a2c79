"""`python -m benchmarks.against_torch`: one training step of a network here and in PyTorch, side by side.

The same layers, weights, batch, loss and Adam; the losses of the first steps must agree. Then the two take steps in
turn, in one process, so that neighbours on the machine slow both alike. PyTorch is not among the requirements:
`pip install torch`, for a CPU its CPU build.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.machine import describe_machine, print_table
from benchmarks.torch_networks import torch, torch_network
from ich_jax.models import MODELS
from ich_jax.paper.printed import BETA1, LEARNING_RATE
from ich_jax.paper.steps import BETA2, EPSILON, Batch, adam, compile_steps, no_sums, split_model
from ich_jax.plumbing.command import InputError, run_command

CHECKED_STEPS = 3
TOLERANCE = 1e-4  # relative, of the loss of each checked step


def torch_step(
    model: nnx.Module,
    images: np.ndarray,
    classes: np.ndarray,
    device: str = "cpu",
    bfloat16: bool = False,
    compiled: bool = False,
) -> "Callable[[], torch.Tensor]":
    """A function that takes one step and returns the loss before it."""
    network = torch_network(model).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
    batch, wanted = torch.from_numpy(images).to(device), torch.from_numpy(classes).long().to(device)
    forward = torch.compile(network) if compiled else network

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            loss = torch.nn.functional.cross_entropy(forward(batch), wanted)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def jax_step(model: nnx.Module, images: np.ndarray, classes: np.ndarray) -> Callable[[], float]:
    optimizer = adam(keras_epsilon=False)  # PyTorch's Adam is Optax's
    structure, state = split_model(model, optimizer)
    train = compile_steps(structure, optimizer).train
    batch, key = Batch(jnp.asarray(images), jnp.asarray(classes)), jax.random.key(0)
    state = jax.device_put(jax.tree.map(jnp.copy, state), jax.devices()[0])

    def step() -> float:
        nonlocal state
        state, sums = train(state, no_sums(), batch, key)
        return float(sums.loss) / len(classes)

    return step


def check_equal(steps: dict[str, Callable[[], Any]]) -> list[float]:
    """Take the first steps of both; their losses, or an error where they differ."""
    ours, theirs = ([float(step()) for _ in range(CHECKED_STEPS)] for step in steps.values())
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
    return ours


def seconds(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against_torch", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="proposed", help="(default: proposed)")
    parser.add_argument("--batch-size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    parser.add_argument("--rounds", type=int, default=15, help="steps that each takes, in turn (default: 15)")
    args = parser.parse_args(argv)
    if torch is None:
        raise InputError("PyTorch is not here; `pip install torch` brings it")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch_size, args.size, args.size, 3), np.uint8)
    classes = rng.integers(0, 6, args.batch_size, np.int32)
    model = MODELS[args.model](args.size, rngs=nnx.Rngs(0))
    if args.model == "inception_v1":
        model.dropout = nnx.Dropout(0.0)  # the two draw from other streams
    steps = {"here": jax_step(model, images, classes), "PyTorch": torch_step(model, images, classes)}
    losses = check_equal(steps)
    times = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))
    # Of each round the ratio, then their median: a busy neighbour slows both sides of a round.
    ratio = float(np.median(np.divide(times["here"], times["PyTorch"])))
    what = f"{args.model}, batch {args.batch_size}, {args.size}×{args.size}"
    print(f"{what}; {describe_machine()}, PyTorch {torch.__version__}")
    print(f"equal losses in {CHECKED_STEPS} steps: {', '.join(f'{loss:.5f}' for loss in losses)}")
    header = ("step", "median ms", "best ms", "images/s")
    print_table(
        header,
        [
            (
                name,
                f"{1e3 * np.median(taken):.0f}",
                f"{1e3 * min(taken):.0f}",
                f"{args.batch_size / np.median(taken):.1f}",
            )
            for name, taken in times.items()
        ],
    )
    print(f"  a step here takes {ratio:.2f} times PyTorch's")
    return {"ratio": ratio, "losses": losses, "seconds": times}


if __name__ == "__main__":
    run_command(main)
