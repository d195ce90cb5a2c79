"""One DICOM file → one slice in Hounsfield units. The only file that reads DICOM.

Files come from anywhere, so nothing in them is believed: every way of being broken ends in `SliceError`.
Section numbers below are those of the DICOM standard, part 3 (PS3.3).
"""

import io
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pydicom
import pydicom.pixels
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ich_jax.paper.windowing import AIR_HU
from ich_jax.plumbing.command import InputError

MAX_SIDE = 4096  # pixels; RSNA's largest slice is 768 × 768. A damaged header can ask for 65,535 × 65,535.
PHANTOM_MARK = "ICH_JAX_PHANTOM"  # in every synthetic file's header, so that none passes for a real slice
MAX_FILE_BYTES = 64 * 2**20
NOISE_STEP_HU, ROWS_APART = 400, 8  # see require_picture
DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99"

REQUIRED_TAGS = (
    "SOPInstanceUID",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "PixelData",
)


class SliceError(InputError):
    """A file that is not one readable CT slice. The message names the file, `reason` says what is wrong."""

    def __init__(self, name: str, reason: str):
        self.reason = reason
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True)
class Encoding:
    """What turns stored values into HU (C.7.6.3 and C.11.1)."""

    signed: bool
    bits_stored: int
    slope: float
    intercept: float
    inverted: bool  # MONOCHROME1: small values are shown bright (C.7.6.3.1.2)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int16 if self.signed else np.uint16)

    @property
    def wraps_around(self) -> bool:
        """Whether these slices show the known fault that `repair_wraparound` undoes."""
        return not self.signed and self.bits_stored == 12 and self.intercept >= -100

    def to_hu(self, stored: np.ndarray, repair: bool = True) -> np.ndarray:
        """HU = slope · stored + intercept, float32, the shape of `stored` (int16 or uint16).

        Bits above `bits_stored` may hold anything and are dropped first (C.7.6.3.1.1). MONOCHROME1 is mirrored within
        its range. With `repair`, slices that wrap around are repaired. Padding (−3024, −2000 and the like outside
        the scanner's circle) is left: every window clips it to air.
        """
        unused = 16 - self.bits_stored
        stored = (stored.astype(self.dtype) << unused >> unused).astype(np.float32)
        if self.inverted:
            stored = (-1 if self.signed else 2**self.bits_stored - 1) - stored
        if repair and self.wraps_around:
            return repair_wraparound(stored)
        return stored * np.float32(self.slope) + np.float32(self.intercept)


def repair_wraparound(stored: np.ndarray) -> np.ndarray:
    """HU of a slice whose 12-bit unsigned values lost their sign.

    A few thousand RSNA slices are unsigned with 12 bits and an intercept near 0, though air is −1000 HU: values
    below zero came out 4096 too high. Adding 1000 and taking 4096 off what exceeds the 12 bits brings air back
    to the bottom; the intercept is then −1000. (Fault and repair published by J. Howard, 2019.)

    >>> repair_wraparound(np.array([40, 3096, 4095]))  # brain, air, just below water
    array([   40, -1000,    -1])
    """
    shifted = stored + 1000
    return np.where(shifted >= 4096, shifted - 4096, shifted) - 1000


@dataclass(frozen=True)
class StoredSlice:
    """A slice as the file holds it: `stored` is (rows, columns), int16 or uint16, unused bits included."""

    stored: np.ndarray
    encoding: Encoding
    image_id: str
    patient_id: str
    study_id: str
    series_id: str
    synthetic: bool  # the file says that it is a phantom


@dataclass(frozen=True)
class Slice:
    """A slice in HU: `hu` is (side, side) float32; `original_shape` is (rows, columns) before padding."""

    hu: np.ndarray
    original_shape: tuple[int, int]
    image_id: str
    patient_id: str
    study_id: str
    series_id: str


def read_slice(source: str | os.PathLike | bytes, *, repair: bool = True, name: str | None = None) -> Slice:
    """Read one CT slice in HU.

    Args:
        source: a path, or the bytes of a file.
        repair: undo the 12-bit wrap-around where it is known to occur (see `repair_wraparound`).
        name: what to call `source` in an error; its path by default.

    Returns:
        A `Slice`. A slice that is not square is centred in a square of air; `original_shape` tells.

    Raises:
        SliceError: whatever is wrong with the file.
    """
    raw = read_stored(source, name=name)
    hu = pad_to_square(raw.encoding.to_hu(raw.stored, repair), AIR_HU)
    return Slice(hu, raw.stored.shape, raw.image_id, raw.patient_id, raw.study_id, raw.series_id)


