"""`python -m ich_jax.predict RUN FILE…`: six class probabilities for each DICOM slice."""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError, run_command

PHANTOM_NETWORK = "trained on a PHANTOM: it has seen synthetic slices only, and says nothing about real ones"


def main(argv: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.predict",
        description="Class probabilities for DICOM slices. A file that cannot be read is reported and the rest go on.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, or folders of them")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    args = parser.parse_args(argv)

    from ich_jax.data.source import find_files
    from ich_jax.training.inference import predict
    from ich_jax.training.run import open_run

    files = find_files(args.files)
    run = open_run(args.run)
    phantom = {"network": PHANTOM_NETWORK} if run.found.phantom else {}
    width = max(len(str(path)) for path in files)
    header = f"{'file':<{width}}  {'predicted':<16}" + "".join(f"{name:>17}" for name in CLASSES)
    if phantom:
        header = f"{PHANTOM_NETWORK}\n{header}"
    results = []
    answers = predict(run.network, run.state, run.found.image_size, files)
    for result in tqdm(answers, total=len(files), unit="slice", desc="predict", leave=False, disable=None):
        results.append(result | phantom)
        if args.json:
            continue
        if "error" in result:
            tqdm.write(f"{result['file']}: {result['error']}", file=sys.stderr)
            continue
        if header:
            tqdm.write(header)
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
    run_command(main, at_once=True)
