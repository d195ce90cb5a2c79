import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ich_jax.paper.windowing import AIR_HU, hu_to_rgb
from ich_jax.training import augment as module
from ich_jax.training.augment import augment, blur, export, pose, scan

KEY, SIZE = jax.random.key(0), 24
augmented = jax.jit(augment)
STRAIGHT = {"turn": 0.0, "zoom": jnp.ones(2), "shear": 0.0, "shift": jnp.zeros(2)}
SAME = {"gain": 1.0, "offset": 0.0, "shading": jnp.zeros(3), "noise": jnp.zeros((SIZE, SIZE))}


@pytest.fixture(scope="module")
def head():
    """(size, size) HU: a disc of 10…70 HU with a bright spot and a dark one, in bone, in air."""
    down, right = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    hu = np.random.default_rng(0).uniform(10, 70, (SIZE, SIZE))
    hu[(np.abs(down - 3) < 2) & (np.abs(right + 4) < 2)] = 120
    hu[(np.abs(down + 3) < 2) & (np.abs(right + 4) < 2)] = -10
    radius = np.hypot(down, right)
    hu[radius > 8] = 900
    hu[radius > 10] = AIR_HU
    return hu


@pytest.fixture(scope="module")
def image(head):
    return hu_to_rgb(head)


@pytest.fixture(scope="module")
def grey(image):
    return jnp.asarray(image, jnp.float32)


def test_shape_and_kind_stay_and_a_key_decides(image):
    images = jnp.asarray(np.stack([image] * 20))
    changed = augmented(KEY, images)
    assert (changed.shape, changed.dtype) == (images.shape, jnp.uint8)
    np.testing.assert_array_equal(changed, augmented(KEY, images))
    assert np.any(changed != augmented(jax.random.key(1), images))


def test_each_image_has_draws_of_its_own(image):
    changed = np.asarray(augmented(KEY, jnp.asarray(np.stack([image] * 20))))
    assert len({one.tobytes() for one in changed}) == 20
    air_is_black = (changed[:, 0, 0] == 0).all(axis=-1)
    assert 0 < air_is_black.sum() < 20, "some have the brain window only"
    np.testing.assert_array_equal(changed[~air_is_black, 0, 0], [hu_to_rgb(np.array(0))] * (~air_is_black).sum())


def test_without_ranges_nothing_changes(image, monkeypatch):
    for name in ("TURN_DEGREES", "LOG_SCALE", "LOG_ASPECT", "SHEAR", "SHIFT"):
        monkeypatch.setattr(module, name, (0, 0))
    for name in ("BLUR", "OFFSET_HU", "SHADING_HU", "NOISE_HU"):
        monkeypatch.setattr(module, name, (0, 0))
    monkeypatch.setattr(module, "GAIN", (1, 1))
    monkeypatch.setattr(module, "FLIPPED", 0.0)
    monkeypatch.setattr(module, "BRAIN_ONLY", 0.0)
    images = np.stack([image, 255 - image])
    unchanged = jax.jit(lambda key, images: augment(key, images))  # compiled anew, with these bounds
    np.testing.assert_array_equal(unchanged(KEY, jnp.asarray(images)), images)


def test_a_quarter_turn_is_numpys(grey):
    turned = pose(grey, **STRAIGHT | {"turn": math.pi / 2})
    np.testing.assert_allclose(turned, np.rot90(grey), atol=0.01)


def test_a_shift_by_whole_pixels_is_exact_and_brings_in_air(image):
    bright = jnp.asarray(np.maximum(image, 1), jnp.float32)  # no pixel is air's
    moved = pose(bright, **STRAIGHT | {"shift": jnp.array([3, -2])})
    np.testing.assert_array_equal(moved[3:, :-2], bright[:-3, 2:])
    assert not np.any(moved[:3])
    assert not np.any(moved[:, -2:])


