"""One DICOM file → one axial CT slice, as stored and in Hounsfield units.

Files come from anywhere, so nothing in them is believed: every way of being broken ends in `SliceError`, and what is
whole but no axial CT slice in `NotAxialCT`. Section numbers are those of the DICOM standard, part 3 (PS3.3).
"""

import io
import logging
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

from ich_jax.data.axial import NoAxialCT, require_axial_ct
from ich_jax.data.compressed import decompress
from ich_jax.data.header import Refused, decimal, generator_of, integer, one_value, printable, text_of
from ich_jax.data.hounsfield import Encoding, first_wrapped
from ich_jax.paper.windowing import AIR_HU
from ich_jax.plumbing.command import InputError

MAX_SIDE = 4096  # pixels; RSNA's largest slice is 768 × 768. A damaged header can ask for 65,535 × 65,535.
MAX_FILE_BYTES = 64 * 2**20
HEAD_BYTES = 1024  # of a file, enough to tell what it is
NOISE_STEP_HU, ROWS_APART = 400, 8  # see require_picture
NO_CT_HU, LOST_SIGN_SHARE = 60_000, 0.05

DEFLATED = b"1.2.840.10008.1.2.1.99"
DICOMDIR = b"1.2.840.10008.1.3.10"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

REQUIRED_TAGS = (
    "PixelData",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
)


class SliceError(InputError):
    """A file that is not one readable CT slice. The message names the file, `reason` says what is wrong."""

    def __init__(self, name: str, reason: str):
        self.reason = "".join(letter if letter.isprintable() else "?" for letter in reason)  # it may quote the file
        super().__init__(f"{name}: {self.reason}")


class NotAxialCT(SliceError):
    """A DICOM file that does not claim to be what the networks know: an axial CT slice in Hounsfield units."""


