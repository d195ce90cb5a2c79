from dataclasses import replace

import numpy as np
import pytest

from ich_jax.paper.printed import TYPES
from ich_jax.phantom import bleeds
from ich_jax.phantom.bleeds import blood_share, draw, push_aside
from ich_jax.phantom.brain import draw_brain, falx_distance, tentorium_distances
from ich_jax.phantom.head import Head, fields
from ich_jax.phantom.render import SMALLEST_MM2, render
from ich_jax.phantom.tissues import BLOOD_RANGE_HU

SPACING = 0.8
LINE = (np.arange(300) - 149.5) * SPACING


def some(kind, count=6, form=None, subtle=False):
    """(head, bleed, points of a slice through it) of several patients."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        head = replace(Head.draw(rng), tilt=0.0, lean=0.0, rotation=0.0, skew=0.0, size=1.0, offset=(0.0, 0.0))
        bleed = draw(kind, head, rng, subtle=subtle)
        if form and bleed.form != form:
            continue
        low, high = bleed.slices_mm
        height = min(max((low + high) / 2, -40), head.height - 15)
        found.append((head, bleed, fields(head, LINE, LINE, height, 5.0)))
        if len(found) == count:
            return found
    raise AssertionError(f"no {kind} {form}")


def area_mm2(blood):
    return np.count_nonzero(blood) * SPACING**2


def share_of(bleed, f):
    f = push_aside([bleed], f)
    return blood_share(bleed, f, draw_brain(f, 1.0)), f


@pytest.mark.parametrize("kind", TYPES)
def test_blood_is_as_bright_as_acute_blood_and_inside_the_skull(kind):
    seen = bright = 0
    for _, bleed, f in some(kind):
        share, moved = share_of(bleed, f)
        hu, areas = render(f, [bleed], SPACING**2)
        if not areas:
            continue
        seen += 1
        if kind != "subarachnoid":  # that one opens the sulci it lies in
            blood = area_mm2(share >= 0.5)
            assert 0.6 * blood < areas[kind] < 1.05 * blood, "all but what lies in the skull's smeared edge"
        assert (moved.cavity[share > 0.5] < 1).all()
        if (share > 0.95).sum() > 90:
            bright += 1
            assert BLOOD_RANGE_HU[0] <= np.median(hu[share > 0.95]) <= BLOOD_RANGE_HU[1]
            assert np.median(hu[share > 0.95]) == pytest.approx(bleed.hu, abs=3)
    assert seen >= 3
    assert bright >= (1 if kind == "subarachnoid" else 3)


def test_epidural_is_a_lens_against_the_skull():
    for _, bleed, f in some("epidural"):
        share, _ = share_of(bleed, f)
        blood = share > 0.5
        depth = -f.cavity[blood]
        assert depth.min() < 1.2, "it touches the inner table"
        assert 0.6 * bleed.thickness < depth.max() < 1.1 * bleed.thickness
        # Biconvex: deepest near the middle of the lens, and thin at its ends.
        x, y = f.x[blood], f.y[blood]
        middle = np.hypot(x - bleed.centre[0], y - bleed.centre[1])
        assert middle[depth > 0.8 * depth.max()].max() < 0.9 * middle.max()
        assert 0.75 * bleed.size < middle.max() < 1.1 * bleed.size, "as wide as drawn: the sutures hold it"


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
        assert 0.8 * bleed.thickness < -f.vault[blood].min() < 1.3 * bleed.thickness + 1


def test_subdural_along_the_falx_lies_against_it_on_one_side():
    for _, bleed, f in some("subdural", 6, "falx"):
        share, moved = share_of(bleed, f)
        blood = share > 0.5
        assert area_mm2(blood) > 70
        away, aside = falx_distance(moved)[blood], bleed.side * moved.bx[blood]
        assert away.min() < 0.5, "it touches the falx"
        assert bleed.thickness / 2 < away.max() < 1.5 * bleed.thickness + 1
        assert aside.min() > -0.6, "the falx holds it on its side"
        assert render(f, [bleed], SPACING**2)[1]["subdural"] > 70


def test_subdural_on_the_tentorium_lies_above_it_on_one_side():
    for _, bleed, f in some("subdural", 6, "tentorium"):
        share, moved = share_of(bleed, f)
        blood = share > 0.5
        assert area_mm2(blood) > 150
        above, in_front = (distance[blood] for distance in tentorium_distances(moved))
        assert -0.6 < above.min() < 0.5, "it touches the tentorium from above"
        assert bleed.thickness / 2 < above.max() < 1.5 * bleed.thickness + 1
        assert in_front.max() < 0.1, "behind the free edge"
        assert (bleed.side * moved.bx[blood]).min() > -0.1
        assert render(f, [bleed], SPACING**2)[1]["subdural"] > 150


def test_subarachnoid_keeps_to_the_csf_around_the_brain():
    for _, bleed, f in some("subarachnoid"):
        moved = push_aside([bleed], f)
        brain = draw_brain(moved, 1.0)
        share = blood_share(bleed, moved, brain)
        assert (share <= brain.subarachnoid + 1e-6).all()
        assert share.max() > 0.4
        assert area_mm2(share > 0.3) > 25
        away = np.sqrt(sum((p - c) ** 2 for p, c in zip((f.x, f.y, f.z), bleed.centre, strict=True)))
        assert away[share > 0.3].max() < bleed.size


@pytest.mark.parametrize("form", ["layer", "cast"])
def test_intraventricular_keeps_to_the_ventricles_and_sinks_to_the_back(form):
    for _, bleed, f in some("intraventricular", 4, form):
        moved = push_aside([bleed], f)
        brain = draw_brain(moved)
        share = blood_share(bleed, moved, brain)
        wet, dry = share > 0.5, (brain.ventricles < -1) & (share < 0.1)
        assert area_mm2(wet) > 40
        assert area_mm2(dry) > 20
        assert brain.ventricles[wet].max() < 1.3
        if form == "layer":  # in both ventricles, up to a level
            assert moved.by[wet].min() > bleed.centre[1] - 1
            assert moved.by[dry].max() < bleed.centre[1] + 1
        else:  # fills that of one side, from the back to its centre
            own = bleed.side * moved.bx
            assert moved.by[wet].min() > bleed.centre[1] - 1
            assert own[wet].min() > -2.1
            assert area_mm2(dry & (own < -3)) > 20
            assert not (dry & (own > 3) & (moved.by > bleed.centre[1] + 8)).any()


@pytest.mark.parametrize("form", ["deep", "lobe", "cerebellum"])
def test_intraparenchymal_is_a_compact_blob_that_keeps_off_the_skull(form):
    for _, bleed, f in some("intraparenchymal", 4, form):
        share, moved = share_of(bleed, f)
        blood = share > 0.5
        assert area_mm2(blood) > 0.4 * np.pi * bleed.size**2
        away = np.sqrt(sum((p - c) ** 2 for p, c in zip((f.x, f.y, f.z), bleed.centre, strict=True)))
        assert away[blood].max() < 1.45 * bleed.size
        assert moved.cavity[blood].max() < -5


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
        x, y = f.bx - bleed.centre[0], f.by - bleed.centre[1]
        # What shows at a point lay nearer to the blob's centre before.
        nearer = np.hypot(x, y) - np.hypot(moved.bx - bleed.centre[0], moved.by - bleed.centre[1])
        assert nearer.min() > -1e-3
        pushed += nearer[f.cavity < 0].max() > 2
    assert darker >= 5
    assert pushed == 8


@pytest.mark.parametrize(("kind", "form"), [("epidural", ""), ("subdural", "crescent")])
def test_blood_under_the_skull_pushes_the_brain_inwards(kind, form):
    for head, bleed, _ in some(kind, 4, form):
        f = fields(head, LINE, LINE, bleed.centre[2], 5.0)
        moved = push_aside([bleed], f)
        x, y, _ = bleed.centre
        # What shows at a point lay further out before.
        further_out = ((moved.bx - f.bx) * x + (moved.by - f.by) * y) / np.hypot(x, y)
        assert further_out.min() >= 0
        assert 0.4 * bleed.thickness < further_out[f.cavity < 0].max() < 0.6 * bleed.thickness
        assert further_out[bleed.side * f.x < -40].max() < 0.1 * bleed.thickness, "the other side stays"


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
    line = LINE[::2]
    for kind in TYPES:
        planned = shown = 0
        for head, bleed, _ in some(kind, 6):
            heights = np.arange(-50, head.height, 6.0)
            planned += sum(bleed.slices_mm[0] < z < bleed.slices_mm[1] for z in heights)
            shown += sum(kind in render(fields(head, line, line, z, 6.0), [bleed], 4 * SPACING**2)[1] for z in heights)
        assert 0.6 < shown / planned < 1.5, (kind, shown, planned)
