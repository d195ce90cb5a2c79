"""The five types of hemorrhage, each where anatomy puts it (paper: Giriş, Fig. 1).

A bleed is drawn once for its patient, in the head's own coordinates, so neighbouring slices cut the same one. What it
covers in a slice is a share of each pixel, 0…1, which `render` then paints with blood.

    epidural          between skull and dura: a lens bulging into the brain, sharp, held by the sutures
    subdural          beneath the dura: a crescent along the convexity, past the sutures; or along falx or tentorium
    subarachnoid      in the CSF around the brain: thin, follows sulci, fissures and cisterns
    intraventricular  in the ventricles: sinks to the back of a lying patient, or fills a ventricle
    intraparenchymal  within the brain: an irregular blob in a darker rim of oedema
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ich_jax.phantom.brain import Brain, falx_distance, tentorium_distances
from ich_jax.phantom.head import Fields, Head
from ich_jax.phantom.shapes import Array, Waves, coverage, smooth, step_down

# HU of blood by type: from where it is mixed with CSF or has lain for days to a fresh clot; and how bright only the
# plain ones are. [B] acute 40…90; blood in CSF starts at CSF's, older blood falls by about 1.5 HU a day to brain's.
BLOOD_HU = {
    "epidural": (48, 82),
    "intraparenchymal": (48, 85),
    "intraventricular": (44, 80),
    "subarachnoid": (46, 78),
    "subdural": (45, 80),
}
ISODENSE_HU, ISODENSE = (36, 48), 0.12  # subdural blood of one to three weeks is as bright as brain
PLAIN_HU = (60, 78)
FORMS = {  # share of each form within its type; chosen
    "epidural": {"lens": 1.0},
    "subdural": {"crescent": 0.78, "falx": 0.13, "tentorium": 0.09},
    "subarachnoid": {"Sylvian": 0.3, "sulci": 0.35, "cisterns": 0.35},
    "intraventricular": {"layer": 0.35, "horn": 0.25, "cast": 0.4},
    "intraparenchymal": {"deep": 0.36, "lobe": 0.36, "contusion": 0.2, "cerebellum": 0.08},
}
SUBTLE_ONLY = ("horn", "contusion")


@dataclass(frozen=True)
class Bleed:
    """One hemorrhage. Lengths in mm."""

    kind: str  # one of printed.TYPES
    form: str  # the variant within its kind, a key of FORMS
    centre: tuple[float, float, float]
    side: int  # −1 right, 1 left
    size: float  # radius, reach or half-width, see the functions below
    thickness: float  # of subarachnoid blood: how far it opens a sulcus
    hu: float
    swirl_hu: float  # standard deviation: fresh blood in older
    sediment_hu: float  # how much brighter the lower part is: cells sink
    oedema_mm: float
    rough: Waves

    @property
    def slices_mm(self) -> tuple[float, float]:
        """The lowest and the highest place at which it usually shows, in the head's mm."""
        below, above = {
            "lens": (0.75, 0.75),
            "crescent": (35, 33),
            "falx": (0.65, 0.6),
            "tentorium": (0.7, 0.55),
            "Sylvian": (0.75, 0.75),
            "sulci": (0.72, 0.6),
            "cisterns": (0.65, 0.5),
            "layer": (0.45, 0.1),
            "horn": (0.45, 0.1),
            "cast": (0.9, 0.75),
        }.get(self.form, (1, 1))
        return self.centre[2] - below * self.size, self.centre[2] + above * self.size


