"""Typical mistakes of assignment 1, at the marks that they are meant to get."""

import numpy as np

from ich_jax.paper.windowing import apply_window, hu_to_rgb, window_limits
from tests.tutorials.coursework.marked import points, reasons


def _grey(hu, level, width, shift=0.0, narrower=0.0, finish=np.round):
    width = width - narrower
    low = level - shift - width / 2
    return finish((np.clip(hu.astype(np.float64), low, low + width) - low) * 255 / width).astype(np.uint8)


def test_half_a_width_too_much():
    def twice_as_wide(level_hu, width_hu):
        window_limits(level_hu, width_hu)
        return level_hu - width_hu, level_hu + width_hu

    assert points("windowing", window_limits=twice_as_wide) == {"window_limits": 1}
    assert "if the width is taken for half of it" in reasons("windowing", window_limits=twice_as_wide)


def test_a_width_of_zero_is_taken():
    def unchecked(level_hu, width_hu):
        return level_hu - width_hu / 2, level_hu + width_hu / 2

    assert points("windowing", window_limits=unchecked) == {"window_limits": 2}
    assert "must raise ValueError, and gives (40, 40)" in reasons("windowing", window_limits=unchecked)


def test_cut_off_instead_of_rounded():
    def cut_off(hu, level, width):
        return _grey(hu, level, width, finish=np.floor)

    assert points("windowing", apply_window=cut_off) == {"apply_window": 1}
    assert "if the grey level is cut off, not rounded" in reasons("windowing", apply_window=cut_off)


def test_dicoms_other_window():
    def linear(hu, level, width):
        return _grey(hu, level, width, shift=0.5, narrower=1)

    assert points("windowing", apply_window=linear) == {"apply_window": 1}  # that of the ends
    assert "if the window is DICOM's LINEAR and not LINEAR_EXACT" in reasons("windowing", apply_window=linear)


def test_floats_for_grey_levels():
    def floats(hu, level, width):
        return apply_window(hu, level, width).astype(np.float32)

    assert points("windowing", apply_window=floats) == {"apply_window": 0}
    assert "gives the dtype float32, not uint8" in reasons("windowing", apply_window=floats)


def test_channels_first():
    def first(hu, windows):
        return np.moveaxis(hu_to_rgb(hu, windows), -1, 0)

    assert points("windowing", hu_to_rgb=first) == {"hu_to_rgb": 0}
    assert "gives the shape (3, 4), not (4, 3)" in reasons("windowing", hu_to_rgb=first)


def test_a_table_for_unsigned_values_only():
    def unsigned(slope, intercept, signed):
        stored = np.arange(65536, dtype=np.float32)
        return hu_to_rgb(stored * np.float32(slope) + np.float32(intercept))

    assert points("windowing", lookup_table=unsigned) == {"lookup_table": 1}
    assert "if the values are taken for unsigned" in reasons("windowing", lookup_table=unsigned)
