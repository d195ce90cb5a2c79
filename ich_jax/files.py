"""Files that are either whole or not there, whatever happens while they are written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ich_jax.errors import InputError


def read_json(path: Path) -> dict:
    """A JSON object. Raises InputError if the file holds anything else, OSError if it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: damaged: not a JSON object")
    return found


def require_empty(folder: Path) -> None:
    """Raises InputError if `folder` is a file or holds anything but what a kill can leave of `write_whole`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; --out has to be a folder")
    if folder.exists() and any(not path.name.startswith(".partial-") for path in folder.iterdir()):
        raise InputError(f"{folder}: holds other files; choose an empty or new folder for --out")


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
