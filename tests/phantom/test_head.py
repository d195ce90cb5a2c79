from dataclasses import replace

import numpy as np
import pytest

from ich_jax.data.dicom import read_slice
from ich_jax.phantom.brain import draw_brain
from ich_jax.phantom.domains import DOMAINS
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.scanner import Scanner, scan
from ich_jax.phantom.shapes import Waves, capsule, coverage, ellipsoid, smooth
from ich_jax.phantom.shell import draw_shell
from ich_jax.phantom.tissues import AIR, TISSUE_RANGES_HU

# Where each tissue is in every head: the side of the head (mirrored too), the back and the height, in mm.
PLACES = {
    "white matter": [(26, 0, 34), (27, 20, 34), (24, -20, 32)],
    "grey matter": [(12, 8, 4), (12, 12, 5)],  # the thalamus
}
# A mean head, upright in the middle of the picture, as bright as the literature has it; and a scanner without flaws.
STRAIGHT = {"rotation": 0.0, "tilt": 0.0, "lean": 0.0, "offset": (0.0, 0.0), "skew": 0.0, "size": 1.0}
STRAIGHT |= {"brain_hu": 0.0, "contrast": 1.0}
PLAIN = {"cupping_hu": 0.0, "petrous_hu": 0.0, "shading_hu": (0.0, 0.0), "motion_mm": 0.0}


def disc(f, x, y, radius=2.5):
    return np.hypot(f.bx - x, f.by - y) < radius


def head_slice(seed, height, **changes):
    """A healthy noisy slice and its points, the head upright in the middle of the picture."""
    rng = np.random.default_rng(seed)
    head = replace(Head.draw(rng), **STRAIGHT, **changes)
    scanner = replace(Scanner.draw(rng), spacing_mm=0.46, **PLAIN)
    hu, areas = scan(head, [], scanner, height, 5.0, rng)
    assert areas == {}
    line = (np.arange(512) - 255.5) * 0.46
    return head, hu, fields(head, line, line, height, 5.0)


@pytest.mark.parametrize("seed", range(6))
def test_each_tissue_has_the_hounsfield_units_of_the_literature(seed):
    means = {name: [] for name in TISSUE_RANGES_HU}
    for tissue, places in PLACES.items():
        for x, y, z in places:
            _, hu, f = head_slice(seed, z)
            means[tissue].append(hu[disc(f, x, y) | disc(f, -x, y)].mean())
    head, hu, f = head_slice(seed, 12, ventricles=1.5)
    means["CSF"].append(hu[draw_brain(f).ventricles < -2].mean())
    skull = 0.55 * head.skull_mm
    beside = np.abs(f.y) < 10  # where the skull's thickness is what `skull_mm` says, more or less
    means["diploë"].append(np.median(hu[beside & (np.abs(f.vault - skull) < 0.4)]))
    means["cortical bone"].append(np.median(hu[(np.abs(f.vault - 0.9) < 0.3) & beside]))
    head, hu, f = head_slice(seed, 20, scalp_mm=9.0)
    means["fat"].append(np.median(hu[np.abs(f.vault - head.skull_mm - 5.5) < 0.7]))
    head, hu, f = head_slice(seed, -16, scalp_mm=9.0)
    temple = (np.abs(f.y + 26) < 6) & (np.abs(f.vault - head.skull_mm - 3) < 1)
    means["muscle"].append(np.median(hu[temple]))
    means["air"].append(hu[:20, :200].mean())
    for tissue, values in means.items():
        low, high = TISSUE_RANGES_HU[tissue]
        margin = 3 if tissue == "air" else 0  # air has noise and no range
        assert all(low - margin <= value <= high + margin for value in values), f"{tissue}: {values}"
    assert np.mean(means["grey matter"]) > np.mean(means["white matter"]) + 3


def test_noise_in_the_brain_is_that_of_a_scanner():
    for seed in range(4):
        _, hu, f = head_slice(seed, 34)
        assert 1.5 < hu[disc(f, 26, 0, 4)].std() < 6


def test_it_resembles_real_slices(rsna_files):
    """The brain's middle value, its noise from pixel to pixel, and the skull's two, against 38 real slices."""

    def describe(hu):
        brain = (hu > 15) & (hu < 50)
        steps = np.abs(np.diff(hu, axis=1))[(brain[:, 1:] & brain[:, :-1])]
        return np.median(hu[brain]), steps.mean(), *np.percentile(hu[hu > 300], [50, 95])

    real = [describe(read_slice(path).hu) for path in rsna_files]
    ours = [describe(head_slice(seed, height)[1]) for seed in range(6) for height in (-30, 0, 30, 50)]
    low, high = np.percentile(real, [10, 90], axis=0)  # the odd slices at both ends would let anything pass
    middle = np.median(ours, axis=0)
    assert np.all((low <= middle) & (middle <= high)), (low, middle, high)


