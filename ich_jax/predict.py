"""`python -m ich_jax.predict RUN FILE…`: six class probabilities for each DICOM slice."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_jax.ahead import map_ahead
from ich_jax.data.dicom import SliceError, read_stored, require_picture
from ich_jax.data.labels import CLASSES
from ich_jax.data.preprocess import slice_to_image
from ich_jax.errors import InputError, run_command
from ich_jax.metrics import log_softmax
from ich_jax.run import Run, open_run
from ich_jax.steps import eval_step

BATCH = 16
PHANTOM_NETWORK = "trained on a PHANTOM: it has seen synthetic slices only, and says nothing about real ones"


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The paths themselves; for a folder, every .dcm file below it.

    Raises InputError for a folder without any.
    """
    files = []
    for path in paths:
        below = sorted(path.rglob("*.dcm")) if path.is_dir() else [path]
        if not below:
            raise InputError(f"{path}: holds no .dcm files")
        files += below
    return files


def predict(run: Run, files: list[Path]) -> Iterator[dict]:
    """One answer a file, in order: {"file", "predicted", "probabilities": {class: p}}, or {"file", "error"}."""

    def read(part: list[Path]) -> list[np.ndarray | SliceError]:
        return [_read(path, run.config.image_size) for path in part]

    parts = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    with ThreadPoolExecutor(max_workers=1) as reader:
        for part, read_part in zip(parts, map_ahead(reader, read, parts, ahead=2), strict=True):
            images = np.zeros((BATCH, run.config.image_size, run.config.image_size, 3), np.uint8)
            for place, image in enumerate(read_part):
                if not isinstance(image, SliceError):
                    images[place] = image
            logits = np.asarray(eval_step(run.structure, run.state.params, run.state.batch_stats, images))
            for path, image, shares in zip(part, read_part, np.exp(log_softmax(logits)), strict=False):
                if isinstance(image, SliceError):
                    yield {"file": str(path), "error": image.reason}
                else:
                    yield {
                        "file": str(path),
                        "predicted": CLASSES[shares.argmax()],
                        "probabilities": dict(zip(CLASSES, shares.tolist(), strict=True)),
                    }


def _read(path: Path, size: int) -> np.ndarray | SliceError:
    try:
        raw = read_stored(path)
        require_picture(raw, str(path))
        return slice_to_image(raw, size)
    except SliceError as error:
        return error


def main(argv: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.predict",
        description="Class probabilities for DICOM slices. A file that cannot be read is reported and the rest go on.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, or folders of them")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    args = parser.parse_args(argv)
    files = find_files(args.files)
    run = open_run(args.run)
    width = max(len(str(path)) for path in files)
    header = f"{'file':<{width}}  {'predicted':<16}" + "".join(f"{name:>17}" for name in CLASSES)
    results = []
    for result in tqdm(predict(run, files), total=len(files), unit="slice", desc="predict", leave=False, disable=None):
        if run.config.phantom:
            result["network"] = PHANTOM_NETWORK
        results.append(result)
        if args.json:
            continue
        if "error" in result:
            tqdm.write(f"{result['file']}: {result['error']}", file=sys.stderr)
        else:
            if header:
                tqdm.write(f"{PHANTOM_NETWORK}\n{header}" if run.config.phantom else header)
                header = ""
            shares = "".join(f"{share:>17.4f}" for share in result["probabilities"].values())
            tqdm.write(f"{result['file']:<{width}}  {result['predicted']:<16}{shares}")
    if args.json:
        print(json.dumps(results, indent=2))
    bad = sum("error" in result for result in results)
    if bad:
        raise InputError(f"{bad} of {len(results)} files could not be read")
    return results


if __name__ == "__main__":
    run_command(main)
