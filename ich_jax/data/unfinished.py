"""A prepared data set in the making, written so that a kill at any moment loses next to nothing.

The work is in a subfolder `unfinished/` until it is whole; `prepared` says what comes out.
"""

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ich_jax.data.prepared import SLICE_COLUMNS
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import require_empty, require_space, write_csv, write_json
from ich_jax.plumbing.journal import Journal

NPY_HEADER_BYTES = 128  # for any N: NumPy pads the header so that N can grow


class Candidate(NamedTuple):
    """What became of one candidate slice: its place among the candidates, and either identifiers or a reason."""

    row: int
    patient_id: str
    study_id: str
    pixel_hash: str
    padded: bool  # was not square
    reason: str  # why it was rejected; empty if it was not
    generator: str = ""  # of a phantom's file, the version of what drew it

    @classmethod
    def parse(cls, row: list[str]) -> "Candidate":
        """From a row of the journal."""
        return cls(int(row[0]), *row[1:4], row[4] == "True", row[5], row[6])


class Unfinished:
    """Candidate k's image goes to row k of `unfinished/images.npy`, and only then into the journal; what is not in the
    journal is done again. The pixels are forced to disk before the journal, so not even a power cut leaves a row in
    the journal without its pixels.
    """

    def __init__(self, out: Path, size: int, candidates: int, job: str):
        """Begin, or go on with, the job identified by the line `job`, in a folder that is ours alone.

        Raises InputError if the folder holds anything else or the disk has no room.
        """
        self.out, self.size, self.candidates = out, size, candidates
        self.folder = out / "unfinished"
        self.images_path = self.folder / "images.npy"
        if not self.folder.exists():
            require_empty(out, but="rejected.csv")  # all that is left of a source without a usable slice
        if not (self.folder / "journal.csv").exists():
            self.folder.mkdir(exist_ok=True)
            self._reserve()
        self.journal = Journal(self.folder / "journal.csv", job, out)
        try:
            done = [Candidate.parse(row) for row in self.journal.rows]
        except (ValueError, IndexError) as error:
            raise InputError(f"{self.journal.path}: damaged: {error}; delete {self.folder} to start again") from None
        self.done = {candidate.row: candidate for candidate in done}

    def _reserve(self) -> None:
        """Claim the whole of images.npy now: a disk that fills up later would kill a process that writes to the map."""
        shape = (self.candidates, self.size, self.size, 3)
        require_space(self.out, math.prod(shape) + 2**20)
        images = np.lib.format.open_memmap(self.images_path, mode="w+", dtype=np.uint8, shape=shape)
        assert images.offset == NPY_HEADER_BYTES
        if hasattr(os, "posix_fallocate"):
            with open(self.images_path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, images.offset + images.nbytes)

    def record(self, candidates: Iterable[Candidate]) -> None:
        """Journal finished candidates, after their pixels are safe on disk."""
        candidates = list(candidates)
        with open(self.images_path, "rb") as images:
            os.fsync(images.fileno())
        self.journal.append(candidates)
        self.done.update((candidate.row, candidate) for candidate in candidates)

    def finish(self, image_ids: list[str], class_names: list[str], rejected: dict[str, str], info: dict) -> None:
        """Turn the finished candidates into the prepared folder. Can be cut off anywhere and called again.

        Args:
            image_ids, class_names: of the candidates, in order.
            rejected: image ID → reason, of slices that never were candidates.
            info: what prepare.json should say besides the counts.

        Raises InputError if no slice is left; rejected.csv is written all the same.
        """
        accepted = [row for row in range(self.candidates) if not self.done[row].reason]
        rejected = rejected | {image_ids[row]: one.reason for row, one in self.done.items() if one.reason}
        write_csv(self.out / "rejected.csv", ("image_id", "reason"), sorted(rejected.items()))
        if not accepted:
            shutil.rmtree(self.folder)
            raise InputError(f"{self.out}: none of {len(rejected)} slices can be used; rejected.csv there says why")
        # Rejected rows leave holes. The last images fill them, so that few of them move, whatever N is.
        count, accepted_rows = len(accepted), set(accepted)
        last = iter(row for row in accepted if row >= count)
        order = [row if row in accepted_rows else next(last) for row in range(count)]
        if self.images_path.exists():
            self._close_holes(order)
            os.replace(self.images_path, self.out / "images.npy")
        rows = [
            (image_ids[row], class_names[row], one.patient_id, one.study_id, one.pixel_hash)
            for row, one in ((row, self.done[row]) for row in order)
        ]
        write_csv(self.out / "slices.csv", SLICE_COLUMNS, rows)
        per_class = Counter(row[1] for row in rows)
        info["counts"] = {
            "slices": count,
            "per_class": {name: per_class[name] for name in CLASSES},
            "rejected": len(rejected),
            "padded_to_square": sum(self.done[row].padded for row in accepted),
            "synthetic": sum(bool(self.done[row].generator) for row in accepted),
        }
        info["phantom_generators"] = sorted({self.done[row].generator for row in accepted} - {""})
        write_json(self.out / "prepare.json", info)
        shutil.rmtree(self.folder)

    def _close_holes(self, order: list[int]) -> None:
        images = np.lib.format.open_memmap(self.images_path, mode="r+")
        shape = (len(order), *images.shape[1:])
        if images.shape != shape:  # else a kill came after the new header: the images have moved
            for place, row in enumerate(order):
                if place != row:
                    images[place] = images[row]
            images.flush()
        del images
        with open(self.images_path, "r+b") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(NPY_HEADER_BYTES + math.prod(shape))
            file.flush()
            os.fsync(file.fileno())
