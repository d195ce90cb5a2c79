"""Stored values → Hounsfield units. Section numbers are those of the DICOM standard, part 3 (PS3.3)."""

from dataclasses import dataclass

import numpy as np

from ich_jax.paper.windowing import AIR_HU

NEAR_ZERO = 10  # an intercept that no CT with unsigned values has, unless it lost its sign: RSNA's are 0 and 1
WRAPPED_AIR = 4096 - 1000
AIR_WITHIN, AIR_SHARE = 100, 0.05  # see looks_wrapped


@dataclass(frozen=True)
class Encoding:
    """What turns stored values into HU (C.7.6.3 and C.11.1)."""

    signed: bool
    bits_stored: int
    slope: float
    intercept: float
    inverted: bool  # MONOCHROME1: small values are shown bright (C.7.6.3.1.2)
    padding: tuple[int, int] | None = None  # stored values from … to … that are no picture (C.7.5.1.1.2)
    wrapped: bool = False  # this slice shows the fault that `repair_wraparound` undoes

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int16 if self.signed else np.uint16)

    @property
    def can_wrap(self) -> bool:
        """Whether the header is that of slices in which the fault occurs; `looks_wrapped` says whether it did."""
        near_zero = abs(self.intercept) <= NEAR_ZERO
        return not self.signed and self.bits_stored == 12 and self.slope == 1 and near_zero and not self.inverted

    def to_hu(self, stored: np.ndarray, repair: bool = True) -> np.ndarray:
        """HU = slope · stored + intercept, float32, the shape of `stored` (int16 or uint16).

        Padding is air. It is looked for before the bits above `bits_stored`, which may hold anything, are dropped
        (C.7.6.3.1.1): its value may need them. MONOCHROME1 is mirrored within its range. With `repair`, a slice that
        has wrapped around is repaired. Values of padding that the header does not name (−3024, −2000 and the like
        outside the scanner's circle) are left: every window clips them to air.
        """
        stored = stored.astype(self.dtype)
        unused = 16 - self.bits_stored
        values = (stored << unused >> unused).astype(np.float32)
        if self.inverted:
            values = (-1 if self.signed else 2**self.bits_stored - 1) - values
        if repair and self.wrapped:
            hu = repair_wraparound(values)
        else:
            hu = values * np.float32(self.slope) + np.float32(self.intercept)
        if self.padding:
            low, high = self.padding
            hu = np.where((stored >= low) & (stored <= high), np.float32(AIR_HU), hu)
        return hu


def looks_wrapped(stored: np.ndarray) -> bool:
    """Whether at least a twentieth of a slice's 12-bit values lie where wrapped air does, 3096 ± 100.

    Around a head there is air, in far more than a twentieth of the picture. Metal reaches such values too, in a few
    pixels.

    >>> looks_wrapped(np.array([40, 30, 3096])), looks_wrapped(np.array([40, 30, 3600]))
    (True, False)
    """
    return bool(np.mean(np.abs((stored & 0xFFF).astype(np.int32) - WRAPPED_AIR) <= AIR_WITHIN) >= AIR_SHARE)


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
