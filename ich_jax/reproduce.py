"""`python -m ich_jax.reproduce --out DIR`: the paper's five trainings, its results beside ours (paper: Bulgular)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ich_jax.paper.printed import NETWORKS
from ich_jax.plumbing.command import run_command
from ich_jax.training.config import DEVICES_HELP, PRESETS, count_or_all, option_type

if TYPE_CHECKING:
    from ich_jax.training.outcome import Outcome


def main(argv: list[str] | None = None) -> "dict[str, Outcome]":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.reproduce",
        description="Train the paper's networks and report beside its tables. Stopped, it goes on when run again.",
    )
    parser.add_argument("--data", type=Path, help="prepared folder (default: the phantom in data/phantom/)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and the report")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=NETWORKS, help="(default: all)")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="(default: the paper's; on a phantom its own)")
    parser.add_argument("--epochs", type=option_type("epochs"), help="at most (default: the preset's)")
    parser.add_argument(
        "--limit", type=option_type("limit"), default=0, help="use only so many slices, drawn at random (default: all)"
    )
    parser.add_argument("--seed", type=option_type("seed"), default=0, help="of every training (default: 0)")
    parser.add_argument(
        "--split-seed", type=option_type("split_seed"), default=0, help="of every training's split (default: 0)"
    )
    parser.add_argument("--devices", type=count_or_all, default="all", help=DEVICES_HELP)
    given = vars(parser.parse_args(argv))
    data, out, devices = (given.pop(name) for name in ("data", "out", "devices"))

    from ich_jax.phantom.dataset import phantom_data
    from ich_jax.results.reproduction import reproduce
    from ich_jax.training.devices import choose_devices

    results = reproduce(data or phantom_data(), out, devices=choose_devices(devices), **given)
    print(f"\nreport: {out / 'report.html'} and report.md")
    return results


if __name__ == "__main__":
    run_command(
        main, "stopped; finished trainings and epochs are kept: the same command goes on from there", at_once=True
    )
