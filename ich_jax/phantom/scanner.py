"""The scanner of a synthetic patient: from a slice in HU to a DICOM file in the manner of RSNA's.

Blur, noise and table come first, then the numbers are stored in one of the formats of the real data set; their shares
are those of a survey of its headers. The only file that writes DICOM.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

from ich_jax.data.dicom import PHANTOM_MARK
from ich_jax.phantom.bleeds import Bleed, render
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.shapes import Array, paint
from ich_jax.phantom.tissues import AIR


@dataclass(frozen=True)
class Format:
    """How a slice's numbers are stored. Texts are kept as RSNA's headers have them."""

    signed: bool
    bits: int
    intercept: str
    explicit: bool
    level: str | list[str]
    width: str | list[str]
    padding: int | None = None  # stored value outside the scanner's circle; None: that of air, or the lowest there is
    wraps_around: bool = False  # the known fault, see hounsfield.repair_wraparound


# About half of RSNA is 16-bit signed, half 12-bit unsigned; one window value or two; padding that comes out at −3024,
# −2048 or −1024 HU.
FORMATS = (
    Format(True, 16, "-1024", True, "30", "80", padding=-2000),
    Format(True, 16, "-1024.000000", True, "35.000000", "135.000000", padding=0),
    Format(True, 16, "-1024.0", True, "40", "150", padding=-1024),
    Format(False, 12, "-1024", False, ["00036", "00036"], ["00080", "00080"]),
    Format(False, 12, "-1024", True, ["00040", "00040"], ["00080", "00080"]),
    Format(False, 12, "-1024", True, "40", "100"),
)
# The rare ones, with their share of RSNA's slices. There a format belongs to a series; here these go to single slices,
# so that a small phantom has them in the same proportion.
RARE_FORMATS = (
    (Format(True, 16, "-1000", True, "40", "80", padding=-2000), 0.0099),  # 6,653 of 674,258
    (Format(True, 16, "0", True, "40", "100", padding=-3024), 0.0039),  # half of 5,276: HU as they are
    (Format(False, 12, "0", True, "40", "100", wraps_around=True), 0.0039),  # the other half
    (Format(True, 12, "-1024", True, "40", "80"), 0.0050),  # "a few thousand"
)
# 269 of RSNA's slices; rows × columns.
ODD_SHAPES = ((638, 490), (436, 436), (408, 374), (464, 464), (462, 462), (430, 404), (666, 512), (768, 768))
USUAL_SHAPE = (512, 512)


@dataclass(frozen=True)
class Scanner:
    """One patient's scanner and its settings."""

    spacing_mm: float  # of the pixels, at 512×512
    blur_mm: float  # standard deviation of the reconstruction kernel
    noise_hu: float  # standard deviation in the brain
    grain_mm: float  # how coarse the noise is
    table: str  # "cradle", "bed" or "sides", by what shows of the headrest
    format: Format

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Scanner":
        return cls(
            spacing_mm=float(rng.choice((0.43, 0.449219, 0.46875, 0.488281, 0.488281))),
            blur_mm=rng.uniform(0.4, 0.75),
            noise_hu=rng.uniform(2.2, 4.0),
            grain_mm=rng.uniform(0.28, 0.5),
            table=str(rng.choice(("cradle", "bed", "sides"))),
            format=FORMATS[rng.integers(len(FORMATS))],
        )


def scan(
    patient: Head,
    hemorrhages: list[Bleed],
    scanner: Scanner,
    height_mm: float,
    slice_mm: float,
    rng: np.random.Generator,
    shape: tuple[int, int] = USUAL_SHAPE,
) -> tuple[Array, dict[str, float]]:
    """One noisy slice.

    Returns:
        `shape` float32 HU, and the area in mm² of each kind of blood in it.
    """
    spacing = scanner.spacing_mm * max(USUAL_SHAPE) / max(shape)
    v, u = ((np.arange(n) - (n - 1) / 2) * spacing for n in shape)
    # Only the part of the picture with the head in it is drawn; the rest is air.
    aside, front, back = patient.extent_mm(height_mm)
    columns = np.abs(u - patient.offset[0]) < aside
    rows = (v > patient.offset[1] - front) & (v < patient.offset[1] + back)
    f = fields(patient, u[columns], v[rows], height_mm, slice_mm)
    drawn, areas = render(f, hemorrhages, spacing**2)
    hu = np.full(shape, AIR, np.float32)
    _table(
        hu,
        scanner,
        u.astype(np.float32)[None, :],
        v.astype(np.float32)[:, None],
        patient.offset[1] + patient.half_length + 26,
    )
    window = np.ix_(rows, columns)
    drawn = np.where(drawn > AIR + 1, drawn, hu[window])
    hu[window] = gaussian_filter(drawn, scanner.blur_mm / spacing, truncate=3)
    grain = gaussian_filter(rng.standard_normal(shape, np.float32), scanner.grain_mm / spacing, truncate=3)
    grain *= np.float32(scanner.noise_hu / grain.std())
    hu += grain * np.where(hu > -300, 1, 2.5).astype(np.float32)  # air is noisier at the edge of the head
    return hu, areas


