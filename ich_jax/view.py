"""`python -m ich_jax.view FILE… --out PAGE.html`: slices as one HTML file (paper: Veri Ön İşleme)."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ich_jax.plumbing.command import InputError, run_command

if TYPE_CHECKING:
    from ich_jax.results.viewing import Viewed


def main(argv: list[str] | None = None) -> "Viewed":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.view",
        description="One HTML file that opens from disk, without server or network: slices in the order of the body, "
        "windows to drag, and with --run what a network says. No name, number or date of a patient is written into it; "
        "what is drawn into the pictures themselves stays. A file that cannot be read is reported and the rest go on.",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, folders or zips of them")
    parser.add_argument("--out", type=Path, required=True, help="the page to write, or to write anew, ending in .html")
    parser.add_argument("--run", type=Path, help="run folder, from `python -m ich_jax.train`, or a shared one")
    parser.add_argument("--size", type=int, help="make larger slices smaller, to this side in pixels")
    parser.add_argument("--no-repair", action="store_true", help="do not undo the wrap-around of 12-bit values")
    parser.add_argument(
        "--blood", action="store_true", help="outline a phantom's blood; draws its slices again, seconds for each"
    )
    args = parser.parse_args(argv)
    if args.size is not None and not 16 <= args.size <= 4096:
        parser.error("--size must be from 16 to 4096")

    from ich_jax.data.find import number_of
    from ich_jax.plumbing.files import size_in_words
    from ich_jax.results.viewing import view

    viewed = view(args.files, args.out, args.run, size=args.size, repair=not args.no_repair, blood=args.blood)
    for line in viewed.refused:
        print(line, file=sys.stderr)
    print(f"{args.out}, {size_in_words(args.out.stat().st_size)}: {viewed.counts}")
    if viewed.refused:
        raise InputError(f"{number_of(viewed.refused)} could not be read; the page shows the others")
    return viewed


if __name__ == "__main__":
    run_command(main, at_once=True)
