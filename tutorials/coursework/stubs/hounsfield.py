"""Assignment 2: Hounsfield units. The sheet is sheets/2_hounsfield.md. NumPy is all you need."""

import numpy as np


def drop_unused_bits(stored: np.ndarray, bits_stored: int, signed: bool) -> np.ndarray:
    """The numbers that the lower `bits_stored` of sixteen bits hold. The bits above may be anything.

    Args:
        stored: any shape, int16 if `signed`, else uint16, as read from the file.
        bits_stored: 8 to 16.
        signed: whether the numbers are in two's complement: the highest of the bits stored is then the sign.

    Returns:
        integers, the shape of `stored`: −2^(bits_stored − 1) … 2^(bits_stored − 1) − 1 if signed, else
        0 … 2^bits_stored − 1.

    >>> drop_unused_bits(np.array([7, 2048, 4095, 4096 + 7], np.uint16), 12, signed=False).tolist()
    [7, 2048, 4095, 7]
    >>> drop_unused_bits(np.array([7, 2048, 4095, 4096 + 7], np.int16), 12, signed=True).tolist()
    [7, -2048, -1, 7]
    """
    raise NotImplementedError


def mirror(values: np.ndarray, bits_stored: int, signed: bool) -> np.ndarray:
    """MONOCHROME1 shows small values bright. Turned round, the lowest value that the bits can hold becomes the highest,
    the highest the lowest.

    Args:
        values: any shape, int32, as `drop_unused_bits` returns them.
        bits_stored, signed: as there.

    Returns:
        integers, the shape of `values`.

    >>> mirror(np.array([0, 1, 255]), 8, signed=False).tolist()
    [255, 254, 0]
    """
    raise NotImplementedError


def rescale(values: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """HU = slope · value + intercept.

    Args:
        values: any shape, integers, signed or unsigned.
        slope, intercept: from the DICOM header.

    Returns:
        floats, HU, the shape of `values`.

    >>> rescale(np.array([0, 1000, 2128], np.uint16), 0.5, -1024.0).tolist()
    [-1024.0, -524.0, 40.0]
    """
    raise NotImplementedError


def to_hu(
    stored: np.ndarray,
    bits_stored: int,
    signed: bool,
    slope: float,
    intercept: float,
    inverted: bool,
    padding: int | None,
) -> np.ndarray:
    """A slice as stored → the slice in HU.

    Args:
        stored: any shape, int16 if `signed`, else uint16.
        bits_stored, signed: as in `drop_unused_bits`.
        slope, intercept: as in `rescale`.
        inverted: whether the slice is MONOCHROME1; it is then mirrored before it is rescaled.
        padding: the stored value that stands for 'no picture here', and becomes air, −1000 HU. It may need all
            sixteen bits, so it is looked for in `stored` as it is. Below 0 if the values are signed and it is. None if
            the header has none.

    Returns:
        floats, HU, the shape of `stored`.

    >>> to_hu(np.array([24, 1064, 4096 + 1064], np.uint16), 12, False, 1.0, -1024.0, False, None).tolist()
    [-1000.0, 40.0, 40.0]
    >>> to_hu(np.array([0, 1064, 63536], np.uint16), 12, False, 1.0, -1024.0, False, 63536).tolist()
    [-1024.0, 40.0, -1000.0]
    >>> to_hu(np.array([-3000, 40], np.int16), 12, True, 1.0, 0.0, False, -3000).tolist()
    [-1000.0, 40.0]
    >>> to_hu(np.array([4095, 3031], np.uint16), 12, False, 1.0, -1024.0, True, None).tolist()
    [-1024.0, 40.0]
    """
    raise NotImplementedError


def repair_wraparound(stored: np.ndarray) -> np.ndarray:
    """HU of a slice whose 12-bit values lost their sign: what is below 0 HU came out 4096 too high.

    From 3096 on, which is air (−1000 HU), a value has wrapped around; below that it is what it was.

    Args:
        stored: any shape, uint16, 0 … 4095.

    Returns:
        integers, HU, the shape of `stored`.

    >>> repair_wraparound(np.array([40, 3096, 4095], np.uint16)).tolist()
    [40, -1000, -1]
    """
    raise NotImplementedError
