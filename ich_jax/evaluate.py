"""`python -m ich_jax.evaluate RUN`: how good a trained network is (paper: Değerlendirme Metrikleri)."""

import argparse
from pathlib import Path

from ich_jax.plumbing.command import run_command


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.evaluate",
        description="Metrics, confusion matrix and figures of a run's best epoch, written into the run folder.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="(default: test)")
    parser.add_argument("--data", help="the prepared folder, if it has moved since the training")
    args = parser.parse_args(argv)

    from ich_jax.training.run import evaluate

    return evaluate(args.run, args.part, args.data)


if __name__ == "__main__":
    run_command(main, at_once=True)
