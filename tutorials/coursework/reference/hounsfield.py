"""Assignment 2, as ich_jax.data.hounsfield does it."""

import numpy as np

from ich_jax.data import hounsfield
from ich_jax.data.hounsfield import Encoding

__all__ = ["drop_unused_bits", "mirror", "repair_wraparound", "rescale", "to_hu"]


def drop_unused_bits(stored: np.ndarray, bits_stored: int, signed: bool) -> np.ndarray:
    return Encoding(signed, bits_stored, 1, 0, inverted=False).to_hu(stored).astype(np.int32)


def mirror(values: np.ndarray, bits_stored: int, signed: bool) -> np.ndarray:
    return Encoding(signed, bits_stored, 1, 0, inverted=True).to_hu(values).astype(np.int32)


def rescale(values: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    signed = bool(np.issubdtype(values.dtype, np.signedinteger))
    return Encoding(signed, 16, slope, intercept, inverted=False).to_hu(values)


def to_hu(
    stored: np.ndarray,
    bits_stored: int,
    signed: bool,
    slope: float,
    intercept: float,
    inverted: bool,
    padding: int | None,
) -> np.ndarray:
    pads = None if padding is None else (padding, padding)
    return Encoding(signed, bits_stored, slope, intercept, inverted, pads).to_hu(stored)


def repair_wraparound(stored: np.ndarray) -> np.ndarray:
    return hounsfield.repair_wraparound(stored.astype(np.int32))
