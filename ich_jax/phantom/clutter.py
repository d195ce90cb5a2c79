"""What else is in heads: as bright as blood and no hemorrhage, or in the way of seeing one.

Calcifications, old strokes, the worn white matter of the old, fluid under the skull, a swollen scalp, bone that was
opened, tubes and metal. It comes with and without a bleed alike, so none of it tells anything about one.
"""

from dataclasses import dataclass

import numpy as np

from ich_jax.phantom.brain import Brain, falx_distance
from ich_jax.phantom.head import Fields
from ich_jax.phantom.shapes import Array, Waves, blend, capsule, coverage, ellipsoid, paint, smooth
from ich_jax.phantom.tissues import CALCIFICATION, FAT, METAL, MUSCLE

# Shares of the patients.
SHARES = {
    # Seen on CT in adults: Daghighi et al., Acta Radiologica 2007 (pineal 71 %, plexus 66 %, falx and dura about 10 %,
    # pallidum a few %).
    "pineal": 0.7,
    "plexus": 0.6,
    "falx": 0.12,
    "pallidum": 0.06,
    "stroke": 0.15,  # silent infarcts: about one in five of the old, Vermeer et al., Lancet Neurology 2007
    # Chosen: common in emergency departments, and no survey was found.
    "white matter": 0.35,
    "fluid": 0.05,  # a hygroma: CSF between brain and dura
    "swelling": 0.25,
    "opened": 0.06,
    "tube": 0.05,
    "clip": 0.03,
    "filling": 0.4,  # in teeth
}
# Centre and radius in mm of calcifications, on both sides.
CALCIFIED = {"pineal": ((0, 20, -2), 2.6), "plexus": ((20, 35, 5), 2.0), "pallidum": ((20, -2, 2), 2.5)}


@dataclass(frozen=True)
class Stroke:
    """A scar in the brain, or brain that is dying: darker than the rest. Lengths in mm."""

    centre: tuple[float, float, float]
    radius: float
    hu: float
    rough: Waves


@dataclass(frozen=True)
class Clutter:
    """What one patient's head has. Directions are unit vectors from the middle of the head."""

    calcified: tuple[str, ...] = ()  # keys of CALCIFIED, or falx
    spot: float = 1.0  # how large calcifications are
    strokes: tuple[Stroke, ...] = ()
    white_matter: float = 0.0  # 0 sound … 1 as dark as can be
    fluid_mm: float = 0.0
    swelling: tuple[float, float] = (0.0, 0.0)  # mm, HU
    opened: tuple[float, bool] = (0.0, False)  # mm from the middle of the flap to its edge; whether the bone is back
    where: tuple[float, float, float] = (0.0, -1.0, 0.0)  # of the swelling, or of the flap
    tube_to: tuple[float, float, float] | None = None
    metal: tuple[tuple[float, float, float], ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, atrophy: float, factor: float = 1.0) -> "Clutter":
        """`factor` times as much as in SHARES; what comes with age comes by `atrophy`."""
        has = {name: rng.random() < factor * share for name, share in SHARES.items()}
        side = rng.choice((-1, 1))
        strokes = []
        if has["stroke"]:
            for _ in range(rng.integers(1, 4)):
                centre = (rng.choice((-1, 1)) * rng.uniform(15, 55), rng.uniform(-50, 55), rng.uniform(-20, 50))
                strokes.append(Stroke(centre, rng.uniform(3, 24), rng.uniform(9, 24), Waves.draw(rng, 12, 40)))
        azimuth, up = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.8)
        flat = np.sqrt(1 - up * up)
        teeth = [(float(s * rng.uniform(20, 27)), float(rng.uniform(-62, -40)), -88.0) for s in (-1, 1)]
        return cls(
            calcified=tuple(name for name in (*CALCIFIED, "falx") if has[name]),
            spot=rng.uniform(0.5, 1.5),
            strokes=tuple(strokes),
            white_matter=atrophy * rng.uniform(0.3, 1) if has["white matter"] else 0.0,
            fluid_mm=rng.uniform(2, 8) if has["fluid"] else 0.0,
            swelling=(rng.uniform(2, 9), rng.uniform(25, 65)) if has["swelling"] else (0.0, 0.0),
            opened=(rng.uniform(6, 45), rng.random() < 0.7) if has["opened"] else (0.0, False),
            where=(float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(up)),
            tube_to=(float(side * 9), -22.0, 10.0) if has["tube"] else None,
            metal=(*(((float(side * 8), -22.0, -16.0),) if has["clip"] else ()), *(teeth if has["filling"] else ())),
        )


