"""Marks of assignment 2, Hounsfield units. Compared with ich_jax.data.hounsfield."""

import numpy as np

from ich_jax.data.hounsfield import Encoding, repair_wraparound
from tutorials.coursework.marking import Ask, Assignment

hounsfield = Assignment("hounsfield")
EXACT = 1e-6  # slopes and intercepts below are such that float32 holds every HU exactly


@hounsfield.given("drop_unused_bits", 1, "the example of the sheet, unsigned")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_bits(ask, np.array([7, 2048, 4095, 4096 + 7], np.uint16), 12)


@hounsfield.drawn("drop_unused_bits", 1, "unsigned values, anything in the bits above")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for bits in (12, 16, int(draw.integers(9, 16))):
        _expect_bits(ask, _sixteen_bits(draw, bits, signed=False), bits)


@hounsfield.drawn("drop_unused_bits", 1, "signed values, anything in the bits above")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for bits in (12, 16, int(draw.integers(9, 16))):
        _expect_bits(ask, _sixteen_bits(draw, bits, signed=True), bits)


@hounsfield.drawn("mirror", 1, "unsigned values")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for bits in (12, int(draw.integers(9, 16))):
        _expect_mirrored(ask, draw.integers(5, 2**bits - 5, (6, 7)), bits, signed=False)


@hounsfield.drawn("mirror", 1, "signed values")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for bits in (12, int(draw.integers(9, 16))):
        half = 2 ** (bits - 1)
        _expect_mirrored(ask, draw.integers(-half + 5, half - 5, (6, 7)), bits, signed=True)


@hounsfield.drawn("rescale", 1, "integers of several kinds, slopes with fractions")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for dtype in (np.uint16, np.int16, np.int32):
        slope, intercept = _some_scale(draw)
        signed = dtype != np.uint16
        values = (draw.integers(0, 65536, (3, 4, 5)) - 32768 * signed).astype(dtype)
        known = {
            "the slope is applied to the intercept, too": (values + intercept) * slope,
            "the intercept is subtracted": values * slope - intercept,
        }
        wanted = Encoding(signed, 16, slope, intercept, inverted=False).to_hu(values)
        ask.expect(wanted, "rescale", values, slope, intercept, tolerance=EXACT, known=known)