def read_stored(source: str | os.PathLike | bytes, *, name: str | None = None) -> StoredSlice:
    """Read one CT slice as stored, before any arithmetic. Arguments and errors as in `read_slice`."""
    name = name or ("<bytes>" if isinstance(source, bytes) else os.fspath(source))
    try:
        with _quiet():
            if isinstance(source, bytes):
                return _read(io.BytesIO(source), len(source))
            with open(source, "rb") as file:
                return _read(file, os.fstat(file.fileno()).st_size)
    except _Reason as error:
        raise SliceError(name, str(error)) from None
    except OSError as error:
        raise SliceError(name, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # pydicom and the decoders raise nearly anything on a damaged file
        raise SliceError(name, f"damaged: {' '.join(str(error).split())[:200] or type(error).__name__}") from None


def require_picture(raw: StoredSlice, name: str) -> None:
    """Refuse pixels that hold no picture: the same value everywhere, or noise where the file was damaged.

    RSNA has a handful of each. Noise is told by the mean step from a pixel to its right neighbour, in every eighth row
    and within −1000…3000 HU: no row of the real slices we have exceeds 70 HU, evenly spread 12-bit values give about
    1,300. A slice is refused when a tenth of its rows exceed NOISE_STEP_HU: room for metal and its streaks.

    Raises SliceError.
    """
    some = raw.stored[::ROWS_APART]
    if some.min() == some.max() and raw.stored.min() == raw.stored.max():
        raise SliceError(name, f"constant: every pixel is {raw.stored[0, 0]}")
    hu = np.clip(raw.encoding.to_hu(some), AIR_HU, 3000)
    noisy = np.abs(np.diff(hu, axis=1)).sum(axis=1) > NOISE_STEP_HU * max(hu.shape[1] - 1, 1)
    if noisy.mean() > 0.1:
        raise SliceError(name, f"noise instead of a picture, from about row {ROWS_APART * int(noisy.argmax())}")


def pad_to_square(image: np.ndarray, fill: float) -> np.ndarray:
    """Centre (rows, columns, …) in a square whose side is the longer of the two; a square comes back as it is.

    >>> pad_to_square(np.ones((1, 3), int), 0).tolist()
    [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    """
    rows, columns = image.shape[:2]
    if rows == columns:
        return image
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.full((side, side, *image.shape[2:]), fill, image.dtype)
    square[top : top + rows, left : left + columns] = image
    return square


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom off the terminal: RSNA's `ID_…` UIDs break the rules for UIDs, which is a warning for each tag."""
    log = logging.getLogger("pydicom")
    propagate, log.propagate = log.propagate, False
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.propagate = propagate


class _Reason(Exception):
    """Why a file is refused; becomes a SliceError that names the file."""


def _read(file: BinaryIO, size: int) -> StoredSlice:
    if size > MAX_FILE_BYTES:
        raise _Reason(f"larger than {MAX_FILE_BYTES // 2**20} MiB, not a single CT slice")
    head = file.read(1024)
    if head[128:132] != b"DICM":
        raise _Reason("not a DICOM file")
    if DEFLATED_SYNTAX in head:  # pydicom would inflate it whole, to any size, before we see the header
        raise _Reason("deflated DICOM is not supported")
    file.seek(0)
    dataset = pydicom.dcmread(file)
    missing = [tag for tag in REQUIRED_TAGS if tag not in dataset]
    if missing:
        raise _Reason(f"has no {missing[0]}")

    if dataset.SamplesPerPixel != 1 or dataset.PhotometricInterpretation not in (
        "MONOCHROME1",
        "MONOCHROME2",
    ):
        raise _Reason(f"is not a grey image but {dataset.PhotometricInterpretation}")
    if int(dataset.get("NumberOfFrames", None) or 1) != 1:
        raise _Reason(f"has {dataset.NumberOfFrames} frames instead of 1")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise _Reason(f"claims {rows}×{columns} pixels; a side may have 1 to {MAX_SIDE}")
    if dataset.BitsAllocated != 16 or not 1 <= dataset.BitsStored <= 16 or dataset.PixelRepresentation not in (0, 1):
        raise _Reason(f"stores {dataset.BitsStored} of {dataset.BitsAllocated} bits; only 16-bit pixels are CT here")
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    if not (0 < slope < 1e6 and math.isfinite(intercept) and abs(intercept) < 1e6):
        raise _Reason(f"has rescale slope {slope:g} and intercept {intercept:g}")
    syntax = dataset.file_meta.TransferSyntaxUID
    expected = rows * columns * 2
    if not syntax.is_compressed and len(dataset.PixelData) < expected:
        raise _Reason(f"pixel data cut off: {len(dataset.PixelData)} of {expected} bytes")
    if syntax.is_compressed and not pydicom.pixels.get_decoder(syntax).is_available:
        raise _Reason(f"is compressed ({syntax.name}) and no decoder for it is installed")

    if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        pixels = np.frombuffer(dataset.PixelData, "<u2", count=rows * columns).reshape(rows, columns)
        stored = pixels.view(np.int16 if dataset.PixelRepresentation else np.uint16)
    else:
        stored = pydicom.pixels.pixel_array(dataset)
    encoding = Encoding(
        signed=dataset.PixelRepresentation == 1,
        bits_stored=int(dataset.BitsStored),
        slope=slope,
        intercept=intercept,
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
    )
    if stored.shape != (rows, columns) or stored.dtype != encoding.dtype:
        raise _Reason(f"pixel data are {stored.shape} {stored.dtype}, the header says ({rows}, {columns})")
    return StoredSlice(
        stored,
        encoding,
        image_id=_identifier(dataset, "SOPInstanceUID"),
        patient_id=_identifier(dataset, "PatientID"),
        study_id=_identifier(dataset, "StudyInstanceUID"),
        series_id=_identifier(dataset, "SeriesInstanceUID"),
        synthetic=dataset.file_meta.get("ImplementationVersionName") == PHANTOM_MARK,
    )


def _identifier(dataset: pydicom.Dataset, tag: str) -> str:
    value = dataset[tag].value
    if not (isinstance(value, str) and value and value.isprintable()):
        raise _Reason(f"has no readable {tag}")
    return str(value)
