"""`python -m benchmarks.gpu`: what a GPU makes of this project, in one command of at most eight minutes.

Training and evaluation of the networks at several batch sizes in both precisions, the memory that each program plans,
the images that reach the device, the paper's nine epochs in minutes, and, if PyTorch is here, the same networks in it
(channels last, compiled; bfloat16 through autocast). The most telling measurements come first; what the time
does not reach is named. It also runs on a CPU, slowly.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from benchmarks import against_torch
from benchmarks.feed import image_file, images_per_second
from benchmarks.machine import describe_machine, print_table, save
from benchmarks.train_step import Timed
from ich_jax.models import MODELS
from ich_jax.paper import printed
from ich_jax.paper.steps import Batch
from ich_jax.plumbing.command import run_command
from ich_jax.training.config import PRECISIONS
from ich_jax.training.outcome import peak_memory_bytes

ROUNDS = 3
EPOCHS, TRAINING, VALIDATION = 9, 360_373, 180_180  # the paper's run of Figs. 5 and 6, and its split


def random_batch(size: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, size, size, 3), np.uint8)
    return images, rng.integers(0, 6, batch_size, np.int32)


def here(name: str, precision: str, size: int, batch_size: int, steps: int) -> dict:
    network = Timed(
        MODELS[name](size, rngs=nnx.Rngs(0)), Batch(*map(jnp.asarray, random_batch(size, batch_size))), precision
    )
    for _ in range(ROUNDS + 1):
        network.round(steps)
    train, answer = (np.median(seconds[1:]) for seconds in (network.train_seconds, network.eval_seconds))
    return {
        "train_images_per_second": batch_size / train,
        "eval_images_per_second": batch_size / answer,
        "compile_seconds": network.compile_seconds,
        "planned_memory_bytes": network.planned_memory_bytes,
    }


def in_torch(name: str, precision: str, size: int, batch_size: int, steps: int) -> dict:
    torch = against_torch.torch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    step = against_torch.torch_step(
        MODELS[name](size, rngs=nnx.Rngs(0)),
        *random_batch(size, batch_size),
        device=device,
        bfloat16=precision == "bfloat16",
        compiled=True,
    )
    rates = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        loss.item()  # waits for the device
        rates.append(batch_size * steps / (time.perf_counter() - start))
    return {"train_images_per_second": float(np.median(rates[1:]))}


def measurements(args: argparse.Namespace) -> Iterator[tuple[str, partial]]:
    """(name, what measures it), the most telling first: the paper's own network and batch sizes."""
    names = sorted(args.models, key=list(MODELS).index)
    for batch_size in args.batch_sizes:
        for precision in PRECISIONS:
            for name in names:
                what = f"{name}, batch {batch_size}, {precision}"
                yield what, partial(here, name, precision, args.size, batch_size, args.steps)
        if against_torch.torch is None:
            continue
        for precision in PRECISIONS:
            for name in names:
                what = f"PyTorch: {name}, batch {batch_size}, {precision}"
                yield what, partial(in_torch, name, precision, args.size, batch_size, args.steps)


def feed(folder: Path, batch_sizes: list[int], count: int) -> dict[str, float]:
    with image_file(folder, count) as path:
        path.read_bytes()  # into the system's cache
        return {
            f"batch {batch_size}": images_per_second(path, batch_size, readers=4, cold=False, seconds=3)
            for batch_size in batch_sizes
        }


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="(default: all)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 8, 256], help="(default: 32 8 256)")
    parser.add_argument(
        "--size", type=int, default=printed.IMAGE_SIZE, help="side of the images in pixels (default: 224)"
    )
    parser.add_argument("--steps", type=int, default=20, help="per round, of which there are three (default: 20)")
    parser.add_argument("--minutes", type=float, default=7, help="begin nothing new after so many (default: 7)")
    parser.add_argument("--feed-images", type=int, default=5000, help="in the file that is read, 150 kB each")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    start, found, left_out = time.perf_counter(), {}, []
    beside = getattr(against_torch.torch, "__version__", "not here")
    print(f"{args.size}×{args.size}; {describe_machine()}; PyTorch {beside}")
    fed = feed(Path(tempfile.gettempdir()), args.batch_sizes, args.feed_images)
    for what, measure in tqdm(list(measurements(args)), unit="program", leave=False, disable=None):
        if time.perf_counter() - start > 60 * args.minutes:
            left_out.append(what)
            continue
        try:
            found[what] = measure()
        except (
            jax.errors.JaxRuntimeError,
            RuntimeError,
        ) as error:  # the device's memory is full, or torch.compile cannot
            found[what] = {"error": str(error).splitlines()[0][:200]}
    rows = [
        (
            what,
            *(
                f"{one[key]:,.0f}" if key in one else ""
                for key in ("train_images_per_second", "eval_images_per_second")
            ),
            f"{one['planned_memory_bytes'] / 2**20:,.0f}" if "planned_memory_bytes" in one else one.get("error", ""),
        )
        for what, one in found.items()
    ]
    print_table(("program", "train images/s", "eval images/s", "planned MiB"), rows)
    print_table(("images that reach the device", "images/s"), [(name, f"{rate:,.0f}") for name, rate in fed.items()])
    minutes = {}
    for precision in PRECISIONS:
        one = found.get(f"proposed, batch {printed.BATCH_SIZE}, {precision}", {})
        if "error" not in one and one:
            epoch = TRAINING / one["train_images_per_second"] + VALIDATION / one["eval_images_per_second"]
            minutes[precision] = EPOCHS * epoch / 60
            what = f"the paper's {EPOCHS} epochs at batch {printed.BATCH_SIZE}, {precision}"
            print(f"  {what}: {minutes[precision]:.0f} minutes, projected")
    if left_out:
        print(f"  not measured, the time was over: {'; '.join(left_out)}")
    result = {
        "image_size": args.size,
        "programs": found,
        "not_measured": left_out,
        "feed_images_per_second": fed,
        "projected_minutes_of_the_papers_run": minutes,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    if args.json:
        save(args.json, "gpu", result)
    return result


if __name__ == "__main__":
    run_command(main)