def test_slices_change_smoothly_from_one_to_the_next():
    head = Head.draw(np.random.default_rng(3))
    scanner = Scanner.draw(np.random.default_rng(3))

    def at(height):
        return np.clip(scan(head, [], scanner, height, 5.0, np.random.default_rng(0))[0], -100, 200)

    start = at(10)
    near, further, far = (np.abs(at(10 + step) - start).mean() for step in (1, 5, 30))
    assert near < further < far
    assert near < 0.25 * far


def test_signed_distances_are_distances():
    line = np.linspace(-17, 17, 69, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    z = np.zeros_like(x)
    ball = ellipsoid(x, y, z, (1, 2, 0), (6, 6, 6))
    np.testing.assert_allclose(ball, np.hypot(x - 1, y - 2) - 6, atol=0.01)
    rod = capsule(x, y, z, (-5, 0, 0), (5, 0, 0), (2, 2))
    np.testing.assert_allclose(rod, np.hypot(x - np.clip(x, -5, 5), y) - 2, atol=1e-3)
    assert coverage(np.array([-5.0, 0.0, 5.0])).tolist() == [1, 0.5, 0]
    assert (capsule(x, y + 40, z, (-5, 0, 0), (5, 0, 0), (2, 2)) > 20).all(), "far is far, if not how far"


def test_an_ellipsoid_has_its_own_axis_in_each_direction():
    centre, axes = np.array([1.0, -2.0, 3.0]), np.array([4.0, 8.0, 12.0])
    for k, direction in enumerate(np.eye(3)):
        for step in (-1, 0, 1):
            points = centre[:, None, None] + direction[:, None, None] * (np.array([[-1.0, 1.0]]) * axes[k] + step)
            distance = ellipsoid(*points.astype(np.float32), centre, axes)
            np.testing.assert_allclose(distance, np.array([[-step, step]]), atol=0.02 + 0.15 * abs(step))


def test_a_rod_tapers_from_its_first_radius_to_its_second():
    x, y = np.array([[-5.0, 0.0, 5.0, 8.0]], np.float32), np.array([[0.0, 0.0, 0.0, 0.0]], np.float32)
    rod = capsule(x, y, np.zeros_like(x), (-5, 0, 0), (5, 0, 0), (2, 4))
    np.testing.assert_allclose(rod, [[-2, -3, -4, -1]], atol=1e-5)


def test_a_smooth_field_is_its_waves_through_a_coarser_grid():
    line = np.arange(0, 80, 0.5, np.float32)
    points = (*np.meshgrid(line, line), np.zeros((160, 160), np.float32))
    waves = Waves.draw(np.random.default_rng(0), 15, 30)
    error = (smooth(waves, *points) - waves(*points))[8:-8, 8:-8]
    assert np.sqrt(np.mean(error**2)) < 0.15


def test_a_turned_head_keeps_its_lengths_and_a_moved_one_its_place():
    posed = {"rotation": 0.3, "tilt": 0.1, "lean": 0.05, "offset": (4.0, -7.0), "size": 1.25, "skew": 0.0}
    head = replace(Head.draw(np.random.default_rng(0)), **posed)
    line = np.arange(-80, 80, 4.0)
    f = fields(head, line, line, 20.0, 5.0)
    u, v = (line[None, :] - 4) / 1.25, (line[:, None] + 7) / 1.25
    np.testing.assert_allclose(np.hypot(f.x, f.y), np.hypot(u, v), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(f.z, 16 + np.sin(0.1) * f.y + np.sin(0.05) * f.x, atol=1e-3)
    straight = np.arctan2(v, u) - np.arctan2(f.y, f.x)
    np.testing.assert_allclose(np.cos(straight), np.cos(0.3), atol=1e-3)


def test_waves_have_mean_0_and_variance_1():
    rng = np.random.default_rng(0)
    points = rng.uniform(-500, 500, (3, 40000)).astype(np.float32)
    values = Waves.draw(rng, 10, 20)(*points)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


@pytest.mark.parametrize("seed", range(8))
def test_the_part_of_the_picture_that_is_drawn_holds_the_whole_head(seed):
    head = Head.draw(np.random.default_rng(seed), DOMAINS["shifted"])
    seen = 0
    for height in np.linspace(*head.scan_mm, 12):
        aside, front, back = head.extent_mm(height)
        u = head.offset[0] + np.arange(-aside, aside, 1.0)
        v = head.offset[1] + np.arange(-front, back, 1.0)
        hu = draw_shell(fields(head, u, v, height, 5.0))
        seen += (hu > AIR + 500).sum() > 100
        for edge in (hu[0], hu[-1], hu[:, 0], hu[:, -1]):
            assert (edge == AIR).all(), height
    assert seen > 8, "it is not air alone"


def test_outside_the_head_there_is_air():
    _, hu, f = head_slice(0, 20)
    assert abs(np.median(hu[f.vault > 60]) - AIR) < 3