@hounsfield.given("to_hu", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_hu(ask, np.array([24, 1064, 4096 + 1064], np.uint16), 12, 1.0, -1024.0, False, None)


@hounsfield.drawn("to_hu", 1, "12 and 16 bits, signed and unsigned, without padding")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for bits in (12, 16):
        for signed in (False, True):
            _expect_hu(ask, _sixteen_bits(draw, bits, signed), bits, *_some_scale(draw), False, None)


@hounsfield.drawn("to_hu", 1, "padding that needs more bits than are stored")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for signed in (False, True):
        stored = _sixteen_bits(draw, 12, signed)
        padding = 65536 - int(draw.integers(2100, 4000))
        stored.view(np.uint16)[::2, 0] = padding
        stored.view(np.uint16)[::2, 1] = padding & 0xFFF  # a picture: only its lower bits are those of the padding
        _expect_hu(ask, stored, 12, *_some_scale(draw), False, padding - 65536 if signed else padding)


@hounsfield.drawn("to_hu", 1, "MONOCHROME1 with a padding, of 0 as well")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for signed in (False, True):
        for padding in (0, int(draw.integers(1, 2000))):
            stored = _sixteen_bits(draw, 12, signed)
            stored[1::2, ::3] = padding
            _expect_hu(ask, stored, 12, *_some_scale(draw), True, padding)


@hounsfield.given("repair_wraparound", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_repaired(ask, np.array([40, 3096, 4095], np.uint16))


@hounsfield.drawn("repair_wraparound", 1, "a slice with all that 12 bits can hold")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_repaired(ask, draw.permutation(4096).astype(np.uint16).reshape(64, 64))


def _sixteen_bits(draw: np.random.Generator, bits: int, signed: bool) -> np.ndarray:
    """(6, 7) of all sixteen bits; a row holds the ends of the range and of its halves, below other bits."""
    half = 2 ** (bits - 1)
    stored = draw.integers(0, 65536, (6, 7)).astype(np.uint16)
    ends = np.array([0, 1, half - 1, half, half + 1, 2 * half - 2, 2 * half - 1])
    stored[3] = (stored[3] & ~np.uint16(2 * half - 1)) | ends.astype(np.uint16)
    return stored.view(np.int16) if signed else stored


def _some_scale(draw: np.random.Generator) -> tuple[float, float]:
    return float(draw.choice([0.25, 0.5, 1.5, 2.0])), -float(draw.integers(1, 2100)) / 2


def _values(stored: np.ndarray, bits: int, signed: bool, inverted: bool = False) -> np.ndarray:
    return Encoding(signed, bits, 1, 0, inverted).to_hu(stored).astype(np.int32)


def _expect_bits(ask: Ask, stored: np.ndarray, bits: int) -> None:
    signed = stored.dtype == np.int16
    values = _values(stored, bits, False)
    sign = values & 2 ** (bits - 1)
    known = {
        "the bits above those stored are kept": stored,
        f"the values are taken for {'un' if signed else ''}signed": _values(stored, bits, not signed),
        "what follows the sign is taken for the number's size, not for two's complement": np.where(
            sign, sign - values, values
        ),
    }
    ask.expect(_values(stored, bits, signed), "drop_unused_bits", stored, bits, signed, known=known)


def _expect_mirrored(ask: Ask, values: np.ndarray, bits: int, signed: bool) -> None:
    values = values.astype(np.int32)
    known = {
        "the slice is mirrored within the values that occur in it": values.max() + values.min() - values,
        "the slice is subtracted from its own highest value": values.max() - values,
        "it is mirrored within sixteen bits": 65535 - values,
        "it is mirrored at 0, though the range has one value more below it than above": -values,
        "signed values are mirrored as unsigned ones are": 2**bits - 1 - values,
        "half of the range is taken for all of it": 2 ** (bits - 1) - 1 - values,
        "the range is taken to end at a power of two, which is one too many": 2**bits - values,
    }
    ask.expect(_values(values, bits, signed, inverted=True), "mirror", values, bits, signed, known=known)


def _expect_hu(
    ask: Ask,
    stored: np.ndarray,
    bits: int,
    slope: float,
    intercept: float,
    inverted: bool,
    padding: int | None,
) -> None:
    signed = stored.dtype == np.int16

    def hu(inverted: bool = inverted, bits: int = bits) -> np.ndarray:
        """Without padding."""
        return Encoding(signed, bits, slope, intercept, inverted).to_hu(stored)

    def padded(where: np.ndarray, with_hu: float = -1000, base: np.ndarray | None = None) -> np.ndarray:
        return np.where(where, np.float32(with_hu), hu() if base is None else base)

    pads = stored == padding if padding is not None else np.zeros(stored.shape, bool)
    known = {"the bits above those stored are kept": padded(pads, base=hu(bits=16))}
    if inverted:
        known["the slice is not mirrored"] = padded(pads, base=hu(inverted=False))
    if padding is not None:
        values, mirrored = _values(stored, bits, signed), _values(stored, bits, signed, inverted)
        known |= {
            "padding is not found (after bits are dropped it is another value), or is not made air": hu(),
            "padding is looked for after bits are dropped": padded(values == padding),
            "bits of the padding are dropped, too": padded(
                values == _values(np.array(padding).astype(stored.dtype), bits, signed)
            ),
            "padding is looked for after the slice is mirrored": padded(mirrored == padding),
            "padding is made −1000 before the slice is rescaled": padded(pads, slope * -1000 + intercept),
            "padding becomes 0 HU": padded(pads, 0),
        }
    wanted = Encoding(signed, bits, slope, intercept, inverted, None if padding is None else (padding, padding)).to_hu(
        stored
    )
    arguments = (stored, bits, signed, slope, intercept, inverted, padding)
    ask.expect(wanted, "to_hu", *arguments, tolerance=EXACT, known=known)


def _expect_repaired(ask: Ask, stored: np.ndarray) -> None:
    values = stored.astype(np.int32)
    known = {
        "4096 is subtracted from unsigned integers, which wrap around as well": np.where(
            stored >= 3096, stored - np.uint16(4096), stored
        ),
        "12 bits are taken for signed: bone from 2,048 on is then below air": np.where(
            values >= 2048, values - 4096, values
        ),
        "3,096 itself is left as it is": np.where(values > 3096, values - 4096, values),
        "4,095 is subtracted": np.where(values >= 3096, values - 4095, values),
    }
    ask.expect(repair_wraparound(values), "repair_wraparound", stored, known=known)
