from dataclasses import fields

import numpy as np
import pytest

from ich_jax.phantom.clutter import Clutter
from ich_jax.phantom.domains import DOMAINS, LEFT_OUT, choose
from ich_jax.phantom.head import Head
from ich_jax.phantom.scanner import Scanner


def drawn(domain, count=300):
    rng = np.random.default_rng(0)
    return [(Head.draw(rng, domain), Scanner.draw(rng, domain)) for _ in range(count)]


def test_a_domain_is_named_as_it_is_called_and_its_ranges_ascend():
    for name, domain in DOMAINS.items():
        assert domain.name == name
        for one in fields(domain):
            value = getattr(domain, one.name)
            if isinstance(value, tuple) and one.name != "rests":
                assert value[0] < value[1], one.name


@pytest.mark.parametrize("name", DOMAINS)
def test_heads_and_scanners_come_from_the_ranges(name):
    domain = DOMAINS[name]
    pairs = drawn(domain)
    tilts = np.degrees([head.tilt for head, _ in pairs])
    assert domain.tilt_deg[0] <= tilts.min() < tilts.max() <= domain.tilt_deg[1]
    assert np.ptp(tilts) > 0.9 * np.ptp(domain.tilt_deg)
    assert np.std(np.degrees([head.rotation for head, _ in pairs])) == pytest.approx(domain.rotation_deg, rel=0.15)
    sides = 512 * np.array([scanner.spacing_mm for _, scanner in pairs])
    assert domain.field_mm[0] <= sides.min() < sides.max() <= domain.field_mm[1]
    assert {scanner.rest for _, scanner in pairs} == set(domain.rests)
    lengths = [head.scan_mm[0] - head.scan_mm[1] for head, _ in pairs]
    assert min(lengths) > 60


def test_shifted_is_another_world_than_usual():
    for measure in (
        lambda head, scanner: scanner.noise_hu,
        lambda head, scanner: scanner.blur_mm,
        lambda head, scanner: scanner.cupping_hu,
        lambda head, scanner: abs(head.rotation),
        lambda head, scanner: -head.contrast,
    ):
        usual, shifted = (np.median([measure(*pair) for pair in drawn(DOMAINS[name])]) for name in DOMAINS)
        assert shifted > usual


@pytest.mark.parametrize("part", LEFT_OUT)
def test_what_is_left_out_is_named_and_changes_the_domain(part):
    assert choose("usual", part) != DOMAINS["usual"]
    assert choose("usual") == DOMAINS["usual"]


def test_without_pose_heads_lie_straight_and_without_clutter_there_is_none():
    upright = drawn(choose("usual", "pose"))
    assert np.std([head.rotation for head, _ in upright]) < 0.3 * np.std(
        [head.rotation for head, _ in drawn(DOMAINS["usual"])]
    )
    plain = choose("usual", "clutter")
    assert not Clutter.draw(np.random.default_rng(0), 0.5, plain.clutter).calcified
    assert {(scanner.cupping_hu, scanner.petrous_hu, scanner.motion_mm) for _, scanner in drawn(plain)} == {(0, 0, 0)}
