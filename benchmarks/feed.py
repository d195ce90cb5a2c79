"""`python -m benchmarks.feed`: images per second that reach the device, from a file of 224×224 images.

Nothing is computed with them: what a training step takes comes on top, or runs beside. "Cold" reads have the file's
pages dropped from the cache of the system first (Linux), as in the first epoch over a file larger than the memory.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import require_space
from ich_jax.training import batches
from ich_jax.training.batches import training_batches

SIZE = 224


@contextmanager
def image_file(folder: Path, count: int) -> Iterator[Path]:
    """`count` random images, as prepare writes them."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path, rng = Path(made) / "images.npy", np.random.default_rng(0)
        require_space(Path(made), count * SIZE * SIZE * 3)
        images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIZE, SIZE, 3))
        for start in tqdm(range(0, count, 1000), unit="thousand", desc="write", leave=False, disable=None):
            images[start : start + 1000] = rng.integers(0, 256, images[start : start + 1000].shape, np.uint8)
        images.flush()
        del images
        yield path


def drop_from_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def images_per_second(path: Path, batch_size: int, readers: int, cold: bool, seconds: float) -> float:
    """Over about `seconds`, in random order, each image at most once."""
    if cold:
        drop_from_cache(path)
    images = np.load(path, mmap_mode="r")
    found, start = 0, time.perf_counter()
    for batch in training_batches(
        images, np.zeros(len(images), np.int32), np.arange(len(images)), batch_size, 0, 1, readers=readers
    ):
        found += batch.images.block_until_ready().shape[0]
        if time.perf_counter() - start > seconds:
            break
    return found / (time.perf_counter() - start)


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feed", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000, help="how many, 150 kB each (default: 20000)")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to be measured (default: here)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 256])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, batches.READERS], help="threads that read")
    parser.add_argument("--seconds", type=float, default=3, help="for each measurement (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="readers in turn; medians count (default: 3)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    if not hasattr(os, "posix_fadvise"):
        raise InputError("cold reads cannot be measured on this system")
    print(f"{args.images:,} images of {SIZE}×{SIZE}; {describe_machine()}")
    measured, rows = {}, []
    with image_file(args.folder, args.images) as path:
        for cold in (False, True):
            for batch_size in args.batch_sizes:
                if not cold:
                    path.read_bytes()  # into the system's cache
                rates = [
                    [images_per_second(path, batch_size, readers, cold, args.seconds) for readers in args.readers]
                    for _ in range(args.rounds)
                ]
                medians = np.median(rates, axis=0).tolist()
                state = "cold" if cold else "warm"
                measured[f"{state}, batch {batch_size}"] = dict(zip(map(str, args.readers), medians, strict=True))
                rows.append((state, f"{batch_size}", *(f"{rate:,.0f}" for rate in medians)))
    print_table(("page cache", "batch", *(f"images/s, {n} reader{'s' * (n > 1)}" for n in args.readers)), rows)
    result = {"images": args.images, "image_size": SIZE, "images_per_second_by_readers": measured}
    if args.json:
        save(args.json, "feed", result)
    return result


if __name__ == "__main__":
    run_command(main)
