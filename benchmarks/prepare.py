"""`python -m benchmarks.prepare SOURCE`: slices per second of `prepare`'s inner path, on one core.

Side by side on the same files, round by round: ours (look-up table, packed resize) against the loop one would write
first: pydicom, three windows in float arithmetic, Pillow. That loop is timed twice: in NumPy's default float64, as it
comes out when slope and intercept are applied without a thought, and in float32, the stricter comparison.
All three give the same images; that is checked before anything is timed.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from benchmarks.machine import describe_machine, print_table, save
from ich_jax.data.dicom import read_stored
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.printed import IMAGE_SIZE
from ich_jax.paper.windowing import WINDOWS
from ich_jax.plumbing.command import InputError, run_command


def ours(path: Path) -> np.ndarray:
    return slice_to_image(read_stored(path))


def straightforward(path: Path, dtype: type) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    hu = dataset.pixel_array.astype(dtype) * dtype(dataset.RescaleSlope) + dtype(dataset.RescaleIntercept)
    grey = []
    for level, width in WINDOWS:
        low, high = level - width / 2, level + width / 2
        grey.append(np.rint((np.clip(hu, low, high) - low) * 255 / width).astype(np.uint8))
    image = Image.fromarray(np.stack(grey, axis=-1))
    return np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of DICOM slices, or one in Kaggle's layout")
    parser.add_argument("--slices", type=int, default=100, help="slices to read (default: 100)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds; the fastest of each counts (default: 7)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    paths = sorted(args.source.rglob("*.dcm"))[: args.slices]
    if not paths:
        raise InputError(f"{args.source}: holds no .dcm files")
    warnings.simplefilter("ignore")  # RSNA's UIDs, one warning each
    ways = {
        "ours": ours,
        "straightforward, float32": lambda path: straightforward(path, np.float32),
        "straightforward, float64": lambda path: straightforward(path, np.float64),
    }
    for path in paths:
        images = [way(path) for way in ways.values()]
        if not all(np.array_equal(images[0], image) for image in images):
            raise InputError(f"{path}: the images differ; is it a slice that needs the wrap-around repair?")
    seconds = {name: float("inf") for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            for path in paths:
                way(path)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    rates = {name: len(paths) / value for name, value in seconds.items()}
    print(f"{len(paths)} slices, one core, best of {args.rounds} rounds; {describe_machine()}")
    rows = [(name, f"{1000 / rate:.2f}", f"{rate:.0f}", f"{rates['ours'] / rate:.2f}×") for name, rate in rates.items()]
    print_table(("way", "ms / slice", "slices / s", "ours is faster by"), rows)
    result = {"slices": len(paths), "slices_per_second": rates}
    if args.json:
        save(args.json, "prepare", result)
    return result


if __name__ == "__main__":
    run_command(main)
