from dataclasses import replace

import numpy as np
import pytest

from ich_jax.paper.printed import TYPES
from ich_jax.phantom import bleeds
from ich_jax.phantom.bleeds import SMALLEST_MM2, blood_share, draw, push_aside, render
from ich_jax.phantom.brain import draw_brain
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.tissues import BLOOD_RANGE_HU

SPACING = 0.8
LINE = (np.arange(300) - 149.5) * SPACING


def some(kind, count=6, form=None):
    """(head, bleed, points of a slice through it) of several patients."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        head = replace(Head.draw(rng), tilt=0.0, lean=0.0, rotation=0.0)
        bleed = draw(kind, head, rng)
        if form and bleed.form != form:
            continue
        low, high = bleed.slices_mm
        height = min(max((low + high) / 2, -40), head.height - 15)
        found.append((head, bleed, fields(head, LINE, LINE, height, 5.0)))
        if len(found) == count:
            return found
    raise AssertionError(f"no {kind} {form}")


def share_of(bleed, f):
    f = push_aside([bleed], f)
    return blood_share(bleed, f, draw_brain(f, 1.0)), f


@pytest.mark.parametrize("kind", TYPES)
def test_blood_is_as_bright_as_acute_blood_and_inside_the_skull(kind):
    seen = 0
    for _, bleed, f in some(kind):
        share, moved = share_of(bleed, f)
        hu, areas = render(f, [bleed], SPACING**2)
        if not areas:
            continue
        seen += 1
        if kind != "subarachnoid":  # that one opens the sulci it lies in
            blood = np.count_nonzero(share >= 0.5) * SPACING**2
            assert 0.6 * blood < areas[kind] < 1.05 * blood, "all but what lies in the skull's smeared edge"
        assert (moved.cavity[share > 0.5] < 1).all()
        if (share > 0.95).sum() > 20:
            assert BLOOD_RANGE_HU[0] <= np.median(hu[share > 0.95]) <= BLOOD_RANGE_HU[1]
    assert seen >= 3


def test_epidural_is_a_lens_against_the_skull():
    for _, bleed, f in some("epidural"):
        share, _ = share_of(bleed, f)
        blood = share > 0.5
        depth = -f.cavity[blood]
        assert depth.min() < 1.2, "it touches the inner table"
        assert depth.max() == pytest.approx(bleed.thickness, rel=0.35)
        # Biconvex: deepest near the middle of the lens, and thin at its ends.
        x, y = f.x[blood], f.y[blood]
        middle = np.hypot(x - bleed.centre[0], y - bleed.centre[1])
        assert middle[depth > 0.8 * depth.max()].max() < 0.9 * middle.max()
        assert middle.max() < 60, "within one suture span"


def test_subdural_is_a_crescent_longer_and_thinner_than_an_epidural():
    def length_over_thickness(kind, form):
        ratios = []
        for _, bleed, f in some(kind, 8, form):
            blood = share_of(bleed, f)[0] > 0.5
            x, y, depth = f.x[blood], f.y[blood], -f.vault[blood]
            ratios.append(np.hypot(np.ptp(x), np.ptp(y)) / depth.max())
        return np.median(ratios)

    assert length_over_thickness("subdural", "crescent") > 1.8 * length_over_thickness("epidural", None)
    for _, bleed, f in some("subdural", 6, "crescent"):
        blood = share_of(bleed, f)[0] > 0.5
        assert (bleed.side * f.x[blood] > 0).all(), "it does not cross the midline"
        assert -f.vault[blood].min() < 1.3 * bleed.thickness + 1


def test_subdural_along_the_falx_stays_there():
    for _, bleed, f in some("subdural", 4, "falx"):
        share, moved = share_of(bleed, f)
        assert (np.abs(moved.bx[share > 0.5]) < bleed.thickness * 1.8 + 2).all()


def test_subarachnoid_keeps_to_the_csf_around_the_brain():
    for _, bleed, f in some("subarachnoid"):
        moved = push_aside([bleed], f)
        brain = draw_brain(moved, 1.0)
        share = blood_share(bleed, moved, brain)
        assert (share <= brain.subarachnoid + 1e-6).all()
        assert share.max() > 0.4


def test_intraventricular_keeps_to_the_ventricles_and_sinks_to_the_back():
    for form in ("layer", "cast"):
        for _, bleed, f in some("intraventricular", 4, form):
            moved = push_aside([bleed], f)
            brain = draw_brain(moved)
            share = blood_share(bleed, moved, brain)
            assert (brain.ventricles[share > 0.5] < 1.3).all()
            wet, dry = share > 0.5, (brain.ventricles < -1) & (share < 0.1)
            if form == "layer" and wet.any() and dry.any():
                assert moved.by[wet].min() > bleed.centre[1] - 2
                assert moved.by[dry].max() < bleed.centre[1] + 20


def test_intraparenchymal_has_a_darker_rim_and_pushes_the_brain():
    darker = pushed = 0
    for _, bleed, f in some("intraparenchymal", 8, "lobe"):
        bleed = replace(bleed, size=16.0, oedema_mm=6.0)
        hu, _ = render(f, [bleed], SPACING**2)
        surface = bleeds.blob(bleed, f)
        rim = (surface > 2.5) & (surface < 4) & (f.cavity < -15)
        if rim.sum() > 20:
            healthy, _ = render(f, [], SPACING**2)
            darker += np.median(hu[rim]) < np.median(healthy[rim]) - 4
        moved = push_aside([bleed], f)
        pushed += np.hypot(moved.bx - f.bx, moved.by - f.by)[f.cavity < 0].max() > 2
    assert darker >= 5
    assert pushed == 8


def test_a_slice_shows_what_its_label_says_or_nothing():
    """Blood below SMALLEST_MM2 is left out altogether, so a slice without a label has no trace of it."""
    checked = 0
    for _, bleed, f in some("intraparenchymal", 12):
        for above in np.linspace(0, bleed.size + 4, 12):
            points = fields(f.head, LINE, LINE, bleed.centre[2] + above, 5.0)
            hu, areas = render(points, [bleed], SPACING**2)
            if areas:
                assert areas["intraparenchymal"] >= SMALLEST_MM2
            elif (np.abs(points.z - bleed.centre[2]) < bleed.size + 12).any():
                checked += 1
                assert not ((hu > 58) & (bleeds.blob(bleed, points) < 0) & (points.cavity < -12)).any()
    assert checked > 5


def test_the_drawn_range_is_where_the_blood_is():
    """`slices_mm`, which decides how many bleeds a data set gets, against the slices that do show blood."""
    for kind in TYPES:
        planned = shown = 0
        for head, bleed, _ in some(kind, 6):
            heights = np.arange(-50, head.height, 6.0)
            planned += sum(bleed.slices_mm[0] < z < bleed.slices_mm[1] for z in heights)
            shown += sum(kind in render(fields(head, LINE, LINE, z, 6.0), [bleed], SPACING**2)[1] for z in heights)
        assert 0.6 < shown / planned < 1.5, (kind, shown, planned)
