"""Typical mistakes of assignment 2, at the marks that they are meant to get."""

import numpy as np

from tests.tutorials.coursework.marked import points, reasons
from tutorials.coursework.reference.hounsfield import drop_unused_bits, mirror, rescale, to_hu


def test_other_types_and_ways_lose_nothing():
    def by_remainder(stored, bits_stored, signed):
        values = stored.astype(np.int64) % 2**bits_stored
        return np.where(signed & (values >= 2 ** (bits_stored - 1)), values - 2**bits_stored, values)

    def by_shifting(stored, bits_stored, signed):
        return stored << (16 - bits_stored) >> (16 - bits_stored)

    def in_double(*arguments):
        return to_hu(*arguments).astype(np.float64)

    assert points("hounsfield", drop_unused_bits=by_remainder, to_hu=in_double) == {}
    assert points("hounsfield", drop_unused_bits=by_shifting) == {}


def test_the_bits_above_are_kept():
    def kept(stored, bits_stored, signed):
        return stored

    assert points("hounsfield", drop_unused_bits=kept) == {"drop_unused_bits": 0}
    assert "if the bits above those stored are kept" in reasons("hounsfield", drop_unused_bits=kept)


def test_the_sign_is_not_extended():
    def masked(stored, bits_stored, signed):
        return stored & (2**bits_stored - 1)

    assert points("hounsfield", drop_unused_bits=masked) == {"drop_unused_bits": 2}
    assert "if the values are taken for unsigned" in reasons("hounsfield", drop_unused_bits=masked)


def test_sign_and_size_instead_of_twos_complement():
    def size(stored, bits_stored, signed):
        values, sign = drop_unused_bits(stored, bits_stored, False), 2 ** (bits_stored - 1)
        return np.where(signed & (values & sign > 0), sign - values, values)

    assert points("hounsfield", drop_unused_bits=size) == {"drop_unused_bits": 2}
    assert "not for two's complement" in reasons("hounsfield", drop_unused_bits=size)


def test_only_the_examples():
    def example(stored, bits_stored, signed):
        return np.array([7, 2048, 4095, 7])

    assert points("hounsfield", drop_unused_bits=example) == {"drop_unused_bits": 1}


def test_mirrored_within_the_slice():
    def within(values, bits_stored, signed):
        return values.max() - values

    assert points("hounsfield", mirror=within) == {"mirror": 0}
    assert "if the slice is subtracted from its own highest value" in reasons("hounsfield", mirror=within)


def test_signed_values_mirrored_at_zero():
    def at_zero(values, bits_stored, signed):
        return -values if signed else mirror(values, bits_stored, False)

    assert points("hounsfield", mirror=at_zero) == {"mirror": 1}
    assert "if it is mirrored at 0" in reasons("hounsfield", mirror=at_zero)


def test_the_intercept_is_subtracted():
    def subtracted(values, slope, intercept):
        return values * slope - intercept

    assert points("hounsfield", rescale=subtracted) == {"rescale": 0}
    assert "if the intercept is subtracted" in reasons("hounsfield", rescale=subtracted)


def test_hu_are_cut_to_integers():
    def cut(values, slope, intercept):
        return rescale(values, slope, intercept).astype(np.int16)

    assert "gives the dtype int16, not floats" in reasons("hounsfield", rescale=cut)


def test_padding_is_looked_for_after_bits_are_dropped():
    def after(stored, bits_stored, signed, slope, intercept, inverted, padding):
        values = drop_unused_bits(stored, bits_stored, signed)
        hu = to_hu(stored, bits_stored, signed, slope, intercept, inverted, None)
        return hu if padding is None else np.where(values == padding, -1000, hu)

    assert points("hounsfield", to_hu=after) == {"to_hu": 3}
    assert "if padding is not found (after bits are dropped" in reasons("hounsfield", to_hu=after)


def test_a_padding_of_zero_is_taken_for_none():
    def unless_zero(stored, bits_stored, signed, slope, intercept, inverted, padding):
        return to_hu(stored, bits_stored, signed, slope, intercept, inverted, padding or None)

    assert points("hounsfield", to_hu=unless_zero) == {"to_hu": 3}
    assert "True, 0) 9 of 42 values differ" in reasons("hounsfield", to_hu=unless_zero)
    assert "or is not made air" in reasons("hounsfield", to_hu=unless_zero)


def test_monochrome1_is_not_mirrored():
    def as_it_is(stored, bits_stored, signed, slope, intercept, inverted, padding):
        return to_hu(stored, bits_stored, signed, slope, intercept, False, padding)

    assert points("hounsfield", to_hu=as_it_is) == {"to_hu": 3}
    assert "if the slice is not mirrored" in reasons("hounsfield", to_hu=as_it_is)


def test_padding_is_mirrored_and_rescaled_with_the_rest():
    def before(stored, bits_stored, signed, slope, intercept, inverted, padding):
        hu = to_hu(stored, bits_stored, signed, slope, intercept, inverted, None)
        return hu if padding is None else np.where(stored == padding, slope * -1000 + intercept, hu)

    assert points("hounsfield", to_hu=before) == {"to_hu": 2}
    assert "if padding is made −1000 before the slice is rescaled" in reasons("hounsfield", to_hu=before)


def test_the_repair_wraps_around_itself():
    def unsigned(stored):
        return np.where(stored >= 3096, stored - 4096, stored)

    assert points("hounsfield", repair_wraparound=unsigned) == {"repair_wraparound": 0}
    assert "from unsigned integers, which wrap around as well" in reasons("hounsfield", repair_wraparound=unsigned)


def test_twelve_bits_are_taken_for_signed():
    def signed(stored):
        return drop_unused_bits(stored.astype(np.int16), 12, True)

    assert points("hounsfield", repair_wraparound=signed) == {"repair_wraparound": 1}
    assert "if 12 bits are taken for signed" in reasons("hounsfield", repair_wraparound=signed)
