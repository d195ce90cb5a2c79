import numpy as np
import pytest

from ich_jax.results import map_checks

RNG = np.random.default_rng(0)


def a_head(side: int = 48) -> np.ndarray:
    """Windows of a skull with soft tissue in it, a bright spot in that, and a headrest below."""
    image = np.zeros((side, side, 3), np.uint8)
    image[4:36, 8:40] = 255, 255, 200
    image[6:34, 10:38] = 112, 140, 76
    image[16:20, 20:24] = 200, 160, 80
    image[42:44, 4:44] = 112, 140, 76
    return image


def inside() -> np.ndarray:
    head = np.zeros((48, 48), bool)
    head[4:36, 8:40] = True
    return head


def test_the_head_is_found_without_the_headrest_and_with_its_inside():
    np.testing.assert_array_equal(map_checks.head_of(a_head()), inside())
    with_a_hole = a_head()
    with_a_hole[22:24, 22:24] = 0
    np.testing.assert_array_equal(map_checks.head_of(with_a_hole), inside())
    assert map_checks.head_of(np.zeros((8, 8, 3), np.uint8)).all()


def test_covered_it_is_soft_tissue_in_the_head_and_air_elsewhere():
    cover = map_checks.cover_of(a_head(), inside())
    assert (cover[inside()] == (112, 140, 76)).all()
    assert not cover[~inside()].any()
    white = np.full((8, 8, 3), 255, np.uint8)
    assert (map_checks.cover_of(white, np.ones((8, 8), bool)) == 255).all()


def test_brighter_than_soft_tissue_is_the_spot_alone():
    found = map_checks.brighter(a_head(), inside())
    assert (found[16:20, 20:24] == 88).all()
    assert found.sum() == 88 * 16


def test_marked_is_the_highest_part_of_the_head():
    values = np.arange(48 * 48.0).reshape(48, 48)
    part = map_checks.marked(values, inside(), 10, RNG)
    assert part.sum() == round(0.1 * 32 * 32)
    assert not (part & ~inside()).any()
    assert values[part].min() > values[inside() & ~part].max()
    assert map_checks.marked(values, inside(), 0.001, RNG).sum() == 1


def test_equals_are_marked_in_patches_and_not_always_the_same():
    parts = [map_checks.marked(np.ones((48, 48)), inside(), 20, RNG) for _ in range(2)]
    assert (parts[0] != parts[1]).any()
    borders = np.sum(parts[0][1:] != parts[0][:-1]) + np.sum(parts[0][:, 1:] != parts[0][:, :-1])
    assert borders < 200  # scattered, 205 pixels would have about 650


def test_elsewhere_is_as_large_and_nowhere_in_the_marked_part():
    values = RNG.random((48, 48))
    part = map_checks.marked(values, inside(), 30, RNG)
    for _ in range(20):
        other = map_checks.elsewhere(values, part, inside(), RNG)
        assert other.sum() == part.sum()
        assert not (other & (part | ~inside())).any()
    most = map_checks.marked(values, inside(), 80, RNG)
    assert map_checks.elsewhere(values, most, inside(), RNG).sum() == inside().sum() - most.sum()


def test_boxes_have_their_middles_in_the_head():
    boxes = map_checks.boxes(inside(), 5, 200, RNG)
    assert {int(box.sum()) for box in boxes} == {49}  # 7 × 7 of 51.2 pixels; none is cut off by the picture's edge
    middles = np.array([np.argwhere(box).mean(axis=0) for box in boxes])
    assert middles.min(axis=0).tolist() >= [4, 8]
    assert middles.max(axis=0).tolist() <= [35, 39]
    assert np.ptp(middles, axis=0).min() > 25


def test_a_share_of_the_mass():
    values = np.array([[1.0, 3.0], [0.0, 4.0]])
    assert map_checks.share(values, values > 2) == pytest.approx(7 / 8)
    assert np.isnan(map_checks.share(np.zeros((2, 2)), values > 2))


def test_rank_correlation_is_spearmans_in_the_head():
    one = RNG.random((48, 48))
    other = np.where(inside(), np.exp(5 * one), -one)  # the same order in the head, the other way round outside
    assert map_checks.rank_correlation(one, other, inside()) == pytest.approx(1)
    assert map_checks.rank_correlation(one, -other, inside()) == pytest.approx(-1)
    assert np.isnan(map_checks.rank_correlation(one, np.ones((48, 48)), inside()))
    assert np.isnan(map_checks.rank_correlation(np.where(inside(), 2.0, one), other, inside()))
