"""Files that are either whole or not there, whatever happens while they are written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_whole(path: Path, write: Callable[[IO[str]], object]) -> None:
    """Write a UTF-8 text file under a temporary name, then rename it into place.

    A kill or a full disk leaves the old file, or none: never half a file under the final name.
    """
    write_whole_with(path, lambda partial: _write_text(partial, write))


def write_whole_with(path: Path, write: Callable[[Path], object]) -> None:
    """The same for a library that wants a path: `write` gets the temporary one."""
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_text(path: Path, write: Callable[[IO[str]], object]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        write(file)
