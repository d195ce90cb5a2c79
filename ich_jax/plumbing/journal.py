"""The journal of a long work: which pieces are finished, so that after a kill only the others are done again."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import write_whole

OTHER_WORK = "from another source or other settings; choose another --out (with make: DATA=folder OUT=run)"


class Journal:
    """A text file: its first line says which work this is, each further line is a CSV row for a finished piece.

    `rows` are those that an earlier, cut-off process has left.
    """

    def __init__(self, path: Path, work: str, out: Path):
        """Begin a journal, or go on with the one that is there.

        Args:
            path: the file.
            work: one line that tells this work from any other.
            out: the folder that the work fills, for errors.

        Raises InputError if the file is about other work or is damaged.
        """
        self.path = path
        if not path.exists():
            write_whole(path, lambda file: file.write(work + "\n"))
        try:
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # a kill can cut the last line
            first, *lines = whole.splitlines() or [""]
            self.rows = list(csv.reader(lines))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: damaged: {error}; delete {out} and start again") from None
        if first != work:
            raise InputError(f"{out}: holds unfinished work {OTHER_WORK}")
        if whole != text:
            os.truncate(path, len(whole.encode("utf-8")))

    def append(self, rows: Iterable[Iterable]) -> None:
        """Add finished pieces, forced to disk."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
            file.flush()
            os.fsync(file.fileno())
