"""`python -m benchmarks.train_step`: how fast a network trains and answers, on whatever device JAX finds.

For the proposed network it also times the same network written the general way (1×1 convolutions as convolutions,
pools as `reduce_window`): same parameters, same answers, round by round on the same batch.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.models import MODELS
from ich_jax.models.layers import GLOROT
from ich_jax.models.proposed import Block, ProposedCNN, Stem
from ich_jax.paper import printed
from ich_jax.paper.steps import Batch, adam, compile_steps, no_sums, split_model
from ich_jax.plumbing.command import run_command
from ich_jax.training.outcome import peak_memory_bytes


class GeneralBlock(Block):
    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        super().__init__(channels, width, rngs=rngs)
        self.reduce = nnx.Conv(channels, width, (1, 1), kernel_init=GLOROT, rngs=rngs)
        self.expand = nnx.Conv(width, 4 * width, (1, 1), kernel_init=GLOROT, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.reduce(x))
        x = self.norm(nnx.relu(self.conv(x)))
        x = nnx.relu(self.expand(x))
        return nnx.avg_pool(x, (2, 2), strides=(2, 2), padding="SAME", count_include_pad=False)


class GeneralStem(Stem):
    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(nnx.max_pool(nnx.relu(self.conv(x)), (3, 3), strides=(2, 2), padding="SAME"))


class GeneralProposedCNN(ProposedCNN):
    """The proposed network with the parameters of `like`, in XLA's general operations."""

    def __init__(self, like: ProposedCNN, image_size: int):
        super().__init__(image_size, rngs=nnx.Rngs(0))
        self.blocks = nnx.List(
            GeneralBlock(block.reduce.in_features, block.reduce.out_features, rngs=nnx.Rngs(0)) for block in like.blocks
        )
        self.stem = GeneralStem(rngs=nnx.Rngs(0))
        nnx.update(self.stem, nnx.state(like.stem))
        nnx.update(self.dense, nnx.state(like.dense))
        for mine, block in zip(self.blocks, like.blocks, strict=True):
            nnx.update(mine.conv, nnx.state(block.conv))
            for name in ("reduce", "expand"):
                source = getattr(block, name)
                getattr(mine, name).kernel[...] = source.kernel[...][None, None]


class Timed:
    """One network, compiled, with the best time of its steps so far."""

    def __init__(self, model: nnx.Module, batch: Batch, precision: str = "float32"):
        optimizer = adam()
        structure, state = split_model(model, optimizer)
        self.steps = compile_steps(structure, optimizer, precision)
        # Copied: steps give their state away, and two networks share parameters.
        state, sums = jax.tree.map(jnp.copy, (state, no_sums()))
        arrays = (state, sums, batch, jax.random.key(0))
        self.state, self.sums, self.batch, self.key = jax.device_put(arrays, jax.devices()[0])
        start = time.perf_counter()
        compiled = self.steps.train.lower(self.state, self.sums, self.batch, self.key).compile()
        self.compile_seconds = time.perf_counter() - start
        memory = compiled.memory_analysis()
        self.planned_memory_bytes = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        cost = compiled.cost_analysis()
        self.flops = (cost[0] if isinstance(cost, list) else cost).get("flops", 0.0)
        self.train_seconds, self.eval_seconds = [], []

    def logits(self) -> jax.Array:
        return self.steps.evaluate(self.state.params, self.state.batch_stats, self.batch.images)

    def train(self) -> jax.Array:
        self.state, self.sums = self.steps.train(self.state, self.sums, self.batch, self.key)
        return self.sums.loss

    def round(self, steps: int) -> None:
        self.train_seconds.append(_seconds(self.train, steps))
        self.eval_seconds.append(_seconds(self.logits, steps))


def _seconds(step: Callable[[], jax.Array], steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        result = step()
    result.block_until_ready()
    return (time.perf_counter() - start) / steps


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=[*sorted(MODELS), "all"], default="proposed")
    parser.add_argument("--batch-size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds, networks in turn; medians count (default: 9)")
    parser.add_argument("--steps", type=int, default=1, help="steps per round; a GPU wants 20 or more (default: 1)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch_size, args.size, args.size, 3), np.uint8)
    batch = Batch(jnp.asarray(images), jnp.asarray(rng.integers(0, 6, args.batch_size), jnp.int32))
    timed = {}
    for name in MODELS if args.model == "all" else [args.model]:
        model = MODELS[name](args.size, rngs=nnx.Rngs(0))
        timed[name] = Timed(model, batch)
        if name == "proposed":
            timed["proposed, general operations"] = general = Timed(GeneralProposedCNN(model, args.size), batch)
            np.testing.assert_allclose(general.logits(), timed[name].logits(), atol=1e-3)
    for network in timed.values():
        network.round(1)
        network.train_seconds.clear()
        network.eval_seconds.clear()
    for _ in range(args.rounds):
        for network in timed.values():
            network.round(args.steps)
    print(f"batch {args.batch_size}, {args.size}×{args.size}; {describe_machine()}")
    rows, result, minutes = [], {}, printed.table_4()
    first = next(iter(timed.values()))
    for name, network in timed.items():
        train, answer = np.median(network.train_seconds), np.median(network.eval_seconds)
        # Of each round the ratio, then their median: neighbours on the machine slow both sides of a round alike.
        ratio = np.median(np.divide(network.train_seconds, first.train_seconds))
        result[name] = {
            "train_images_per_second": args.batch_size / train,
            "eval_images_per_second": args.batch_size / answer,
            "compile_seconds": network.compile_seconds,
            "train_gflop_per_second": network.flops / train / 1e9,
            "step_time_relative_to_first": ratio,
        }
        rows.append(
            (
                name,
                f"{args.batch_size / train:.1f}",
                f"{args.batch_size / answer:.1f}",
                f"{network.compile_seconds:.1f}",
                f"{network.flops / train / 1e9:.0f}",
                f"{ratio:.2f}",
                f"{minutes[name] / minutes['proposed']:.2f}" if name in minutes else "",
            )
        )
    header = (
        "network",
        "train images/s",
        "eval images/s",
        "compile s",
        "train GFLOP/s",
        "step time, first = 1",
        "paper's Table 4",
    )
    print_table(header, rows)
    peak = peak_memory_bytes()
    print(f"  peak device memory: {'not told by this backend' if peak is None else f'{peak / 2**20:.0f} MiB'}")
    result = {"batch_size": args.batch_size, "image_size": args.size, "peak_memory_bytes": peak, "networks": result}
    if args.json:
        save(args.json, "train_step", result)
    return result


if __name__ == "__main__":
    run_command(main)
