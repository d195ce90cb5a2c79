"""Windowing: Hounsfield units → three 8-bit grey images → one RGB image (paper: Veri Ön İşleme).

A CT slice spans about 4,000 Hounsfield units (HU), a screen 256 grey levels. A window spends those levels on a
range of interest: below it is black, above it white. The paper stacks three windows as red, green and blue.

Every function takes a NumPy or a JAX array and returns the same kind; all can be jitted and vmapped.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = Any  # a NumPy or a JAX array


class Window(NamedTuple):
    """A window's centre and full width, both in HU."""

    level_hu: float
    width_hu: float


BRAIN = Window(40, 80)
SUBDURAL = Window(80, 200)
BONE = Window(600, 2800)
WINDOWS = (BRAIN, SUBDURAL, BONE)  # red, green, blue

AIR_HU = -1000  # black in all three windows


def window_limits(level_hu: float, width_hu: float) -> tuple[float, float]:
    """The HU that become black and white: level − width/2 and level + width/2.

    Raises ValueError if the width is not positive or either number is not finite.

    >>> window_limits(*BRAIN)
    (0.0, 80.0)
    """
    if not (math.isfinite(level_hu) and math.isfinite(width_hu)):
        raise ValueError(f"a window needs finite numbers, got level {level_hu} and width {width_hu}")
    if width_hu <= 0:
        raise ValueError(f"a window's width must be above 0 HU, got {width_hu}")
    return level_hu - width_hu / 2, level_hu + width_hu / 2


def apply_window(hu: Array, level_hu: float, width_hu: float) -> Array:
    """One window as an 8-bit grey image: clip to the limits, stretch to 0…255, round to nearest (ties to even).

    This is DICOM's LINEAR_EXACT function (PS3.3 C.11.2.1.3.2), which the paper describes; DICOM's LINEAR
    (C.11.2.1.2) subtracts 0.5 from the level and 1 from the width and differs by up to 3.2 grey levels before rounding,
    4 after, in the brain window.

    Args:
        hu: any shape; signed integers of at least 16 bits, or floats.
        level_hu, width_hu: Python numbers (constants under jit).

    Returns:
        uint8, the shape of `hu`.

    Raises:
        TypeError: another dtype. Unsigned integers are stored values, not HU: rescale them first.
        ValueError: a bad window, or a NaN in `hu` (not seen while jit is tracing).

    >>> apply_window(np.array([-50, 0, 20, 40, 80, 500]), *BRAIN)
    array([  0,   0,  64, 128, 255, 255], dtype=uint8)
    """
    hu, xp = _checked(hu)
    low, high = window_limits(level_hu, width_hu)
    # Multiplying before the one division keeps whole-number HU exact, so NumPy, JAX and a table agree to the bit.
    grey = (xp.clip(hu.astype(np.float32), low, high) - low) * 255 / width_hu
    return xp.round(grey).astype(np.uint8)


def hu_to_rgb(hu: Array, windows: Sequence[Window] = WINDOWS) -> Array:
    """Stack windows as colour channels: (…) HU → (…, 3) uint8. Errors as in `apply_window`.

    >>> hu_to_rgb(np.array([AIR_HU, 0, 40, 1200])).tolist()
    [[0, 0, 0], [0, 26, 73], [128, 76, 76], [255, 255, 182]]
    """
    hu, xp = _checked(hu)
    return xp.stack([apply_window(hu, *window) for window in windows], axis=-1)


def lookup_table(stored_to_hu: Callable[[np.ndarray], np.ndarray], dtype: np.dtype | type) -> np.ndarray:
    """`hu_to_rgb` worked out once for each of the 65,536 values that a 16-bit pixel can hold.

    Args:
        stored_to_hu: maps stored values to HU, such as ``lambda stored: stored * 1.0 - 1024``.
        dtype: of the stored values, int16 or uint16.

    Returns:
        (65536, 3) uint8, row k for the bit pattern k: −1 as int16 is found in row 65,535.

    >>> table = lookup_table(lambda stored: stored * 1.0 - 1024, np.uint16)
    >>> table[1024 + 40].tolist()
    [128, 76, 76]
    """
    if np.dtype(dtype) not in (np.dtype(np.int16), np.dtype(np.uint16)):
        raise TypeError(f"stored values are int16 or uint16, not {np.dtype(dtype)}")
    every_value = np.arange(65536, dtype=np.uint16).view(dtype)
    return hu_to_rgb(stored_to_hu(every_value))


def look_up(stored: Array, table: Array) -> Array:
    """Replace each stored value (int16 or uint16, any shape) by its row of the table: (…) → (…, 3).

    Raises TypeError for another dtype.
    """
    if stored.dtype not in (np.dtype(np.int16), np.dtype(np.uint16)):
        raise TypeError(f"stored values are int16 or uint16, not {stored.dtype}")
    # Every 16-bit pattern has a row, so "clip" never acts: it spares NumPy the bounds check.
    return stored.__array_namespace__().take(table, stored.view(np.uint16), axis=0, mode="clip")


def _checked(hu: Array) -> tuple[Array, Any]:
    """`hu` as an array that can be HU, and its array namespace (numpy or jax.numpy)."""
    if not hasattr(hu, "__array_namespace__"):
        hu = np.asarray(hu)
    dtype = hu.dtype
    if not (dtype.kind == "f" or (dtype.kind == "i" and dtype.itemsize >= 2)):
        raise TypeError(f"HU are floats or signed integers of 16 bits or more, not {dtype}")
    xp = hu.__array_namespace__()
    if dtype.kind == "f":
        try:
            has_nan = bool(xp.isnan(hu).any())
        except TypeError:  # jit is tracing: there are no values yet
            has_nan = False
        if has_nan:
            raise ValueError("HU contain NaN")
    return hu, xp
