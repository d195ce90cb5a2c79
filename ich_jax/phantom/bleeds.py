"""The five types of hemorrhage, each where anatomy puts it (paper: Giriş, Fig. 1).

A bleed is drawn once for its patient, in the head's own coordinates, so neighbouring slices cut the same one. What it
covers in a slice is a share of each pixel, 0…1, which is then painted with blood.

    epidural          between skull and dura: a lens bulging into the brain, sharp, held by the sutures
    subdural          beneath the dura: a crescent along the convexity, past the sutures; or along falx or tentorium
    subarachnoid      in the CSF around the brain: thin, follows sulci, fissures and cisterns
    intraventricular  in the ventricles: sinks to the back of a lying patient, or fills a ventricle
    intraparenchymal  within the brain: an irregular blob in a darker rim of oedema
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ich_jax.phantom.brain import Brain, draw_brain, falx_distance, tentorium_distances
from ich_jax.phantom.head import Fields, Head, draw_shell
from ich_jax.phantom.shapes import Array, Waves, blend, coverage, smooth, step_down
from ich_jax.phantom.tissues import OEDEMA

WIDEN_MM = 2.5  # how far blood opens a sulcus
SMALLEST_MM2 = 50.0  # less visible blood than this is not put into a slice, so that its label is beyond doubt


@dataclass(frozen=True)
class Bleed:
    """One hemorrhage. Lengths in mm."""

    kind: str  # one of printed.TYPES
    form: str  # the variant within its kind
    centre: tuple[float, float, float]
    side: int  # −1 right, 1 left
    size: float  # radius, reach or half-width, see the functions below
    thickness: float
    hu: float
    oedema_mm: float
    rough: Waves

    @property
    def slices_mm(self) -> tuple[float, float]:
        """The lowest and the highest place it can reach."""
        z, half = self.centre[2], self.size
        if self.form == "crescent":
            half = 37 * self.size
        if self.kind == "subarachnoid":
            half = 0.75 * self.size
        if self.kind == "intraventricular":
            return (-4.0, 13.0) if self.form == "layer" else (-6.0, 27.0)
        return z - half, z + half


def draw(kind: str, head: Head, rng: np.random.Generator, ease: float = 1.0) -> Bleed:
    """A bleed of one kind, somewhere it occurs, from barely visible to large.

    With `ease` 1 all sizes are as likely; above it, large ones are more so.
    """

    def size_between(low: float, high: float) -> float:
        return low + (high - low) * rng.random() ** (1 / ease)

    side = int(rng.choice((-1, 1)))
    form, thickness, oedema = "", 0.0, 0.0
    if kind == "epidural":
        centre, size = on_the_vault(head, side, rng, (-0.35, 0.55), (0.02, 0.7)), size_between(14, 36)
        thickness = size * rng.uniform(0.45, 0.7)
    elif kind == "subdural":
        form = str(rng.choice(("crescent", "falx", "tentorium"), p=(0.84, 0.1, 0.06)))
        thickness = size_between(3, 17) if form == "crescent" else size_between(2.5, 7)
        centre, size = on_the_vault(head, side, rng, (-0.4, 0.5), (0.1, 0.6)), rng.uniform(0.65, 1.1)
        if form != "crescent":
            size = rng.uniform(22, 45)
            centre = (0.0, rng.uniform(25, 60), rng.uniform(15, 50)) if form == "falx" else (0.0, 45.0, -8.0)
    elif kind == "subarachnoid":
        form = str(rng.choice(("Sylvian", "sulci", "cisterns"), p=(0.35, 0.2, 0.45)))
        size = size_between(18, 48)
        centre = {
            "Sylvian": (side * 50.0, -12.0, rng.uniform(-4, 8)),
            "sulci": on_the_vault(head, side, rng, (-0.8, 0.8), (0.1, 0.8)),
            "cisterns": (rng.uniform(-8, 8), -12.0, -17.0),
        }[form]
    elif kind == "intraventricular":
        form = str(rng.choice(("layer", "cast"), p=(0.55, 0.45)))
        # How far the blood has risen from the occipital horns, or how far a cast reaches to the front.
        centre, size = (0.0, rng.uniform(30, 45) if form == "layer" else rng.uniform(-45, 20), 8.0), 20.0
    else:
        form = str(rng.choice(("deep", "lobe", "cerebellum"), p=(0.4, 0.5, 0.1)))
        centre = {
            "deep": (side * rng.uniform(15, 30), rng.uniform(-14, 14), rng.uniform(-2, 10)),
            "lobe": (side * rng.uniform(24, 44), rng.uniform(-48, 52), rng.uniform(14, 44)),
            "cerebellum": (side * rng.uniform(12, 28), rng.uniform(44, 58), rng.uniform(-44, -28)),
        }[form]
        size = size_between(4, 25) if form == "lobe" else size_between(4, 18)
        oedema = size * rng.uniform(0.15, 0.45)
    low, high = (65, 82) if kind == "subarachnoid" else (58, 78)
    rough = Waves.draw(rng, 9, 30)
    return Bleed(kind, form, centre, side, size, thickness, rng.uniform(low, high), oedema, rough)


def on_the_vault(head: Head, side: int, rng: np.random.Generator, y: tuple, z: tuple) -> tuple[float, float, float]:
    """A place on the inner table; y and z are ranges as shares of the vault's half-length and height."""
    uy, uz = rng.uniform(*y), rng.uniform(*z)
    ux = max(1 - uy**2 - uz**2, 0.02) ** 0.5
    width = 1 + head.egg * uy
    return side * ux * head.half_width * width, 2 + uy * head.half_length, uz * head.height


