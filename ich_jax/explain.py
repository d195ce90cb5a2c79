"""`python -m ich_jax.explain RUN FILE… --out DIR`: where a network looks, and what such pictures are worth."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ich_jax.plumbing.command import InputError, run_command

if TYPE_CHECKING:
    from ich_jax.results.explaining import Explained


def main(argv: list[str] | None = None) -> "Explained":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.explain",
        description="Maps of where a network looks for the class that it names (gradient saliency, Grad-CAM, "
        "occlusion), each beside the same map of a network with random weights and of one trained on shuffled labels, "
        "which is trained once. A file that cannot be read is reported and the rest go on.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, folders or zips of them")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for pictures and numbers")
    parser.add_argument("--part", choices=("train", "validation", "test"), help="only slices of this part of the run")
    parser.add_argument("--slices", type=int, default=0, help="only so many slices, drawn at random (0: all)")
    parser.add_argument("--percent", type=float, default=5.0, help="of the head count as marked by a map (default: 5)")
    parser.add_argument("--data", type=Path, help="the run's prepared folder, if it has moved since the training")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--shuffled", type=Path, help="folder of the network trained on shuffled labels (default: in the run folder)"
    )
    other.add_argument("--no-shuffled", action="store_true", help="go without that network")
    parser.add_argument("--no-repair", action="store_true", help="do not undo the wrap-around of 12-bit values")
    args = parser.parse_args(argv)
    if args.slices < 0 or not 0 < args.percent <= 50:
        parser.error("--slices must be at least 0, and --percent above 0 and at most 50")

    from ich_jax.data.find import number_of
    from ich_jax.results.explaining import Asked, as_text, explain

    asked = Asked(
        percent=args.percent,
        part=args.part or "",
        slices=args.slices,
        data=args.data,
        shuffled=args.shuffled,
        without_shuffled=args.no_shuffled,
        repair=not args.no_repair,
    )
    explained = explain(args.run, args.files, args.out, asked)
    for line in explained.refused:
        print(line, file=sys.stderr)
    print(f"{as_text(explained)}\n\npictures and numbers: {args.out}")
    if explained.refused:
        raise InputError(f"{number_of(explained.refused)} could not be read; the others are explained")
    return explained


if __name__ == "__main__":
    run_command(
        main, "stopped; no picture or number was written, finished epochs on shuffled labels are kept", at_once=True
    )
