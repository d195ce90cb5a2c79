from dataclasses import replace

import numpy as np

from ich_jax.phantom.face import face_outline
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.shell import draw_shell
from ich_jax.phantom.tissues import AIR

LINE = (np.arange(240) - 119.5) * 0.9
STRAIGHT = {"rotation": 0.0, "tilt": 0.0, "lean": 0.0, "offset": (0.0, 0.0), "skew": 0.0, "size": 1.0}


def neck(height, seed=0):
    head = replace(Head.draw(np.random.default_rng(seed)), **STRAIGHT)
    f = fields(head, LINE, LINE, height, 5.0)
    return f, draw_shell(f)


def test_below_the_skull_there_are_muscles_airways_teeth_and_vertebrae():
    f, hu = neck(-88.0)
    assert (f.cavity > 0).all(), "no room for a brain"
    muscle = np.count_nonzero((hu > 35) & (hu < 60)) * 0.81
    assert muscle > 2000
    throat = np.hypot(f.x, f.y + 19) < 4
    assert hu[throat].max() < AIR + 1
    front = f.y < -40
    assert hu[front].max() > 2000, "enamel"
    beside_the_canal = (np.abs(np.abs(f.x) - 20) < 4) & (np.abs(f.y - 6) < 4)
    assert np.median(hu[beside_the_canal]) > 300
    cord = np.hypot(f.x, f.y - 12) < 3
    assert 20 < hu[cord].mean() < 45


def test_eyes_lie_in_fat_behind_their_lenses():
    f, hu = neck(-38.0)
    front = f.head.half_length
    for side in (-1, 1):
        globe = np.hypot(f.x - 32 * side, f.y - 15 + front) < 5
        assert 5 < np.median(hu[globe]) < 20
        assert hu[np.hypot(f.x - 32 * side, f.y - 4 + front) < 1.5].max() > 60, "the lens"


def test_outside_skin_and_skull_there_is_air():
    for height in (-50.0, -75.0, -95.0):
        f, hu = neck(height)
        outside = np.minimum(face_outline(f), f.vault - f.head.skull_mm - f.head.scalp_mm) > 12
        assert (hu[outside] == AIR).all()
        assert np.count_nonzero(~outside) * 0.81 > 8000
