from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ich_jax.phantom.bleeds import draw
from ich_jax.phantom.clutter import CALCIFIED, NO_CLUTTER, SHARES, Clutter, Stroke, draw_around
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.render import render
from ich_jax.phantom.shapes import Waves
from ich_jax.phantom.shell import draw_shell

LINE = (np.arange(260) - 129.5) * 0.9
STRAIGHT = {"rotation": 0.0, "tilt": 0.0, "lean": 0.0, "offset": (0.0, 0.0), "skew": 0.0, "size": 1.0}


def points(height, seed=0):
    head = replace(Head.draw(np.random.default_rng(seed)), **STRAIGHT)
    return fields(head, LINE, LINE, height, 5.0)


def drawn(f, clutter):
    return render(f, [], 0.81, clutter)[0]


def test_each_kind_comes_as_often_as_it_says():
    rng, found = np.random.default_rng(0), Counter()
    for _ in range(2000):
        clutter = Clutter.draw(rng, atrophy=0.5)
        found.update(clutter.calcified)
        found["stroke"] += bool(clutter.strokes)
        found["white matter"] += clutter.white_matter > 0
        found["fluid"] += clutter.fluid_mm > 0
        found["swelling"] += clutter.swelling[0] > 0
        found["opened"] += clutter.opened[0] > 0
        found["tube"] += clutter.tube_to is not None
        found["filling"] += len(clutter.metal) > 1
        found["clip"] += len(clutter.metal) in (1, 3)
    assert {name: count / 2000 for name, count in found.items()} == pytest.approx(SHARES, abs=0.035)
    none = Clutter.draw(rng, atrophy=0.5, factor=0.0)
    assert replace(none, spot=1.0, where=NO_CLUTTER.where) == NO_CLUTTER


@pytest.mark.parametrize("name", CALCIFIED)
def test_calcifications_are_brighter_than_blood_and_small(name):
    (_, _, height), _ = CALCIFIED[name]
    f = points(height)
    changed = drawn(f, Clutter(calcified=(name,))) - drawn(f, NO_CLUTTER)
    assert changed.max() > 60
    assert 5 < np.count_nonzero(changed > 30) * 0.81 < 150


def test_strokes_are_darker_than_brain_and_leave_csf_alone():
    f = points(35.0)
    stroke = Stroke((-30.0, 5.0, 35.0), 15.0, 12.0, Waves.draw(np.random.default_rng(1), 12, 40))
    before, after = drawn(f, NO_CLUTTER), drawn(f, Clutter(strokes=(stroke,)))
    scar = np.hypot(f.bx + 30, f.by - 5) < 8
    assert after[scar].mean() < 16 < before[scar].mean()
    assert (after - before).max() < 0.1, "nothing grows brighter"


def test_white_matter_of_the_old_is_dark_around_the_ventricles():
    f = points(20.0)
    change = drawn(f, Clutter(white_matter=1.0)) - drawn(f, NO_CLUTTER)
    assert change.min() < -5
    assert abs(change[np.hypot(f.x, f.y) > 60]).max() < 0.1


def test_fluid_under_the_skull_is_as_dark_as_csf():
    f = points(35.0)
    change = drawn(f, Clutter(fluid_mm=8.0)) - drawn(f, NO_CLUTTER)
    frontal = (f.vault < -1.5) & (f.vault > -6) & (f.y < -40)
    assert drawn(f, Clutter(fluid_mm=8.0))[frontal].mean() < 15
    assert abs(change[f.vault < -14]).max() < 0.1


def test_a_swelling_is_outside_the_skull():
    f = points(35.0)
    clutter = Clutter(swelling=(8.0, 55.0), where=(0.0, -1.0, 0.0))
    change = drawn(f, clutter) - drawn(f, NO_CLUTTER)
    assert np.count_nonzero(change > 50) * 0.81 > 300
    assert (f.vault[np.abs(change) > 1] > f.head.skull_mm).all()
    assert (f.y[np.abs(change) > 1] < 0).all()


@pytest.mark.parametrize("back", [True, False])
def test_an_opened_skull_has_a_gap_where_it_was_cut(back):
    f = points(35.0)
    whole, opened = (draw_shell(f) for _ in range(2))
    draw_around(opened, f, Clutter(opened=(30.0, back), where=(-0.9, 0.0, 0.43)))
    gone = (whole > 300) & (opened < 300)
    area = np.count_nonzero(gone) * 0.81
    assert area > 8
    assert (f.x[gone] < 0).all()
    if not back:
        assert area > 150
    assert (opened[f.vault < -2] == whole[f.vault < -2]).all()


def test_tubes_and_metal_are_seen():
    f = points(10.0)
    tube = drawn(f, Clutter(tube_to=(9.0, -22.0, 10.0)))
    assert tube[np.hypot(f.bx - 9, f.by + 22) < 1.5].max() > 150
    f = points(-16.0)
    assert drawn(f, Clutter(metal=((8.0, -22.0, -16.0),)))[np.hypot(f.bx - 8, f.by + 22) < 1.5].max() > 2000


def test_what_bleeds_does_not_depend_on_the_clutter():
    rng = np.random.default_rng(5)
    f = points(12.0, seed=5)
    hemorrhages = [draw(kind, f.head, rng) for kind in ("subdural", "intraparenchymal", "intraventricular")]
    full = Clutter.draw(rng, 0.9, factor=30.0)
    assert min(len(full.strokes), full.fluid_mm, len(full.metal)) > 0, "it has something of each"
    assert render(f, hemorrhages, 0.81)[1] == render(f, hemorrhages, 0.81, full)[1]
