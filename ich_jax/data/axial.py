"""Whether a DICOM data set claims to be one axial CT slice in Hounsfield units, and where in the body that lies.

Section numbers are those of the DICOM standard: modality and image type C.8.2.1, the plane C.7.6.2 (PS3.3).
"""

import math
import operator

import pydicom
from pydicom.uid import CTImageStorage

from ich_jax.data.header import Refused, numbers, text_of

LEAST_COSINE = 0.5  # between the axis of the body and the normal of an axial slice: 60°, gantries tilt by 30
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and what begins with it (PS3.4, B.5)
PAGES = (" PROT", "SCREEN SAVE", "DOSE_INFO")  # how values of ImageType end: scanners send reports as CT images


class NoAxialCT(Refused):
    """The data set is whole and something else; becomes a `dicom.NotAxialCT` that names the file."""


def require_axial_ct(dataset: pydicom.Dataset) -> float | None:
    """Refuse what says that it is something else; tags that are not there say nothing.

    Returns the slice's place in mm along the normal of its plane, None where the file does not tell. Raises NoAxialCT,
    or Refused for CT of several frames and for what is cut off before its image.
    """
    modality, photometric = text_of(dataset, "Modality") or "CT", text_of(dataset, "PhotometricInterpretation")
    if modality.upper() != "CT":
        raise NoAxialCT(f"is {modality}, not CT")
    image_type = text_of(dataset, "ImageType").split("\\")
    if "LOCALIZER" in image_type:
        raise NoAxialCT("is a localizer, not an axial slice")
    if any(value.endswith(PAGES) for value in image_type):
        raise NoAxialCT("is a page of text, not an axial slice (ImageType)")
    if not text_of(dataset, "RescaleSlope") and text_of(dataset, "SOPClassUID").startswith(SECONDARY_CAPTURE):
        raise NoAxialCT("is a secondary capture, a picture of a screen")
    if photometric.startswith(("RGB", "YBR", "PALETTE")):
        raise NoAxialCT(f"is not a grey image but {photometric}")
    if not any(tag in dataset for tag in ("Rows", "Columns", "PixelData")):
        sop_class = text_of(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
        if sop_class and sop_class != CTImageStorage:
            raise NoAxialCT("holds no image")
        raise Refused("holds no image; it may be cut off")
    unit = text_of(dataset, "RescaleType") or "HU"
    if unit != "HU":
        raise NoAxialCT(f"has values in {unit}, not in HU (RescaleType)")
    frames = text_of(dataset, "NumberOfFrames") or "1"
    if frames != "1":
        raise Refused(f"has {frames} frames instead of 1; export it as one file a slice (not as enhanced CT)")
    return _along_normal(dataset)


def _along_normal(dataset: pydicom.Dataset) -> float | None:
    """Refuses a plane that is not axial; one that the file does not give, or not well, is none."""
    orientation, position = (numbers(dataset, tag) for tag in ("ImageOrientationPatient", "ImagePositionPatient"))
    if len(orientation) != 6:
        return None
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]  # directions of a row and of a column
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    if not 0.9 < math.hypot(*normal) < 1.1:  # they are not at a right angle, or no directions
        return None
    if abs(normal[2]) < LEAST_COSINE:
        raise NoAxialCT("is not axial (ImageOrientationPatient)")
    return sum(map(operator.mul, normal, position)) if len(position) == 3 else None