@dataclass(frozen=True)
class StoredSlice:
    """A slice as the file holds it: `stored` is (rows, columns), int16 or uint16, unused bits included.

    The identifiers are "" where the file has none. `along_normal` is the slice's place in mm along the normal of its
    plane (C.7.6.2.1.1), None where the file does not tell.
    """

    stored: np.ndarray
    encoding: Encoding
    image_id: str
    patient_id: str
    study_id: str
    series_id: str
    along_normal: float | None
    generator: str  # of a phantom's file, the version of what drew it; "" for a real slice

    @property
    def synthetic(self) -> bool:
        """Whether the file says that it is a phantom."""
        return bool(self.generator)


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
        repair: undo the 12-bit wrap-around where it is seen (see `hounsfield.repair_wraparound`).
        name: what to call `source` in an error; its path by default.

    Returns:
        A `Slice`. A slice that is not square is centred in a square of air; `original_shape` tells.

    Raises:
        SliceError: whatever is wrong with the file; NotAxialCT if it is whole and something else.
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
            status = os.stat(source)
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise Refused("is no regular file (a FIFO, socket or device)")  # opening a FIFO waits for ever
            with open(source, "rb") as file:
                return _read(file, status.st_size)
    except NoAxialCT as error:
        raise NotAxialCT(name, str(error)) from None
    except Refused as error:
        raise SliceError(name, str(error)) from None
    except OSError as error:
        raise SliceError(name, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # pydicom and the decoders raise nearly anything on a damaged file
        raise SliceError(name, f"damaged: {' '.join(str(error).split())[:200] or type(error).__name__}") from None


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file begins as DICOM does: with a preamble and `DICM` (PS3.10, 7.1), or, as before there were
    preambles, with an element of group 2 or 8.

    Args:
        head: its first 132 bytes or more, fewer if it has no more.
    """
    if head[128:132] == b"DICM":
        return True
    group, kind, length = head[:2], head[4:6], head[4:8]
    if kind.isalpha() and kind.decode("ascii", "replace") in VR.__members__:
        return group in (b"\2\0", b"\x08\0", b"\0\x08")
    return group == b"\x08\0" and len(length) == 4 and int.from_bytes(length, "little") <= HEAD_BYTES


def require_picture(raw: StoredSlice, name: str) -> None:
    """Refuse pixels that hold no picture of CT: the same value everywhere, values that no CT has, or noise where the
    file was damaged.

    RSNA has a handful of the first and the last. Noise is told by the mean step from a pixel to its right neighbour, in
    every eighth row and within −1000…3000 HU: no row of the real slices we have exceeds 70 HU, evenly spread 12-bit
    values give about 1,300. A slice is refused when a tenth of its rows exceed NOISE_STEP_HU: room for metal and its
    streaks.

    Raises SliceError, or NotAxialCT if half of the pixels are above NO_CT_HU.
    """
    some = raw.stored[::ROWS_APART]
    if some.min() == some.max() and raw.stored.min() == raw.stored.max():
        raise SliceError(name, f"constant: every pixel is {raw.stored[0, 0]}")
    hu = raw.encoding.to_hu(some)
    if np.mean(hu > NO_CT_HU) >= 0.5:
        raise NotAxialCT(name, f"half of it is above {NO_CT_HU:,} HU, as no CT is")
    if np.mean(hu > NO_CT_HU) >= LOST_SIGN_SHARE:
        raise SliceError(name, f"has values above {NO_CT_HU:,} HU: signed ones, though PixelRepresentation is 0?")
    hu = np.clip(hu, AIR_HU, 3000)
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


def _read(file: BinaryIO, size: int) -> StoredSlice:
    head = file.read(HEAD_BYTES)
    if size > MAX_FILE_BYTES:
        if looks_like_dicom(head) and DEFLATED not in head:
            file.seek(0)
            require_axial_ct(pydicom.dcmread(file, defer_size=HEAD_BYTES, stop_before_pixels=True, force=True))
        raise Refused(f"larger than {MAX_FILE_BYTES // 2**20} MiB, not a single CT slice")
    if not looks_like_dicom(head):
        raise Refused("not a DICOM file")
    if DEFLATED in head:  # pydicom would inflate it whole, to any size, before we see the header
        raise Refused("is deflated (Deflated Explicit VR Little Endian), which is not read here; inflate it first")
    if DICOMDIR in head:
        raise NoAxialCT("is a DICOMDIR, a list of other files")
    file.seek(0)
    dataset = pydicom.dcmread(file, force=True)
    along_normal = require_axial_ct(dataset)
    encoding, stored = _read_pixels(dataset)
    if encoding.can_wrap:
        encoding = replace(encoding, wrapped_from=first_wrapped(stored))
    return StoredSlice(
        stored,
        encoding,
        image_id=printable(text_of(dataset, "SOPInstanceUID")),
        patient_id=printable(_patient_id(dataset)),
        study_id=printable(text_of(dataset, "StudyInstanceUID")),
        series_id=printable(text_of(dataset, "SeriesInstanceUID")),
        along_normal=along_normal,
        generator=generator_of(dataset),
    )


def _patient_id(dataset: pydicom.Dataset) -> str:
    value = dataset.get("PatientID") or ""
    return (value if isinstance(value, str) else "\\".join(map(str, value))).strip()


def _read_pixels(dataset: pydicom.Dataset) -> tuple[Encoding, np.ndarray]:
    missing = [tag for tag in REQUIRED_TAGS if tag not in dataset]
    if missing:
        raise Refused(f"has no {missing[0]}")
    photometric = text_of(dataset, "PhotometricInterpretation")
    if not photometric:
        raise Refused("has an empty PhotometricInterpretation")
    if integer(dataset, "SamplesPerPixel") != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Refused(f"is not a grey image but {photometric}")
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise Refused(f"claims {rows}×{columns} pixels; a side may have 1 to {MAX_SIDE}")
    allocated, bits = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    signed = integer(dataset, "PixelRepresentation")
    if allocated != 16 or not 1 <= bits <= 16 or signed not in (0, 1):
        raise Refused(f"stores {bits} of {allocated} bits; only 16-bit pixels are CT here")
    slope, intercept = decimal(dataset, "RescaleSlope"), decimal(dataset, "RescaleIntercept")
    if not (0 < slope < 1e6 and math.isfinite(intercept) and abs(intercept) < 1e6):
        raise Refused(f"has rescale slope {slope:g} and intercept {intercept:g}")
    encoding = Encoding(signed == 1, bits, slope, intercept, photometric == "MONOCHROME1")
    encoding = replace(encoding, padding=_padding(dataset, encoding.dtype))
    stored = _decode(dataset, rows, columns, encoding.dtype)
    if stored.shape != (rows, columns) or stored.dtype != encoding.dtype:
        raise Refused(f"pixel data are {stored.shape} {stored.dtype}, the header says ({rows}, {columns})")
    return encoding, stored


def _decode(dataset: pydicom.Dataset, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    data = one_value(dataset, "PixelData")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax and UID(syntax) not in NATIVE:
        return decompress(dataset, UID(syntax), rows, columns)
    if dataset["PixelData"].is_undefined_length:
        raise Refused("has compressed pixels and no TransferSyntaxUID that says how")
    if len(data) < rows * columns * 2:
        raise Refused(f"pixel data cut off: {len(data)} of {rows * columns * 2} bytes")
    order = "<" if dataset.original_encoding[1] else ">"
    stored = np.frombuffer(data, dtype.newbyteorder(order), count=rows * columns)
    return stored.astype(dtype, copy=False).reshape(rows, columns)


def _padding(dataset: pydicom.Dataset, dtype: np.dtype) -> tuple[int, int] | None:
    """PixelPaddingValue to PixelPaddingRangeLimit, as stored values. A value in the wrong type (US for SS) means its
    bits."""
    tags = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    values = [dataset[tag].value for tag in tags if tag in dataset]
    stored = [int(np.uint16(value & 0xFFFF).view(dtype)) for value in values if isinstance(value, int)]
    return (min(stored), max(stored)) if stored and isinstance(values[0], int) and tags[0] in dataset else None
