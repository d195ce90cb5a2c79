import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels import apply_windowing

from ich_jax.data.dicom import read_slice
from ich_jax.paper.windowing import (
    BONE,
    BRAIN,
    SUBDURAL,
    WINDOWS,
    apply_window,
    hu_to_rgb,
    look_up,
    lookup_table,
    window_limits,
)

EVERY_HU = np.arange(-32768, 32768, dtype=np.int16)
levels = st.floats(-2000, 3000)
widths = st.floats(1, 5000)


def test_the_papers_windows():
    assert [window_limits(*window) for window in WINDOWS] == [(0, 80), (-20, 180), (-800, 2000)]


@pytest.mark.parametrize("window", WINDOWS)
def test_ends_middle_and_monotony(window):
    low, high = window_limits(*window)
    grey = apply_window(EVERY_HU, *window)
    assert grey.dtype == np.uint8
    assert np.all(grey[low >= EVERY_HU] == 0)
    assert np.all(grey[high <= EVERY_HU] == 255)
    assert grey[window.level_hu == EVERY_HU] in (127, 128)
    assert np.all(np.diff(grey.astype(int)) >= 0)


@given(levels, widths, st.lists(st.floats(-4000, 4000, width=32), min_size=1))
def test_each_value_is_the_nearest_grey(level, width, hu):
    hu = np.array(hu, np.float32)
    low, high = window_limits(level, width)
    exact = (np.clip(hu.astype(np.float64), low, high) - low) / width * 255
    rounding = 1e-4 + 0.3 / width  # of float32, at HU of some thousands
    assert np.all(np.abs(apply_window(hu, level, width) - exact) <= 0.5 + rounding)


def test_halves_go_to_the_even_grey():
    hu = np.array([8, 24, 40, 56])  # 25.5, 76.5, 127.5, 178.5
    assert apply_window(hu, *BRAIN).tolist() == [26, 76, 128, 178]


def test_known_places_in_the_papers_windows():
    hu = np.array([-1000, -20, 0, 10, 30, 60, 80, 180, 1300, 3000])
    assert apply_window(hu, *BRAIN).tolist() == [0, 0, 0, 32, 96, 191, 255, 255, 255, 255]
    assert apply_window(hu, *SUBDURAL).tolist() == [0, 0, 26, 38, 64, 102, 128, 255, 255, 255]
    assert apply_window(hu, *BONE).tolist() == [0, 71, 73, 74, 76, 78, 80, 89, 191, 255]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("wrap", [jax.jit, jax.vmap, lambda f: f])
def test_jax_and_numpy_agree_on_every_whole_hu(window, wrap):
    function = wrap(partial(apply_window, level_hu=window.level_hu, width_hu=window.width_hu))
    result = function(jnp.asarray(EVERY_HU))
    assert isinstance(result, jax.Array)
    np.testing.assert_array_equal(result, apply_window(EVERY_HU, *window))


def test_rgb_stacks_the_windows():
    hu = np.array([[0.0, 40.0], [80.0, 600.0]])
    rgb = hu_to_rgb(hu)
    assert rgb.shape == (2, 2, 3)
    for channel, window in enumerate((BRAIN, SUBDURAL, BONE)):
        np.testing.assert_array_equal(rgb[..., channel], apply_window(hu, *window))
    np.testing.assert_array_equal(jax.jit(hu_to_rgb)(jnp.asarray(hu, jnp.float32)), rgb)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("slope", [1.0, 0.5])
@pytest.mark.parametrize("intercept", [-1024.0, -1000.0, 0.0, 1.0])
def test_the_table_equals_the_arithmetic_for_every_stored_value(dtype, slope, intercept):
    every = np.arange(65536, dtype=np.uint16).view(dtype)

    def to_hu(stored):
        return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)

    table = lookup_table(to_hu, dtype)
    np.testing.assert_array_equal(look_up(every, table), hu_to_rgb(to_hu(every)))
    np.testing.assert_array_equal(look_up(jnp.asarray(every), jnp.asarray(table)), hu_to_rgb(to_hu(every)))


@pytest.mark.parametrize("width", [0, -80, np.nan, np.inf])
def test_a_bad_width_raises(width):
    with pytest.raises(ValueError, match="width"):
        apply_window(EVERY_HU, 40, width)


@pytest.mark.parametrize("make", [np.array, jnp.array])
def test_nan_raises(make):
    with pytest.raises(ValueError, match="NaN"):
        apply_window(make([1.0, np.nan], np.float32), 40, 80)
    with pytest.raises(ValueError, match="level"):
        apply_window(make([1.0], np.float32), np.nan, 80)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, bool, complex, object, "U3"])
def test_a_wrong_dtype_raises(dtype):
    with pytest.raises(TypeError, match="HU"):
        apply_window(np.zeros(3, dtype), 40, 80)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_tables_are_for_16_bit_values(dtype):
    with pytest.raises(TypeError, match="int16 or uint16"):
        lookup_table(lambda stored: stored * 1.0, dtype)
    with pytest.raises(TypeError, match="int16 or uint16"):
        look_up(np.zeros(3, dtype), np.zeros((65536, 3), np.uint8))


def test_equals_pydicoms_linear_exact_on_every_real_slice(rsna_files):
    for path in rsna_files:
        hu = read_slice(path).hu
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            dataset.VOILUTFunction = "LINEAR_EXACT"
            stored_range = 2**dataset.BitsStored - 1  # pydicom scales to the stored range, after the rescale, from …
            bottom = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
            bottom += float(dataset.RescaleIntercept)  # … the HU of the smallest stored value
            for window in WINDOWS:
                dataset.WindowCenter, dataset.WindowWidth = window
                theirs = (apply_windowing(hu.astype(np.float64), dataset) - bottom) / stored_range * 255
                ours = apply_window(hu, *window)
                # Halves may round either way after their detour through the stored range; nothing else may differ.
                np.testing.assert_array_less(np.abs(theirs - ours), 0.5 + 1e-9)


def test_dicoms_linear_differs_by_three_grey_levels_and_four_after_rounding():
    """PS3.3 C.11.2.1.2 and C.11.2.1.3.2, in the brain window."""
    hu = np.linspace(-100, 200, 30_001)
    exact = np.clip((hu - (BRAIN.level_hu - BRAIN.width_hu / 2)) / BRAIN.width_hu * 255, 0, 255)
    linear = np.clip(((hu - (BRAIN.level_hu - 0.5)) / (BRAIN.width_hu - 1) + 0.5) * 255, 0, 255)
    assert np.abs(linear - exact).max() == pytest.approx(3.2, abs=0.05)
    assert np.abs(np.rint(linear) - apply_window(hu, *BRAIN)).max() == 4
