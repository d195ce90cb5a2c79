"""`python -m ich_jax.prepare SOURCE --out DIR`: DICOM slices → a prepared folder (paper: Veri Ön İşleme)."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ich_jax.paper.printed import IMAGE_SIZE
from ich_jax.plumbing.command import run_command

if TYPE_CHECKING:
    from ich_jax.data.prepared import Prepared


def main(argv: list[str] | None = None) -> "Prepared":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.prepare",
        description="Turn DICOM slices into a prepared folder. Stopped at any moment, it goes on when run again.",
    )
    parser.add_argument("source", type=Path, help="folder or zip of DICOM slices, Kaggle's or any other")
    parser.add_argument("--out", type=Path, required=True, help="the prepared folder to make")
    parser.add_argument("--labels", type=Path, help="label CSV (default: the one in the source)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--size", type=int, default=IMAGE_SIZE, help="side of the images in pixels (default: 224)")
    parser.add_argument("--no-repair", action="store_true", help="do not undo the wrap-around of 12-bit values")
    args = parser.parse_args(argv)
    if args.workers < 1 or not 1 <= args.size <= 4096:
        parser.error("--workers must be at least 1, --size from 1 to 4096")

    from ich_jax.data.preparing import as_text, prepare
    from ich_jax.data.source import open_source

    source = open_source(args.source, args.labels)
    for note in source.notes:
        print(note)
    if (args.out / "prepare.json").exists():
        print(f"prepared before; what is in {args.out} stands (--out elsewhere reads the source anew)")
    prepared = prepare(source, args.out, args.size, args.workers, not args.no_repair)
    print(as_text(prepared))
    return prepared


if __name__ == "__main__":
    run_command(main, "stopped; what is done is kept, and running the same command again goes on from there")
