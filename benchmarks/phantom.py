"""`python -m benchmarks.phantom`: synthetic slices per second, drawn and written, on one process and on all cores."""

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.phantom.dataset import make_phantom
from ich_jax.plumbing.command import run_command


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom", description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=400, help="(default: 400)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    cores, seconds = os.cpu_count() or 1, {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in sorted({1, cores}):
            start = time.perf_counter()
            make_phantom(Path(folder) / str(workers), args.slices, seed=0, workers=workers)
            seconds[workers] = time.perf_counter() - start
    rates = {workers: args.slices / value for workers, value in seconds.items()}
    print(f"{args.slices} slices of 512×512, started from nothing; {describe_machine()}")
    header = ("processes", "slices / s", "against one")
    print_table(header, [(str(n), f"{rate:.1f}", f"{rate / rates[1]:.2f}×") for n, rate in rates.items()])
    result = {"slices": args.slices, "slices_per_second": {str(n): rate for n, rate in rates.items()}}
    if args.json:
        save(args.json, "phantom", result)
    return result


if __name__ == "__main__":
    run_command(main)