def _table(hu: Array, scanner: Scanner, u: Array, v: Array, lowest: float) -> None:
    """The headrest: a thin shell under the head, wholly or partly in the picture."""
    if scanner.table == "sides":
        shell = np.maximum(np.abs(np.abs(u) - 98) - 1.2, 20 - v)
    else:
        radius = 105 if scanner.table == "cradle" else 180
        shell = np.maximum(np.abs(np.hypot(u, v - (lowest + 4 - radius)) - radius) - 1.5, 35 - v)
    paint(hu, shell, 150.0)


def store(hu: Array, fmt: Format) -> Array:
    """HU as the stored numbers of a format: int16 or uint16."""
    intercept = float(fmt.intercept)
    low, high = (-(2 ** (fmt.bits - 1)), 2 ** (fmt.bits - 1) - 1) if fmt.signed else (0, 2**fmt.bits - 1)
    if fmt.wraps_around:
        stored = np.rint(np.clip(hu, -1000, 3071)).astype(np.int32)
        stored = np.where(stored < 0, stored + 4096, stored)
    else:
        stored = np.rint(np.clip(hu, -1024, 3071) - intercept).astype(np.int32)
    if fmt.padding is not None:
        rows, columns = hu.shape
        v, u = np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2
        outside = np.hypot(u[None, :], v[:, None]) > max(hu.shape) / 2
        stored[outside] = fmt.padding
    return np.clip(stored, low, high).astype(np.int16 if fmt.signed else np.uint16)


@dataclass(frozen=True)
class Identity:
    """What a file says of itself, in RSNA's `ID_…` manner."""

    image_id: str
    patient_id: str
    study_id: str
    series_id: str


def to_dicom(
    stored: Array, fmt: Format, who: Identity, spacing_mm: float, position_mm: tuple[float, ...], tilt: float
) -> bytes:
    """A DICOM file with the header fields that RSNA's have, and PHANTOM_MARK as the name of its maker."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = f"9999.{int(who.image_id.removeprefix('ID_'), 16)}"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if fmt.explicit else ImplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = "9999.1"
    dataset.file_meta.ImplementationVersionName = PHANTOM_MARK
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `ID_…` is not a valid UID; RSNA's files have the same
        dataset.SOPInstanceUID = who.image_id
        dataset.Modality = "CT"
        dataset.PatientID = who.patient_id
        dataset.StudyInstanceUID = who.study_id
        dataset.SeriesInstanceUID = who.series_id
        dataset.StudyID = ""
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in position_mm]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", f"{np.cos(tilt):.6f}", f"{-np.sin(tilt):.6f}"]
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows, dataset.Columns = stored.shape
        dataset.PixelSpacing = [f"{spacing_mm:.6f}"] * 2
        dataset.BitsAllocated = 16
        dataset.BitsStored, dataset.HighBit = fmt.bits, fmt.bits - 1
        dataset.PixelRepresentation = int(fmt.signed)
        dataset.WindowCenter, dataset.WindowWidth = fmt.level, fmt.width
        dataset.RescaleIntercept, dataset.RescaleSlope = fmt.intercept, "1"
        dataset.PixelData = stored.astype("<i2" if fmt.signed else "<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        buffer = io.BytesIO()
        dataset.preamble = bytes(128)
        dataset.save_as(buffer, implicit_vr=not fmt.explicit, little_endian=True)
    return buffer.getvalue()
