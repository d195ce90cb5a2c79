"""Assignment 1: windowing. The sheet is sheets/1_windowing.md. NumPy is all you need."""

import numpy as np


def window_limits(level_hu: float, width_hu: float) -> tuple[float, float]:
    """The HU that become black and white.

    Args:
        level_hu: the window's middle, in HU.
        width_hu: its full width, in HU.

    Raises ValueError if the width is not above 0.

    >>> window_limits(40, 80)
    (0.0, 80.0)
    """
    raise NotImplementedError


def apply_window(hu: np.ndarray, level_hu: float, width_hu: float) -> np.ndarray:
    """One window as an 8-bit grey image: 0 at its lower limit and below, 255 at its upper limit and above, a straight
    line between them, rounded to nearest (a tie goes to the even level).

    Args:
        hu: any shape, integers or floats, HU.
        level_hu, width_hu: the window, HU.

    Returns:
        uint8, the shape of `hu`.

    >>> apply_window(np.array([-50, 0, 20, 40, 80, 500]), 40, 80)
    array([  0,   0,  64, 128, 255, 255], dtype=uint8)
    """
    raise NotImplementedError


def hu_to_rgb(hu: np.ndarray, windows: list[tuple[float, float]]) -> np.ndarray:
    """Several windows of one slice as colour channels.

    Args:
        hu: (…) HU.
        windows: level and width of each, HU, in the order of the channels.

    Returns:
        (…, windows) uint8.

    >>> hu_to_rgb(np.array([-1000, 0, 40, 1200]), [(40, 80), (80, 200), (600, 2800)]).tolist()
    [[0, 0, 0], [0, 26, 73], [128, 76, 76], [255, 255, 182]]
    """
    raise NotImplementedError


def lookup_table(slope: float, intercept: float, signed: bool) -> np.ndarray:
    """The colours of the paper's three windows for each of the 65,536 values that 16 bits can hold.

    HU = slope · stored + intercept.

    Args:
        slope, intercept: from the DICOM header.
        signed: whether the sixteen bits are an int16 (else a uint16).

    Returns:
        (65536, 3) uint8; row k is for the bit pattern k, so that −1 as int16 is found in row 65,535.

    >>> lookup_table(1.0, -1024.0, signed=False)[1024 + 40].tolist()
    [128, 76, 76]
    """
    raise NotImplementedError
