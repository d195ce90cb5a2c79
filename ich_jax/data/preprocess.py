"""One stored slice → the network's image: three windows at full size, then resize (paper: Veri Ön İşleme)."""

from functools import lru_cache

import numpy as np
from PIL import Image

from ich_jax.data.dicom import StoredSlice, pad_to_square
from ich_jax.data.hounsfield import Encoding
from ich_jax.paper.printed import IMAGE_SIZE
from ich_jax.paper.windowing import lookup_table

ROWS_AT_A_TIME = 64  # keeps NumPy's 64-bit copy of the indices small enough for the processor's cache


def slice_to_image(raw: StoredSlice, size: int = IMAGE_SIZE, repair: bool = True) -> np.ndarray:
    """Window and resize one slice.

    The three windows come from a look-up table over the stored values, equal to `hu_to_rgb(encoding.to_hu(stored))`
    for each of them. The resize filter is not stated in the paper: ours is bilinear with anti-aliasing (Pillow).

    Args:
        raw: a slice of any shape; one that is not square is centred in a square of air.
        size: side of the result in pixels.
        repair: undo the 12-bit wrap-around, see `hounsfield.repair_wraparound`.

    Returns:
        (size, size, 3) uint8: brain, subdural and bone window.
    """
    table = _packed_table(raw.encoding, repair)
    rgbx = np.empty(raw.stored.shape, np.uint32)
    patterns = raw.stored.view(np.uint16)
    for top in range(0, len(rgbx), ROWS_AT_A_TIME):
        rows = slice(top, top + ROWS_AT_A_TIME)
        np.take(table, patterns[rows], out=rgbx[rows], mode="clip")  # nothing to clip; spares the bounds check
    rgbx = pad_to_square(rgbx, 0)  # air is black in every window
    image = Image.frombuffer("RGBX", rgbx.shape[::-1], rgbx, "raw", "RGBX", 0, 1)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))[..., :3]


@lru_cache(maxsize=32)
def _packed_table(encoding: Encoding, repair: bool) -> np.ndarray:
    """The look-up table with R, G, B and an unused byte in one uint32, Pillow's own layout: (65536,)."""
    table = lookup_table(lambda stored: encoding.to_hu(stored, repair), encoding.dtype)
    return np.pad(table, ((0, 0), (0, 1))).view(np.uint32).ravel()
