"""Files that are either whole or not there, and folders that belong to one process at a time."""

import contextlib
import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ich_jax.plumbing.command import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK = ".lock"
PARTIAL = ".partial-"
BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def read_json(path: Path) -> dict:
    """A JSON object. Raises InputError if the file holds anything else, OSError if it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: damaged: not a JSON object")
    return found


def write_json(path: Path, content: dict) -> None:
    write_whole(path, lambda file: file.write(json.dumps(content, indent=2) + "\n"))


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable]) -> None:
    def write(file: IO[str]) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[IO[str]], object]) -> None:
    """Write a UTF-8 text file under a temporary name, then rename it into place.

    A kill or a full disk leaves the old file, or none: never half a file under the final name.
    """

    def write_text(partial: Path) -> None:
        with open(partial, "w", encoding="utf-8", newline="") as file:
            write(file)

    write_whole_with(path, write_text)


def write_whole_with(path: Path, write: Callable[[Path], object]) -> None:
    """The same for a library that wants a path: `write` gets the temporary one."""
    path = Path(path)
    partial = path.with_name(PARTIAL + path.name)
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder that is whole or not there: the block fills the one it gets, which is then renamed to `folder`.

    What a kill leaves beside it, `.partial-…`, goes with the next attempt.

    Raises InputError if `folder` holds anything, or another process is making it.
    """
    folder = Path(os.path.abspath(folder))
    aside = folder.with_name(PARTIAL + folder.name)
    with claim(aside):
        if folder.exists():
            require_empty(folder)
        new = aside / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            for path in new.iterdir():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
            if folder.exists():
                folder.rmdir()
            os.rename(new, folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    with contextlib.suppress(OSError):
        aside.rmdir()  # if a kill had left it


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Keep a folder, made if it is not there, for this process alone while the block runs.

    The lock is the operating system's, on a file in the folder, so it ends with the process however that ends.

    Raises InputError if another process holds the folder, or if it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; --out has to be a folder")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    handle = _lock(path, folder)
    try:
        yield
    finally:
        # Closed last: whoever gets the lock in between finds the file gone, and makes its own.
        if fcntl:
            path.unlink(missing_ok=True)
            os.close(handle)
        else:
            os.close(handle)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing came of it


def _lock(path: Path, folder: Path) -> int:
    """An open file that holds the lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in BUSY:
                os.close(handle)
                message = f"{folder}: another process is working in this folder; wait for it, or choose another one"
                raise InputError(message) from None
            return handle  # a file system without locks: nothing keeps two processes apart there
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # its last owner has removed this file meanwhile


def require_empty(folder: Path, but: str = "") -> None:
    """Raises InputError if `folder` is none, or holds more than `but` and what a kill leaves of `write_whole` and
    `claim`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; --out has to be a folder")
    if any(path.name not in (LOCK, but) and not path.name.startswith(PARTIAL) for path in folder.iterdir()):
        raise InputError(f"{folder}: holds other files; choose an empty or new folder for --out")


def require_space(folder: Path, needed: int, otherwise: str = "") -> None:
    """Raises InputError if the disk that `folder` is on has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: needs {size_in_words(needed)}, the disk has {size_in_words(free)} free{otherwise}")


def size_in_words(count: int) -> str:
    """Bytes, as a person says them.

    >>> size_in_words(54_245_000_000)
    '54.2 GB'
    """
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
