"""`python -m ich_jax.phantom --out DIR`: synthetic slices in the layout of RSNA's, for who has none."""

import argparse
import os
from pathlib import Path

from ich_jax.phantom.dataset import DEFAULT, as_text, make_phantom
from ich_jax.phantom.domains import DOMAINS, LEFT_OUT
from ich_jax.phantom.patients import PREVALENCE, Truth
from ich_jax.plumbing.command import run_command


def main(argv: list[str] | None = None) -> list[Truth]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.phantom",
        description="Write synthetic head-CT slices as DICOM, in the layout of the Kaggle download.",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument("--slices", type=int, default=DEFAULT["slices"], help="0.5 MB each (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=DEFAULT["seed"], help="decides every patient and pixel (default: %(default)s)"
    )
    parser.add_argument(
        "--prevalence",
        choices=sorted(PREVALENCE),
        default=DEFAULT["prevalence"],
        help="rsna: 89.5 %% of the slices without hemorrhage; teaching: about a third (default: %(default)s)",
    )
    parser.add_argument(
        "--domain",
        choices=sorted(DOMAINS),
        default="usual",
        help="shifted: other heads, pose and scanner (default: usual)",
    )
    parser.add_argument("--without", choices=sorted(LEFT_OUT), default="", help="a part of the variety to leave out")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--clean", action="store_true", help="leave out the truncated file and the one of noise")
    args = parser.parse_args(argv)
    if args.workers < 1 or args.slices < 1 or args.seed < 0:
        parser.error("--workers and --slices must be at least 1, --seed at least 0")
    rows = make_phantom(**vars(args))
    print(as_text(args.out, rows))
    return rows


if __name__ == "__main__":
    run_command(main, "stopped; finished patients are kept, and running the same command again goes on from there")
