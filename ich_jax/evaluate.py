"""`python -m ich_jax.evaluate RUN`: how good a trained network is (paper: Değerlendirme Metrikleri)."""

import argparse
from pathlib import Path

from ich_jax.data.splits import small_class_warnings
from ich_jax.errors import run_command
from ich_jax.results import answer, report, write_results
from ich_jax.run import open_data, open_run, split_rows


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.evaluate",
        description="Metrics, confusion matrix and figures of a run's best epoch, written into the run folder.",
    )
    parser.add_argument("run", type=Path, help="run folder, from `python -m ich_jax.train`")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="(default: test)")
    parser.add_argument("--data", help="the prepared folder, if it has moved since the training")
    args = parser.parse_args(argv)
    run = open_run(args.run)
    prepared = open_data(run.config, args.data)
    rows = split_rows(run.config, prepared)
    for sentence in small_class_warnings(prepared.classes, rows):
        print(f"warning: {sentence}")
    if run.stopping.epoch < run.config.epochs and not run.stopping.should_stop:
        print(f"warning: this training is not finished; these are the results after {run.stopping.epoch} epochs")
    logits = answer(run.structure, run.state, prepared, rows[args.part], run.config.batch_size, args.part)
    metrics = write_results(run, prepared, args.part, rows[args.part], logits)
    print(report(metrics))
    print(f"\nfigures and tables: {args.run if args.part == 'test' else args.run / args.part}")
    return metrics


if __name__ == "__main__":
    run_command(main)
