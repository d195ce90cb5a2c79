"""One slice without noise: the head, what lies about in it, and its bleeds, put together; and what bleeds in it."""

from collections.abc import Sequence

import numpy as np

from ich_jax.phantom.bleeds import Bleed, blob, blood_share, nearness, push_aside
from ich_jax.phantom.brain import draw_brain
from ich_jax.phantom.clutter import NO_CLUTTER, Clutter, draw_around, draw_in_brain
from ich_jax.phantom.head import Fields
from ich_jax.phantom.shapes import Array, blend, coverage, smooth
from ich_jax.phantom.shell import draw_shell
from ich_jax.phantom.tissues import OEDEMA

VISIBLE = 0.4  # of a pixel; smaller shares of blood do not show
SMALLEST_MM2 = 70.0  # less visible blood than this is not put into a slice, so that its label is beyond doubt


def render(
    f: Fields, hemorrhages: Sequence[Bleed], pixel_mm2: float, clutter: Clutter = NO_CLUTTER
) -> tuple[Array, dict[str, float]]:
    """One slice without noise, and what bleeds in it.

    Args:
        f: the slice's points, from `head.fields`.
        hemorrhages: the patient's, of which this slice may cut any.
        pixel_mm2: area of a pixel.
        clutter: what else is in this head.

    Returns:
        (rows, columns) float32 HU; and kind → area of its visible blood in mm², only kinds with at least SMALLEST_MM2.
    """
    hu = draw_shell(f)
    draw_around(hu, f, clutter)
    within = f.cavity < 1.5
    if not within.any():
        return hu, {}
    f, box = f.crop(within)
    low, high = float(f.z.min()), float(f.z.max())
    near = [bleed for bleed in hemorrhages if bleed.slices_mm[0] - 12 < high and low < bleed.slices_mm[1] + 12]
    f = push_aside(near, f)
    widen = sum((bleed.thickness * nearness(bleed, f) for bleed in near if bleed.kind == "subarachnoid"), np.float32(0))
    brain = draw_brain(f, widen)
    draw_in_brain(brain, f, clutter)
    in_cavity = coverage(f.cavity, f.edge_mm)
    areas = {}
    for bleed in near:
        share = blood_share(bleed, f, brain)
        visible = share * (in_cavity > 0.9)  # where the slice cuts the skull at a slant, bone outshines blood
        area = float(visible[visible > VISIBLE].sum()) * pixel_mm2
        if area < SMALLEST_MM2:
            continue
        if bleed.oedema_mm:
            rim = coverage(np.maximum(blob(bleed, f) - bleed.oedema_mm, f.cavity + 2), 5.0)
            blend(brain.hu, 0.85 * rim * (1 - brain.subarachnoid) * coverage(-brain.ventricles, 2.0), OEDEMA)
        clots = bleed.hu + bleed.swirl_hu * smooth(bleed.rough, 2 * f.x, 2 * f.y, 2 * f.z)
        if bleed.sediment_hu:
            clots += bleed.sediment_hu * np.clip((f.by - np.float32(bleed.centre[1])) / 8, -1, 1)
        blend(brain.hu, share, clots)
        areas[bleed.kind] = areas.get(bleed.kind, 0) + area
    blend(hu[box], in_cavity, brain.hu)
    return hu, areas
