"""What the benchmarks share: which machine this is, a small table, and results that gather in one file a device."""

import json
import os
import platform
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import jax

from ich_jax.plumbing import tables
from ich_jax.plumbing.files import write_json


def device_name() -> str:
    """The accelerator's name, or the processor's where there is none."""
    kind = jax.devices()[0].device_kind
    if kind != "cpu":
        return kind
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def describe_machine() -> str:
    return f"{device_name()}, {os.cpu_count()} cores, Python {platform.python_version()}, JAX {jax.__version__}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(textwrap.indent(tables.text(header, rows), "  "))


def save(folder: Path, benchmark: str, result: dict) -> None:
    """Put one benchmark's result into `<folder>/<device>.json`, beside those of the others."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{device_name()} {os.cpu_count()} cores".lower()).strip("-")
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_json(path, known | {"machine": describe_machine(), benchmark: result})
    print(f"written to {path}")
