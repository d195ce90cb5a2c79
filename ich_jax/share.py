"""`python -m ich_jax.share RUN --out DIR`: a trained network in a folder to pass on, with its settings and a page."""

import argparse
from pathlib import Path

from ich_jax.plumbing.command import run_command


def main(argv: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.share",
        description="Writes what one passes on of a run's best epoch: weights, settings and a model card, without "
        "optimizer, predictions, names of patients or paths. `predict` takes the folder in place of a run.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, an empty or new one")
    parser.add_argument("--data", help="the prepared folder, for the card's intervals, if it has moved")
    parser.add_argument(
        "--onnx", action="store_true", help="model.onnx as well (needs `pip install -r requirements-onnx.txt`)"
    )
    args = parser.parse_args(argv)

    from ich_jax.results.sharing import share

    return share(args.run, args.out, args.data, onnx=args.onnx)


if __name__ == "__main__":
    run_command(main, at_once=True)