def push_aside(hemorrhages: Sequence[Bleed], f: Fields) -> Fields:
    """Mass effect: the brain coordinates of a slice in which these bleeds have taken their room."""
    bx, by, bz = f.bx, f.by, f.bz
    for bleed in hemorrhages:
        dx, dy, dz = bx - bleed.centre[0], by - bleed.centre[1], bz - bleed.centre[2]
        distance = np.sqrt(dx * dx + dy * dy + dz * dz) + np.float32(1e-3)
        if bleed.kind == "intraparenchymal":
            # What was at distance s₀ is now at s, with s³ = s₀³ + half the blob's volume.
            before = np.cbrt(np.maximum(distance**3 - 0.5 * bleed.size**3, (0.3 * distance) ** 3))
            shrink = before / distance - 1
            bx, by, bz = bx + dx * shrink, by + dy * shrink, bz + dz * shrink
        elif bleed.thickness and bleed.form in ("", "crescent"):
            reach = 30.0 if bleed.kind == "epidural" else 55.0
            amount = 0.55 * bleed.thickness * np.exp(-((distance / reach) ** 2))
            length = np.hypot(bleed.centre[0], bleed.centre[1])
            bx = bx + amount * np.float32(bleed.centre[0] / length)
            by = by + amount * np.float32(bleed.centre[1] / length)
    return replace(f, bx=bx, by=by, bz=bz)


