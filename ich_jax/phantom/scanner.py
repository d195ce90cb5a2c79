"""The scanner of a synthetic patient: from a slice in HU to a DICOM file in the manner of RSNA's.

Blur, noise and table come first, then the numbers are stored in one of the formats of the real data set; their shares
are those of a survey of its headers. The only file that writes DICOM.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

from ich_jax.data.header import GENERATOR_TITLE, PHANTOM_MARK
from ich_jax.phantom.bleeds import Bleed
from ich_jax.phantom.clutter import NO_CLUTTER, Clutter
from ich_jax.phantom.domains import DOMAINS, GENERATOR, Domain
from ich_jax.phantom.head import Fields, Head, fields
from ich_jax.phantom.render import render
from ich_jax.phantom.shapes import Array, paint
from ich_jax.phantom.tissues import AIR, FOAM

MOVED = 0.05  # share of the patients who moved; chosen


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
    rest: str  # see _headrest
    shell_mm: float  # half of how thick it is
    cupping_hu: float  # see _beam_hardening
    petrous_hu: float
    shading_hu: tuple[float, float]  # to the right, and down, from the middle to the edge
    motion_mm: float  # how far the head moved while it was scanned
    format: Format

    @classmethod
    def draw(cls, rng: np.random.Generator, domain: Domain = DOMAINS["usual"]) -> "Scanner":
        shading, towards = rng.uniform(*domain.shading_hu), rng.uniform(0, 2 * np.pi)
        return cls(
            spacing_mm=rng.uniform(*domain.field_mm) / USUAL_SHAPE[0],
            blur_mm=rng.uniform(*domain.blur_mm),
            noise_hu=rng.uniform(*domain.noise_hu),
            grain_mm=rng.uniform(*domain.grain_mm),
            rest=str(rng.choice(domain.rests)),
            shell_mm=rng.uniform(1, 3.5),
            cupping_hu=rng.uniform(*domain.cupping_hu),
            petrous_hu=rng.uniform(0, 14) * (domain.clutter > 0),
            shading_hu=(shading * np.cos(towards), shading * np.sin(towards)),
            motion_mm=rng.uniform(1.5, 4) if rng.random() < MOVED * domain.clutter else 0.0,
            format=FORMATS[rng.integers(len(FORMATS))],
        )


def scan(
    patient: Head,
    hemorrhages: Sequence[Bleed],
    scanner: Scanner,
    height_mm: float,
    slice_mm: float,
    rng: np.random.Generator,
    shape: tuple[int, int] = USUAL_SHAPE,
    clutter: Clutter = NO_CLUTTER,
) -> tuple[Array, dict[str, float]]:
    """One noisy slice.

    Returns:
        `shape` float32 HU, and the area in mm² of each kind of blood in it.
    """
    spacing = scanner.spacing_mm * max(USUAL_SHAPE) / max(shape)
    v, u = ((np.arange(n) - (n - 1) / 2) * spacing for n in shape)
    hu = np.full(shape, AIR, np.float32)
    lowest = patient.offset[1] + patient.size * (patient.half_length + patient.skull_mm + patient.scalp_mm)
    aside, below = (places.astype(np.float32) for places in (u - patient.offset[0], v - lowest))
    _headrest(hu, scanner, aside[None, :], below[:, None])
    # Only the part of the picture with the head in it is drawn; the rest is air.
    aside, front, back = patient.extent_mm(height_mm)
    columns = np.abs(u - patient.offset[0]) < aside
    rows = (v > patient.offset[1] - front) & (v < patient.offset[1] + back)
    areas = {}
    if rows.any() and columns.any():
        f = fields(patient, u[columns], v[rows], height_mm, slice_mm)
        drawn, areas = render(f, hemorrhages, spacing**2, clutter)
        _beam_hardening(drawn, f, scanner)
        for place in clutter.metal:
            _streaks(drawn, f, place)
        window = np.ix_(rows, columns)
        hu[window] = np.where(drawn > AIR + 1, drawn, hu[window])
        if scanner.motion_mm:
            hu[window] = 0.5 * (hu[window] + np.roll(hu[window], round(scanner.motion_mm / spacing), axis=1))
        hu[window] = gaussian_filter(hu[window], scanner.blur_mm / spacing, truncate=3)
    grain = gaussian_filter(rng.standard_normal(shape, np.float32), scanner.grain_mm / spacing, truncate=3)
    grain *= np.float32(scanner.noise_hu / grain.std())
    hu += grain
    return hu, areas


def _headrest(hu: Array, scanner: Scanner, u: Array, v: Array) -> None:
    """What the head lies on, by the distance from its middle and below its lowest point: a thin shell, some foam."""
    rest, half = scanner.rest, np.float32(scanner.shell_mm)
    if rest == "none":
        return
    if rest == "sides":
        shell = np.maximum(np.abs(np.abs(u) - 98) - half, np.abs(v + 60) - 45)
    elif rest == "cup":  # a deep bowl, padded
        bowl = np.maximum(np.hypot(u / 1.05, v + 92) - 104, -20 - v - 0.8 * np.abs(u))
        paint(hu, np.maximum(bowl, -v - 80), FOAM, 3.0)
        shell = np.maximum(np.abs(np.hypot(u / 1.05, v + 92) - 105) - half, -v - 80)
    elif rest == "pillow":
        paint(hu, np.maximum(np.abs(v - 16) - 22, np.abs(u) - 110), FOAM + 60, 4.0)
        shell = np.abs(v - 42) - half
    else:
        radius = 105 if rest == "cradle" else 180
        shell = np.maximum(np.abs(np.hypot(u, v - (4 - radius)) - radius) - half, -55 - v)
    paint(hu, shell, 150.0)


def _beam_hardening(hu: Array, f: Fields, scanner: Scanner) -> None:
    """Bone takes the soft rays away. What is corrected for in water leaves brain beside bone too bright (cupping), and
    brain between two thick bones, the petrous ones, striped."""
    within = f.cavity < 0
    if scanner.cupping_hu:
        # In the middle of the brain the mean stays.
        hu += within * np.float32(scanner.cupping_hu) * (np.exp(np.maximum(f.cavity, -60) / 9) - np.float32(0.12))
    right, down = scanner.shading_hu
    if right or down:
        hu += within * (np.float32(right / 80) * f.x + np.float32(down / 80) * f.y)
    if scanner.petrous_hu and f.z.min() < -25:
        level, across = (f.z + 44) / 9, (f.y - 8) / 11
        stripes = np.exp(-level * level - across * across) * np.cos(0.55 * (f.y - 8)) * (np.abs(f.x) < 55)
        hu -= within * np.float32(scanner.petrous_hu) * stripes


def _streaks(hu: Array, f: Fields, place: tuple[float, float, float]) -> None:
    """Rays around a piece of metal, dark and bright, in its own slice and the next."""
    away = np.abs(f.z - np.float32(place[2]))
    if away.min() > 6:
        return
    dx, dy = f.x - np.float32(place[0]), f.y - np.float32(place[1])
    angle, distance = np.arctan2(dy, dx), np.hypot(dx, dy)
    rays = np.cos(5 * angle + place[0]) + np.cos(11 * angle) * np.cos(3 * angle) + np.cos(23 * angle - place[0])
    hu += np.where(hu > AIR + 1, np.float32(80) * rays * np.exp(-distance / 16 - away / 3), 0)


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
    dataset.file_meta.SourceApplicationEntityTitle = f"{GENERATOR_TITLE}{GENERATOR}"
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
