"""`runs/`: where a training goes that was given no folder. `runs/latest` leads to the newest."""

import os
import time
from contextlib import suppress
from pathlib import Path

from ich_jax.training.config import read_config
from ich_jax.training.outcome import is_finished

RUNS = Path("runs")
LATEST = RUNS / "latest"


def unused_folder() -> Path:
    """A name for a new run: the time, and the process, since two may start in one second."""
    return RUNS / f"{time.strftime('%Y-%m-%d_%H%M%S')}_{os.getpid()}"


def unfinished_folder(data: Path) -> Path | None:
    """The newest run, if it is not finished and of this prepared folder."""
    if not LATEST.is_symlink() or not LATEST.exists() or is_finished(LATEST):
        return None
    if (LATEST / "config.json").exists() and Path(read_config(LATEST)[1].data) != data.resolve():
        return None
    return RUNS / os.readlink(LATEST)


def point_to(out: Path) -> bool:
    """Let runs/latest lead to a run in runs/. False if it cannot: Windows may forbid links, or it is no link."""
    partial = RUNS / f".partial-{out.name}"
    try:
        with suppress(FileNotFoundError):
            partial.unlink()
        partial.symlink_to(out.name, target_is_directory=True)
        os.replace(partial, LATEST)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        return False
    return True
