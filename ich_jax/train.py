"""`python -m ich_jax.train --data DIR`: train a network (paper: Hiperparametre Seçimleri ve Ayarlar)."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ich_jax.plumbing.command import run_command
from ich_jax.training.config import DEVICES_HELP, PRESETS, add_options, count_or_all, preset, read_config

if TYPE_CHECKING:
    from ich_jax.training.run import Run


def main(argv: list[str] | None = None) -> "Run":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.train",
        allow_abbrev=False,
        description="Train a network on a prepared folder with the paper's settings; without --data on a phantom.",
    )
    parser.add_argument(
        "--data", help="prepared folder, from `python -m ich_jax.prepare` (default: a phantom, made in data/phantom/)"
    )
    parser.add_argument("--out", type=Path, help="run folder (default: a new one in runs/; runs/latest leads to it)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out; without --out with the newest in runs/, if of these data and unfinished",
    )
    add_options(parser)
    parser.add_argument("--devices", type=count_or_all, default="all", help=DEVICES_HELP)
    parser.add_argument(
        "--cache-on-device",
        action="store_true",
        help="keep the training slices in the device's memory, if they fit (RSNA's are 54 GB)",
    )
    parser.add_argument(
        "--hosts",
        help="one training on several machines: auto, or address:port,number,count (see docs/devices.md)",
    )
    given = vars(parser.parse_args(argv))
    names = ("data", "out", "resume", "devices", "cache_on_device", "hosts")
    data, out, resume, devices, cached, hosts = (given.pop(name) for name in names)
    if hosts and not (data and out):
        parser.error("--hosts needs --data and --out: the same folders on every machine")

    from ich_jax.training.devices import choose_devices, join_hosts

    if hosts:
        join_hosts(hosts)
    devices = choose_devices(devices)

    from ich_jax.training.folders import unfinished_folder, unused_folder
    from ich_jax.training.run import train

    if resume and not out:
        from ich_jax.phantom.dataset import DEFAULT_FOLDER

        out = unfinished_folder(Path(data) if data else DEFAULT_FOLDER / "prepared")
        if out:
            print(f"going on with {out}")
    out = out or unused_folder()
    start = given.pop("preset", None)
    if resume and (out / "config.json").exists():
        before, found = read_config(out)
        asked = {name: value for name, value in PRESETS.get(start, {}).items() if name != "epochs"}
        settings, data = replace(before, **(asked | given)), data or found.data
    else:
        settings = preset(start or ("paper" if data else "phantom"), **given)
    if not data:
        from ich_jax.phantom.dataset import phantom_data

        data = phantom_data()
    return train(settings, data, out, resume=resume, devices=devices, cached=cached)


if __name__ == "__main__":
    run_command(
        main, "stopped; finished epochs are kept: `make train`, or this command with --resume, goes on", at_once=True
    )
