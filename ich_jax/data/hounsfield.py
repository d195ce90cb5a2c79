"""Stored values → Hounsfield units. Section numbers are those of the DICOM standard, part 3 (PS3.3)."""

from dataclasses import dataclass

import numpy as np

from ich_jax.paper.windowing import AIR_HU

NEAR_ZERO = 10  # an intercept that no CT with unsigned values has, unless it lost its sign: RSNA's are 0 and 1
WRAPPED_AIR = 4096 - 1000
AIR_WITHIN, AIR_SHARE = 100, 0.05  # see looks_wrapped
LOWEST, LOW_AIR_PIXELS = 4096 - 1024, 100  # see first_wrapped


@dataclass(frozen=True)
class Encoding:
    """What turns stored values into HU (C.7.6.3 and C.11.1)."""

    signed: bool
    bits_stored: int
    slope: float
    intercept: float
    inverted: bool  # MONOCHROME1: small values are shown bright (C.7.6.3.1.2)
    padding: tuple[int, int] | None = None  # stored values from … to … that are no picture (C.7.5.1.1.2)
    wrapped_from: int | None = None  # this slice shows the fault that `repair_wraparound` undoes

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int16 if self.signed else np.uint16)

    @property
    def can_wrap(self) -> bool:
        """Whether the header is that of slices in which the fault occurs; `first_wrapped` says whether it did."""
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
        if repair and self.wrapped_from:
            hu = repair_wraparound(values, self.wrapped_from)
        else:
            hu = values * np.float32(self.slope) + np.float32(self.intercept)
        if self.padding:
            low, high = self.padding
            hu = np.where((stored >= low) & (stored <= high), np.float32(AIR_HU), hu)
        return hu


def first_wrapped(stored: np.ndarray) -> int | None:
    """The lowest of a slice's 12-bit values that lost a sign, None if none did.

    They did if at least a twentieth of the slice lies where wrapped air does, 3096 ± 100: around a head there is air in
    far more, and metal reaches such values in a few pixels only. The published repair takes 3096 and above, −1000 HU;
    if more than LOW_AIR_PIXELS lie below, from 3072 on, the slice's air goes down to −1024.

    >>> first_wrapped(np.array([40, 30, 3096])), first_wrapped(np.array([40, 30, 3600]))
    (3096, None)
    """
    values = (stored & 0xFFF).astype(np.int32)
    if np.mean(np.abs(values - WRAPPED_AIR) <= AIR_WITHIN) < AIR_SHARE:
        return None
    low_air = np.sum((values >= LOWEST) & (values < WRAPPED_AIR - 1))  # at 3095 metal may be cut off
    return LOWEST if low_air > LOW_AIR_PIXELS else WRAPPED_AIR


def repair_wraparound(stored: np.ndarray, first: int = WRAPPED_AIR) -> np.ndarray:
    """HU of a slice whose 12-bit unsigned values lost their sign.

    A few thousand RSNA slices are unsigned with 12 bits and an intercept near 0, though air is −1000 HU: values
    below zero came out 4096 too high. Taking 4096 off all from 3096 on brings air back to the bottom. (Fault and repair
    published by J. Howard, 2019, who adds 1000 first and makes the intercept −1000, which is the same.)

    >>> repair_wraparound(np.array([40, 3096, 4095]))  # brain, air, just below water
    array([   40, -1000,    -1])
    """
    return np.where(stored >= first, stored - 4096, stored)