NO_CLUTTER = Clutter()


def draw_in_brain(brain: Brain, f: Fields, clutter: Clutter) -> None:
    """Paint what lies within the skull over `brain.hu`, in place."""
    hu, aside = brain.hu, np.abs(f.bx)
    if clutter.white_matter:  # first around the ventricles
        hu -= 9 * clutter.white_matter * coverage(brain.ventricles - 4, 12) * coverage(-brain.ventricles, 1.2)
    for stroke in clutter.strokes:
        scar = ellipsoid(f.bx, f.by, f.bz, stroke.centre, (stroke.radius,) * 3)
        if np.ndim(scar):
            rough = 0.25 * stroke.radius * smooth(stroke.rough, f.x, f.y, f.z)
            blend(hu, 0.9 * coverage(scar + rough, 3.0) * (hu > stroke.hu), stroke.hu)
    if clutter.fluid_mm:
        layer = np.maximum(-f.vault - np.float32(clutter.fluid_mm), f.cavity) + 0.04 * (f.y + 40)
        paint(hu, layer, 10.0, 1.5)
    for name in clutter.calcified:
        if name == "falx":
            near = np.hypot(f.by + 50, f.bz - 38) - 16 * clutter.spot
            paint(hu, np.maximum(falx_distance(f), near), CALCIFICATION, 1.2)
            continue
        (x, y, z), radius = CALCIFIED[name]
        x += 3 * f.head.ventricles if name == "plexus" else 0  # it floats in the ventricle
        radius *= clutter.spot
        spot = ellipsoid(aside, f.by, f.bz, (x, y, z), (radius, 1.3 * radius, 1.6 * radius))
        paint(hu, spot + 0.8 * f.texture, CALCIFICATION, 1.5)
    if clutter.tube_to:
        x, y, z = clutter.tube_to
        paint(hu, capsule(f.bx, f.by, f.bz, (4 * x, 2.2 * y, 5 * z), clutter.tube_to, (1.5, 1.5)), 250.0)
    for centre in clutter.metal:
        paint(hu, ellipsoid(f.bx, f.by, f.bz, centre, (2.5, 2.5, 2.5)), METAL)


def draw_around(hu: Array, f: Fields, clutter: Clutter) -> None:
    """Paint what lies in skull and scalp over `hu`, in place."""
    head = f.head
    wide, opened = clutter.swelling[0], clutter.opened[0]
    if not wide and not opened:
        return
    ux, uy, uz = f.x / head.half_width, (f.y - 2) / head.half_length, f.z / head.height
    cosine = sum(u * np.float32(w) for u, w in zip((ux, uy, uz), clutter.where, strict=True))
    cosine /= np.sqrt(ux * ux + uy * uy + uz * uz) + np.float32(1e-3)
    away = np.float32(75) * np.arccos(np.clip(cosine, -1, 1))  # mm along the skull
    if wide:
        outer = np.float32(head.skull_mm)
        bump = np.float32(wide) * np.exp(-((away / (8 + 3 * np.float32(wide))) ** 2))
        swollen = f.vault - outer - np.float32(head.scalp_mm) - bump
        paint(hu, np.maximum(swollen, np.maximum(outer + 1.5 - f.vault, 0.5 - bump)), MUSCLE)
        swollen = np.maximum(swollen + 1.5, 1.5 - bump)
        paint(hu, np.maximum(swollen, outer + 1.5 - f.vault), clutter.swelling[1], 2.0)
    if opened:
        bone_is_back = clutter.opened[1]
        bone = np.maximum(
            np.abs(f.vault - np.float32(0.55 * head.skull_mm)) - np.float32(0.9 * head.skull_mm), -f.vault
        )
        gap = np.abs(away - np.float32(opened)) - 1.2 if bone_is_back else away - np.float32(opened)
        paint(hu, np.maximum(np.maximum(bone, gap), f.floor), 0.5 * (MUSCLE + FAT) if bone_is_back else MUSCLE - 10)
        if bone_is_back:  # plates hold it
            plate = np.maximum(np.abs(f.vault - np.float32(head.skull_mm + 1)) - 0.7, np.abs(away - opened) - 5)
            paint(hu, np.maximum(plate, np.abs(f.z - 24 * np.round(f.z / 24)) - 3), 0.6 * METAL)