def blood_share(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    """The share of each pixel that is this bleed's blood: (rows, columns) float32, 0…1."""
    return SHARES[bleed.kind](bleed, f, brain)


def _epidural(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    # A ball whose centre lies outside the skull; within it, a lens, `thickness` deep and twice `size` wide.
    radius = (bleed.size**2 + bleed.thickness**2) / (2 * bleed.thickness)
    head, (x, y, z) = f.head, bleed.centre
    normal = np.array([x / head.half_width**2, (y - 2) / head.half_length**2, z / head.height**2])
    normal /= np.linalg.norm(normal)
    cx, cy, cz = (np.float32(v) for v in np.array(bleed.centre) + normal * (radius - bleed.thickness))
    ball = np.sqrt((f.x - cx) ** 2 + (f.y - cy) ** 2 + (f.z - cz) ** 2) - np.float32(radius)
    return coverage(np.maximum(ball, f.cavity + 0.3), 1.0)


def _subdural(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    rough = smooth(bleed.rough, f.x, f.y, f.z)
    if bleed.form == "crescent":
        # Thickest at the centre, thinning out towards `size` times the head's radius from it, half as far up and down.
        a, b, c = f.head.half_width, f.head.half_length, f.head.height
        ux, uy, uz = f.x / a, (f.y - 2) / b, f.z / c
        cx, cy, cz = bleed.centre[0] / a, (bleed.centre[1] - 2) / b, bleed.centre[2] / c
        shrink = 1 / (np.sqrt(ux * ux + uy * uy + uz * uz) + np.float32(1e-3))  # onto the unit sphere, as the centre is
        dx, dy, dz = ux * shrink - np.float32(cx), uy * shrink - np.float32(cy), 2 * (uz * shrink - np.float32(cz))
        away = np.sqrt(dx * dx + dy * dy + dz * dz) / np.float32(bleed.size)
        thickness = np.float32(bleed.thickness) * np.sqrt(np.clip(1 - away * away, 0, 1)) * (1 + 0.07 * rough)
        layer = np.maximum(-f.vault - thickness, f.cavity + 0.3)
        return coverage(np.maximum(layer, 1.5 - bleed.side * f.x), 1.2) * (away < 1)
    near = np.sqrt((f.by - bleed.centre[1]) ** 2 + (f.bz - bleed.centre[2]) ** 2) / np.float32(bleed.size)
    thickness = np.float32(bleed.thickness) * np.clip(1.2 - near, 0, 1) * (1 + 0.15 * rough)
    if bleed.form == "falx":
        sheet = np.maximum(falx_distance(f) - thickness, -bleed.side * f.bx - 0.5)
    else:
        above, in_front = tentorium_distances(f)
        sheet = np.maximum(np.maximum(above - thickness, -above - 0.5), np.maximum(in_front, -bleed.side * f.bx))
    return coverage(np.maximum(sheet, f.cavity), 1.2) * (near < 1.1)


def _subarachnoid(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    patchy = np.clip(0.9 + 0.25 * smooth(bleed.rough, f.x, f.y, f.z), 0.3, 1)
    return brain.subarachnoid * nearness(bleed, f) * patchy * coverage(f.cavity + 0.5, 1.0)


def nearness(bleed: Bleed, f: Fields) -> Array:
    """1 around the bleed's centre, 0 beyond `size`."""
    x, y, z = bleed.centre
    distance = np.sqrt((f.x - x) ** 2 + (f.y - y) ** 2 + (f.z - z) ** 2)
    return step_down(distance - np.float32(bleed.size - 5), 2.5)


def _intraventricular(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    level = f.by - np.float32(bleed.centre[1])  # the patient lies on the back: blood sinks towards +y
    within = np.maximum(brain.ventricles - 0.4, -f.bz - 14)
    if bleed.form == "cast":
        within = np.maximum(within - 0.8, -bleed.side * f.bx - 2)
    return coverage(within, 1.2) * step_down(-level, 0.5 if bleed.form == "layer" else 3)


def blob(bleed: Bleed, f: Fields) -> Array:
    """Distance to an intraparenchymal bleed's ragged surface."""
    x, y, z = bleed.centre
    distance = np.sqrt((f.x - x) ** 2 + (f.y - y) ** 2 + (f.z - z) ** 2) - np.float32(bleed.size)
    return distance + np.float32(0.16 * bleed.size) * smooth(bleed.rough, f.x, f.y, f.z)


def _intraparenchymal(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    return coverage(np.maximum(blob(bleed, f), f.cavity + 6), 1.5)


SHARES = {
    "epidural": _epidural,
    "intraparenchymal": _intraparenchymal,
    "intraventricular": _intraventricular,
    "subarachnoid": _subarachnoid,
    "subdural": _subdural,
}


def render(f: Fields, hemorrhages: Sequence[Bleed], pixel_mm2: float) -> tuple[Array, dict[str, float]]:
    """One slice without noise, and what bleeds in it.

    Args:
        f: the slice's points, from `head.fields`.
        hemorrhages: the patient's, of which this slice may cut any.
        pixel_mm2: area of a pixel.

    Returns:
        (rows, columns) float32 HU; and kind → area of its visible blood in mm², only kinds with at least SMALLEST_MM2.
    """
    hu = draw_shell(f)
    within = f.cavity < 1.5
    if not within.any():
        return hu, {}
    f, box = f.crop(within)
    low, high = float(f.z.min()), float(f.z.max())
    near = [bleed for bleed in hemorrhages if bleed.slices_mm[0] - 12 < high and low < bleed.slices_mm[1] + 12]
    f = push_aside(near, f)
    widen = sum((WIDEN_MM * nearness(bleed, f) for bleed in near if bleed.kind == "subarachnoid"), np.float32(0))
    brain = draw_brain(f, widen)
    in_cavity = coverage(f.cavity, f.edge_mm)
    areas = {}
    for bleed in near:
        share = blood_share(bleed, f, brain)
        visible = share * (in_cavity > 0.9)  # where the slice cuts the skull at a slant, bone outshines blood
        area = float(np.count_nonzero(visible >= 0.5)) * pixel_mm2
        if area < SMALLEST_MM2:
            continue
        if bleed.oedema_mm:
            rim = coverage(np.maximum(blob(bleed, f) - bleed.oedema_mm, f.cavity + 2), 5.0)
            blend(brain.hu, 0.85 * rim * (1 - brain.subarachnoid) * coverage(-brain.ventricles, 2.0), OEDEMA)
        clots = bleed.hu + 2.5 * smooth(bleed.rough, 2 * f.x, 2 * f.y, 2 * f.z)
        blend(brain.hu, share, clots)
        areas[bleed.kind] = areas.get(bleed.kind, 0) + area
    blend(hu[box], in_cavity, brain.hu)
    return hu, areas
