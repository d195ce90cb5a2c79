"""A data set of RSNA's size for the rehearsal: made up, all but the counts.

`python -m benchmarks.rsna_size WHAT --folder DIR` makes one piece of it:

    labels   stage_2_train.csv, six rows a slice, four slices listed twice
    zip      kaggle.zip with that file and a directory of 870,000 entries, of which EXISTING hold a slice
    begun    a folder in which `prepare` has been stopped with all other slices done: 8×8 pixels of noise each

What exists is marked as a phantom, so what is made of it is as well.
"""

import argparse
import hashlib
import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np

from ich_jax.data.preparing import plan
from ich_jax.data.source import FOLDERS, KAGGLE_ROOT, open_source
from ich_jax.data.unfinished import Candidate, Unfinished
from ich_jax.paper.printed import TYPES, table_1
from ich_jax.phantom.domains import GENERATOR
from ich_jax.phantom.scanner import FORMATS, Identity, store, to_dicom
from ich_jax.plumbing.files import write_whole
from ich_jax.results.audit import DUPLICATED_IDS

MULTI_TYPE = 32_074  # slices with several types of hemorrhage, which the paper leaves out
PATIENTS = 18_938
ENTRIES = 870_000  # of the zip
EXISTING = 240
SIZE = 8  # pixels, the side of a prepared image
RUN = 8  # neighbouring slices that hold the same
LABELS, ARCHIVE, BEGUN = "stage_2_train.csv", "kaggle.zip", "begun"


class RsnaSize:
    """Slices, patient by patient. `share` below 1 makes all of it smaller, for tests.

    `types` are the types of hemorrhage of each slice, `patient` is its patient's number.
    """

    def __init__(self, share: float = 1.0):
        self.share = share

    def scaled(self, count: int) -> int:
        return max(RUN, round(count * self.share))

    @cached_property
    def counts(self) -> dict[tuple[str, ...], int]:
        """Types → slices: Table 1 without the paper's duplicates, and the slices that it leaves out."""
        table = {name: row["total"] for name, row in table_1().items()}
        single = {(name,): self.scaled(table[name]) for name in TYPES}
        healthy = {(): self.scaled(table["none"] - DUPLICATED_IDS)}
        return healthy | single | {("subarachnoid", "subdural"): self.scaled(MULTI_TYPE)}

    @cached_property
    def types(self) -> list[tuple[str, ...]]:
        runs = [
            (types, min(RUN, count - start)) for types, count in self.counts.items() for start in range(0, count, RUN)
        ]
        order = np.random.default_rng(0).permutation(len(runs))
        return [types for types, length in (runs[k] for k in order) for _ in range(length)]

    @cached_property
    def patient(self) -> np.ndarray:
        return np.arange(len(self.types)) * self.scaled(PATIENTS) // len(self.types)

    def image_id(self, number: int) -> str:
        return _identifier(number, 9)

    def identity(self, number: int) -> Identity:
        patient = int(self.patient[number])
        study, series = _identifier(patient, 10), _identifier(patient + PATIENTS, 10)
        return Identity(self.image_id(number), _identifier(patient, 8), study, series)

    @cached_property
    def existing(self) -> set[int]:
        """Slices whose DICOM file is there: the first of those that the paper uses."""
        used = (number for number, types in enumerate(self.types) if len(types) < 2)
        return {number for number, _ in zip(used, range(self.scaled(EXISTING)), strict=False)}

    def write_labels(self, folder: Path) -> None:
        """752,807 × 6 rows, with the line ends of the sample of the real file."""
        healthy = [number for number, types in enumerate(self.types) if not types]
        cells = {
            types: [f"_{kind},{int(kind in types or (kind == 'any' and bool(types)))}\r\n" for kind in (*TYPES, "any")]
            for types in self.counts
        }

        def rows():
            yield "ID,Label\r\n"
            for number in (*range(len(self.types)), *healthy[:DUPLICATED_IDS]):
                image_id = self.image_id(number)
                yield "".join([image_id + cell for cell in cells[self.types[number]]])

        write_whole(folder / LABELS, lambda file: file.writelines(rows()))

    def write_zip(self, folder: Path) -> None:
        """The entries without a slice are in the zip's directory alone, as far from its start as the real ones."""
        prefix = f"{KAGGLE_ROOT}/{FOLDERS[0]}/"
        with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / LABELS, f"{KAGGLE_ROOT}/{LABELS}")
            for number in range(len(self.types)):
                name = f"{prefix}{self.image_id(number)}.dcm"
                if number in self.existing:
                    archive.writestr(name, self._dicom(number))
                else:
                    archive.filelist.append(_far_away(name, number))
            for number in range(len(self.types), self.scaled(ENTRIES) - 1):
                name = f"{KAGGLE_ROOT}/stage_2_test/{self.image_id(number)}.dcm"
                archive.filelist.append(_far_away(name, number))

    def _dicom(self, number: int) -> bytes:
        """A disc of brain in air."""
        v, u = np.mgrid[-1:1:512j, -1:1:512j]
        hu = np.where(np.hypot(u, v) < 0.7, 30 + number % 20, -1000)
        fmt = FORMATS[number % len(FORMATS)]
        return to_dicom(store(hu, fmt), fmt, self.identity(number), 0.5, (-125.0, -125.0, 0.0), 0.0)

    def begin(self, folder: Path) -> None:
        source = open_source(folder / ARCHIVE)
        planned = plan(source, SIZE)
        (folder / BEGUN).mkdir()
        work = Unfinished(folder / BEGUN, SIZE, len(planned.candidates), planned.job)
        images = np.lib.format.open_memmap(work.images_path, mode="r+")
        images[:] = np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)
        images.flush()
        numbers = {self.image_id(number): number for number in range(len(self.types)) if number not in self.existing}
        done = ((row, numbers[image_id]) for row, image_id in enumerate(planned.candidates) if image_id in numbers)
        work.record(self._done(row, self.identity(number), images[row]) for row, number in done)

    def _done(self, row: int, who: Identity, image: np.ndarray) -> Candidate:
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        return Candidate(row, who.patient_id, who.study_id, digest, False, "", str(GENERATOR))


def _identifier(number: int, digits: int) -> str:
    """`ID_` and hexadecimal digits, in no order; no two numbers below 16^digits share one (the factor is odd)."""
    return f"ID_{number * 0x9E3779B1 % 16**digits:0{digits}x}"


def _far_away(name: str, number: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.header_offset, entry.CRC = 2**32 + number * 200_000, 0
    return entry


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rsna_size", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("labels", "zip", "begun"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0)
    args = parser.parse_args(argv)
    data = RsnaSize(args.share)
    {"labels": data.write_labels, "zip": data.write_zip, "begun": data.begin}[args.what](args.folder)


if __name__ == "__main__":
    main()