def draw(kind: str, head: Head, rng: np.random.Generator, ease: float = 1.0, subtle: bool = True) -> Bleed:
    """A bleed of one kind, somewhere it occurs, from barely visible to large.

    With `ease` 1 all sizes and HU are as likely; above it, large and bright ones are more so. Without `subtle` none is
    small, thin, grey or uneven.
    """

    def size_between(low: float, high: float) -> float:
        low = low if subtle else low + 0.25 * (high - low)
        return low + (high - low) * rng.random() ** (1 / ease)

    side = int(rng.choice((-1, 1)))
    forms = {form: share for form, share in FORMS[kind].items() if subtle or form not in SUBTLE_ONLY}
    form = str(rng.choice(list(forms), p=np.array(list(forms.values())) / sum(forms.values())))
    thickness, oedema = 0.0, 0.0
    if kind == "epidural":
        centre, size = on_the_vault(head, side, rng, (-0.55, 0.65), (-0.1, 0.75)), size_between(10, 38)
        thickness = size * rng.uniform(0.35, 0.7)
    elif kind == "subdural":
        thickness = size_between(2, 17) if form == "crescent" else size_between(1.5, 7)
        centre, size = on_the_vault(head, side, rng, (-0.5, 0.6), (0.05, 0.7)), rng.uniform(0.5, 1.15)
        if form != "crescent":
            size, y = rng.uniform(22, 45), rng.uniform(-50, 60)
            free_edge = 44 * max(1 - ((y + 8) / 66) ** 2, 0) ** 0.5 - 2  # of the falx, see brain.falx_distance
            centre = (0.0, y, free_edge + rng.uniform(4, 18)) if form == "falx" else (0.0, 45.0, -8.0)
    elif kind == "subarachnoid":
        size, thickness = size_between(14, 50), size_between(0.5, 3.2)
        centre = {
            "Sylvian": (side * 50.0, -12.0, rng.uniform(-4, 8)),
            "sulci": on_the_vault(head, side, rng, (-0.8, 0.8), (0.1, 0.85)),
            "cisterns": (rng.uniform(-8, 8), -12.0, -17.0),
        }[form]
    elif kind == "intraventricular":
        # How far the blood has risen from the occipital horns, or how far a cast reaches to the front.
        centre, size = (0.0, rng.uniform(-45, 25) if form == "cast" else rng.uniform(30, 48), 8.0), 20.0
    else:
        centre = {
            "deep": (side * rng.uniform(12, 32), rng.uniform(-18, 18), rng.uniform(-6, 14)),
            "lobe": on_the_vault(head, side, rng, (-0.7, 0.75), (0.2, 0.75), rng.uniform(0.5, 0.8)),
            "contusion": (side * rng.uniform(10, 36), rng.uniform(-68, -54), rng.uniform(-16, 12))
            if rng.random() < 0.55
            else (side * rng.uniform(42, 54), rng.uniform(-40, -10), rng.uniform(-34, -14)),
            "cerebellum": (side * rng.uniform(8, 30), rng.uniform(40, 60), rng.uniform(-48, -26)),
        }[form]
        size = size_between(3.5, 26) if form == "lobe" else size_between(3.5, 18)
        oedema = size * rng.uniform(0.0, 0.7)
    low, high = BLOOD_HU[kind] if subtle else PLAIN_HU
    if subtle and kind == "subdural" and rng.random() < ISODENSE:
        low, high = ISODENSE_HU
    return Bleed(
        kind,
        form,
        centre,
        side,
        size,
        thickness,
        hu=low + (high - low) * rng.random() ** (1 / ease),
        swirl_hu=rng.uniform(0, 7) if subtle else 2.0,
        sediment_hu=rng.uniform(4, 14) if subtle and rng.random() < 0.2 else 0.0,
        oedema_mm=oedema,
        rough=Waves.draw(rng, 9, 30),
    )


def on_the_vault(
    head: Head, side: int, rng: np.random.Generator, y: tuple, z: tuple, share: float = 1.0
) -> tuple[float, float, float]:
    """A place on the inner table, or at a `share` of the way to it from the middle of the head.

    y and z are ranges as shares of the vault's half-length and height.
    """
    uy, uz = rng.uniform(*y), rng.uniform(*z)
    ux = max(1 - uy**2 - uz**2, 0.02) ** 0.5
    x, y, z = side * ux * head.half_width * (1 + head.egg * uy), uy * head.half_length, uz * head.height
    return share * x, 2 + share * y, share * z


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
        elif bleed.thickness and bleed.form in ("lens", "crescent"):
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
    if bleed.form != "layer":
        within = np.maximum(within - 0.8, -bleed.side * f.bx - 2)
    return coverage(within, 1.2) * step_down(-level, 3 if bleed.form == "cast" else 0.5)


def blob(bleed: Bleed, f: Fields) -> Array:
    """Distance to an intraparenchymal bleed's ragged surface."""
    x, y, z = bleed.centre
    distance = np.sqrt((f.x - x) ** 2 + (f.y - y) ** 2 + (f.z - z) ** 2) - np.float32(bleed.size)
    return distance + np.float32(0.16 * bleed.size) * smooth(bleed.rough, f.x, f.y, f.z)


def _intraparenchymal(bleed: Bleed, f: Fields, brain: Brain) -> Array:
    if bleed.form != "contusion":
        return coverage(np.maximum(blob(bleed, f), f.cavity + 6), 1.5)
    # Many small bleeds in bruised brain, up to the surface.
    specks = smooth(bleed.rough, 2.5 * f.x, 2.5 * f.y, 2.5 * f.z)
    return coverage(np.maximum(blob(bleed, f), f.cavity + 2), 3.0) * np.clip(0.65 + 0.5 * specks, 0.1, 1)


SHARES = {
    "epidural": _epidural,
    "intraparenchymal": _intraparenchymal,
    "intraventricular": _intraventricular,
    "subarachnoid": _subarachnoid,
    "subdural": _subdural,
}