def test_a_negative_zoom_mirrors_and_a_large_one_enlarges(grey):
    np.testing.assert_allclose(pose(grey, **STRAIGHT | {"zoom": jnp.array([1, -1])}), grey[:, ::-1], atol=0.01)
    wide = pose(
        jnp.ones_like(grey).at[SIZE // 2 - 3 : SIZE // 2 + 3].set(255), **STRAIGHT | {"zoom": jnp.array([2, 1])}
    )
    assert ((wide[..., 0] > 128).sum(axis=0) == 12).all()


def test_a_shear_moves_rows_sideways_about_the_centre():
    """A vertical line leans; the turn comes after."""
    line = jnp.zeros((SIZE + 1, SIZE + 1, 3)).at[SIZE // 2].set(255)
    leaning = pose(line, **STRAIGHT | {"shear": 0.5})[..., 0]
    centre = SIZE // 2
    assert leaning[centre, centre] == leaning[centre - 2, centre + 4] == leaning[centre + 2, centre - 4] == 255


def test_blur_is_the_binomial_mean_and_its_opposite_sharpens():
    dot = jnp.full((5, 5, 3), 100.0).at[2, 2].set(116)
    kernel = np.outer([1, 2, 1], [1, 2, 1])
    for share in (1, 0.5, -0.25):
        expected = (1 - share) * np.asarray(dot[1:4, 1:4, 0]) + share * (100 + kernel)
        np.testing.assert_allclose(blur(dot, share)[1:4, 1:4, 1], expected, rtol=1e-6)
    assert blur(jnp.zeros((5, 5, 3)).at[2, 2].set(255), -0.3).max() == 255


@pytest.mark.parametrize(
    ("change", "to_hu"),
    [
        ({}, lambda hu: hu),
        ({"offset": 4.0}, lambda hu: hu + 4),
        ({"gain": 0.9}, lambda hu: 40 + 0.9 * (hu - 40)),
        ({"gain": 1.1, "offset": -3.0}, lambda hu: 37 + 1.1 * (hu - 40)),
        ({"shading": jnp.array([2.0, 0, 0])}, lambda hu: hu + np.linspace(-2, 2, SIZE)[:, None]),
        ({"shading": jnp.array([0, 2.0, 0])}, lambda hu: hu + np.linspace(-2, 2, SIZE)),
        ({"noise": jnp.eye(SIZE) * 5}, lambda hu: hu + 5 * np.eye(SIZE)),
    ],
)
def test_another_scanner_is_the_same_as_windowing_other_hu(head, grey, change, to_hu):
    """To half a grey step before, half after, in each of the two soft windows; what was black or white there, air and
    bone among it, stays as it was."""
    scanned, expected = scan(grey, **SAME | change), hu_to_rgb(to_hu(head))
    for channel in (0, 1):
        known = (grey[..., channel] > 0) & (grey[..., channel] < 255)
        assert known.sum() > 150
        np.testing.assert_allclose(scanned[known, channel], expected[known, channel], atol=1.06)
        np.testing.assert_array_equal(scanned[~known, channel], grey[~known, channel])
    np.testing.assert_array_equal(scanned[..., 2], grey[..., 2])


def test_an_offset_in_grey_steps():
    grey = scan(jnp.full((SIZE, SIZE, 3), 100.0), **SAME | {"offset": 4.0})
    np.testing.assert_allclose(grey[0, 0], [100 + 4 * 255 / 80, 100 + 4 * 255 / 200, 100], rtol=1e-5)


def test_a_cup_is_round_and_changes_no_mean():
    change = (scan(jnp.full((SIZE, SIZE, 3), 100.0), **SAME | {"shading": jnp.array([0, 0, 3.0])}) - 100)[..., 1]
    assert change[0, 0] > 0 > change[SIZE // 2, SIZE // 2]
    np.testing.assert_allclose(change, np.rot90(change), atol=1e-4)
    assert abs(change.mean()) < 0.1 * change.max()


def test_an_export_of_the_brain_window_alone_is_that_of_clipped_hu(head, image, grey):
    """To the rounding of the 8 bits between; black and white exactly."""
    exported, expected = export(grey), hu_to_rgb(np.clip(head, 0, 80))
    np.testing.assert_allclose(exported, expected, atol=1)
    np.testing.assert_array_equal(exported[..., 0], image[..., 0])
    ends = (head <= 0) | (head >= 80)
    np.testing.assert_array_equal(exported[ends], expected[ends])
