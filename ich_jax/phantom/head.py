"""One patient's head, all but the brain: its place in the scanner, skull, scalp and face.

One head is one set of functions of (x, y, z), so its slices change smoothly from vertex to base. Coordinates, in mm,
as a patient lies in the scanner (DICOM PS3.3 C.7.6.2.1.1): x to the patient's left (right in the picture), y to the
back (down), z to the crown; (0, 0, 0) is in the middle of the brain, at the height of the third ventricle. Sizes and
places are those of an adult, read off anatomical drawings; they are to look right, not to be measured.
"""

import dataclasses
from dataclasses import dataclass, replace

import numpy as np

from ich_jax.phantom.shapes import (
    EDGE_MM,
    FAR_MM,
    Array,
    Waves,
    capsule,
    coverage,
    ellipsoid,
    paint,
    smooth,
    step_down,
    union,
)
from ich_jax.phantom.tissues import AIR, CORTICAL_BONE, DIPLOE, EYE, EYE_LENS, FAT, MUSCLE

LOWEST_MM = -52.0  # where a scan ends: at the skull base


@dataclass(frozen=True)
class Head:
    """What makes one patient's head. Lengths in mm, angles in radians."""

    half_width: float  # of the cranial cavity, at its widest
    half_length: float
    height: float  # from the third ventricle to the crown, inside
    egg: float  # how much narrower the forehead is than the back
    skull_mm: float
    scalp_mm: float
    ventricles: float  # 1 is a middle-aged adult's
    atrophy: float  # 0 young … 1 old: wide sulci
    rotation: float  # about z
    tilt: float  # about x, as the gantry tilts
    lean: float  # about y
    offset: tuple[float, float]  # of the head in the picture
    calcified: tuple[str, ...]  # of: pineal, plexus, falx, pallidum
    sulci: Waves
    warp: tuple[Waves, Waves]
    texture: Waves
    cells: Waves  # of the bones with air in them

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Head":
        atrophy = float(rng.beta(1.3, 1.8))
        chances = {"pineal": 0.5, "plexus": 0.45, "falx": 0.12, "pallidum": 0.08}
        return cls(
            half_width=rng.uniform(63, 69),
            half_length=rng.uniform(80, 88),
            height=rng.uniform(70, 79),
            egg=rng.uniform(0.04, 0.13),
            skull_mm=rng.uniform(5, 8.5),
            scalp_mm=rng.uniform(3.5, 7),
            ventricles=0.65 + 0.75 * atrophy + rng.uniform(-0.15, 0.25),
            atrophy=atrophy,
            rotation=rng.normal(0, 0.04),
            tilt=rng.normal(0.02, 0.05),
            lean=rng.normal(0, 0.02),
            offset=(rng.normal(0, 2.5), rng.normal(-4, 4)),
            calcified=tuple(name for name, chance in chances.items() if rng.random() < chance),
            sulci=Waves.draw(rng, 15, 27, 24),
            warp=(Waves.draw(rng, 45, 90, 8), Waves.draw(rng, 45, 90, 8)),
            texture=Waves.draw(rng, 6, 14, 24),
            cells=Waves.draw(rng, 5, 10, 16),
        )

    @property
    def highest_mm(self) -> float:
        """Where a scan of this head begins: within the scalp."""
        return self.height + self.skull_mm + 0.5 * self.scalp_mm

    def extent_mm(self, height_mm: float) -> tuple[float, float, float]:
        """How far a slice reaches from the middle of the head to each side, to the front and to the back, or less."""
        wall = 1.4 * self.skull_mm + self.scalp_mm
        slant = abs(np.sin(self.tilt)) * self.half_length + abs(np.sin(self.lean)) * self.half_width
        lowest = height_mm - slant  # of the slice's points
        share = (1 - min(max(lowest, 0) / (self.height + wall), 1) ** 2) ** 0.5
        spare = 8 + abs(np.sin(self.rotation)) * self.half_length
        aside = share * ((1 + self.egg) * self.half_width + wall) + spare
        ahead = share * (self.half_length + wall) + spare
        return aside, ahead + (26 if lowest < 0 else 0), ahead  # the nose


@dataclass
class Fields:
    """The points of one slice and what is where, all (rows, columns) float32.

    x, y, z: the head's coordinates; bx, by, bz: those of the brain, which is uneven and can be pushed aside by a bleed.
    """

    head: Head
    x: Array
    y: Array
    z: Array
    bx: Array
    by: Array
    bz: Array
    vault: Array  # distance to the inside of the vault, without the skull base: negative inside
    floor: Array  # distance to the skull base: negative above it
    edge_mm: Array  # how wide the skull's edge is smeared: more where it is cut at a slant

    @property
    def cavity(self) -> Array:
        """Distance to the room within the skull: negative inside."""
        return np.maximum(self.vault, self.floor)

    def crop(self, keep: Array) -> tuple["Fields", tuple[slice, slice]]:
        """The smallest rectangle that holds every True of `keep` (rows, columns); and where it lies."""
        rows, columns = np.flatnonzero(keep.any(axis=1)), np.flatnonzero(keep.any(axis=0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        arrays = {f.name: getattr(self, f.name)[box] for f in dataclasses.fields(self) if f.name != "head"}
        return replace(self, **arrays), box


def fields(head: Head, u: Array, v: Array, height_mm: float, slice_mm: float) -> Fields:
    """Place the pixels of the slice at `height_mm` in the head's coordinates.

    Args:
        head: whose head.
        u, v: places of the columns (C,) and the rows (R,) in mm, from the scanner's centre to the right and down.
        height_mm: the slice's z.
        slice_mm: its thickness.
    """
    u, v = (u - head.offset[0]).astype(np.float32)[None, :], (v - head.offset[1]).astype(np.float32)[:, None]
    cos, sin = np.float32(np.cos(head.rotation)), np.float32(np.sin(head.rotation))
    x, y = cos * u + sin * v, cos * v - sin * u
    z = np.float32(height_mm) + np.float32(np.sin(head.tilt)) * y + np.float32(np.sin(head.lean)) * x
    floor = skull_base(x, y, z) if z.min() < 0 else np.full_like(z, -FAR_MM)
    vault, edge = cranial_vault(head, x, y, z, slice_mm)
    push_x = 1.4 * smooth(head.warp[0], x, y, z)
    push_y = 1.4 * smooth(head.warp[1], x, y, z)
    return Fields(head, x, y, z, x + push_x, y + push_y, z, vault, floor, edge)


def cranial_vault(head: Head, x: Array, y: Array, z: Array, slice_mm: float) -> tuple[Array, Array]:
    """Distance to the inside of the vault, and how wide its edge is smeared by the slice's thickness.

    Above z = 0 half an ellipsoid; below, its walls close in slowly.
    """
    y = y - np.float32(2)
    width = 1 + np.float32(head.egg) * y / np.float32(head.half_length)
    z = np.where(z > 0, z, 0.42 * z)
    a, b, c = (np.float32(1 / axis**2) for axis in (head.half_width, head.half_length, head.height))
    x = x / width
    level = np.sqrt(x * x * a + y * y * b + z * z * c)
    slope_z = z * c
    slope = np.sqrt(x * x * (a * a) + y * y * (b * b) + slope_z * slope_z)
    slope = np.maximum(slope, np.float32(1e-4))
    edge = np.sqrt(EDGE_MM**2 + (slice_mm * 0.6 * slope_z / slope) ** 2)
    return level * (level - 1) / slope, edge


def skull_base(x: Array, y: Array, z: Array) -> Array:
    """Distance above (negative) or below the floor of the skull: three steps, down from front to back.

    The anterior fossa ends at the sphenoid wings, the middle one at the petrous ridges, which stand up between it and
    the posterior fossa; in the midline the clivus slopes down behind the sella.
    """
    aside = np.abs(x)
    sphenoid = y + 24 + 0.45 * aside
    petrous = y + 8 - 0.5 * aside
    centre = np.exp(-((x / 13) ** 2))
    front = step_down(sphenoid, 1.5)
    back = step_down(-petrous, 2.5)
    middle = 1 - front - back
    ridge = np.exp(-((petrous / 5.5) ** 2)) * step_down(14 - aside, 3)
    bowl = np.minimum(9 * (((aside - 38) / 24) ** 2 + ((y + 16) / 22) ** 2), 14)
    height = -24 * front + (bowl - 54) * middle - 72 * back
    height += centre * middle * 10 + ridge * 26 + 4 * front * np.exp(-(((aside - 28) / 14) ** 2))
    clivus = centre * back * np.clip(30 - (y + 8) * 2.2, 0, 40)
    height += clivus + 1.5 * np.sin(0.16 * y + 0.8) * np.sin(0.19 * aside + 0.5)
    dy, dx = np.gradient(height, y[1, 0] - y[0, 0], x[0, 1] - x[0, 0])
    return (height - z) / np.sqrt(1 + dx * dx + dy * dy)


def draw_shell(f: Fields) -> Array:
    """All but the brain, in HU: air, scalp, face and skull, (rows, columns) float32."""
    hu = np.full(f.x.shape, AIR, np.float32)
    front = f.head.half_length  # −front is where the forehead's inner table stands, in y
    outline = union(
        f.vault - np.float32(f.head.skull_mm + f.head.scalp_mm),
        ellipsoid(np.abs(f.x), f.y, f.z, (0, 36 - front, -60), (58, 50, 42)),  # face
        capsule(np.abs(f.x), f.y, f.z, (0, 2 - front, -34), (0, -20 - front, -66), (6, 11)),  # nose
    )
    _scalp(hu, f, outline)
    if f.floor.max() > 0:
        _face(hu, f, outline)
    _skull(hu, f)
    return hu


def _scalp(hu: Array, f: Fields, outline: Array) -> None:
    head = f.head
    paint(hu, outline, MUSCLE, f.edge_mm)  # the skin
    paint(hu, outline + 1.8, FAT + 12 * smooth(head.texture, f.x, f.y, f.z), f.edge_mm)
    paint(hu, f.vault - np.float32(head.skull_mm + 1.2), MUSCLE - 15, f.edge_mm)  # galea and periosteum
    temporalis = ellipsoid(np.abs(f.x), f.y, f.z, (head.half_width + 4, -26, -22), (8, 24, 34))
    paint(hu, np.maximum(temporalis, outline + 2.5), MUSCLE)


def _face(hu: Array, f: Fields, outline: Array) -> None:
    """Below the skull's floor: fat with muscles in it, eyes, and the bones with air in them."""
    head, aside, front = f.head, np.abs(f.x), f.head.half_length
    between_muscles = np.abs(smooth(head.texture, 0.6 * f.x, 0.6 * f.y, 0.3 * f.z)) - 0.16
    paint(hu, np.maximum(-f.floor, outline + 3), MUSCLE + (FAT - MUSCLE) * coverage(between_muscles, 0.3))
    cheekbone = capsule(aside, f.y, f.z, (64, 45 - front, -48), (48, 16 - front, -48), (2.5, 5))
    paint(hu, np.maximum(cheekbone, outline + 3), CORTICAL_BONE * 0.7)
    orbit = capsule(aside, f.y, f.z, (31, 18 - front, -38), (13, 50 - front, -37), (17, 5))
    wall = np.maximum(np.abs(orbit) - 1.2, 18 - front - f.y)
    paint(hu, np.maximum(orbit, -f.floor), FAT)
    paint(hu, np.maximum(wall, -f.floor), CORTICAL_BONE * 0.7)
    paint(hu, capsule(aside, f.y, f.z, (31, 22 - front, -38), (13, 48 - front, -37), (2, 2)), MUSCLE)  # optic nerve
    for start, end in (((44, 20 - front, -38), (17, 48 - front, -37)), ((18, 22 - front, -38), (11, 46 - front, -37))):
        paint(hu, capsule(aside, f.y, f.z, start, end, (1.8, 2.2)), MUSCLE)  # the straight muscles of the eye
    globe = ellipsoid(aside, f.y, f.z, (32, 13 - front, -38), (12.5, 12.5, 12.5))
    paint(hu, globe, MUSCLE + 5)
    paint(hu, globe + 1.2, EYE)
    paint(hu, ellipsoid(aside, f.y, f.z, (32, 4 - front, -38), (5, 2.2, 5)), EYE_LENS)
    walls_of_cells = 0.9 - np.abs(smooth(head.cells, f.x, f.y, f.z)) * 3.2
    ethmoid = ellipsoid(aside, f.y, f.z, (0, 26 - front, -37), (12, 24, 15))
    sphenoid = ellipsoid(aside, f.y, f.z, (0, -26, -40), (15, 12, 10))
    maxillary = ellipsoid(aside, f.y, f.z, (28, 26 - front, -66), (15, 18, 16))
    for sinus, cells in ((ethmoid, walls_of_cells), (sphenoid, -FAR_MM), (maxillary, -FAR_MM)):
        sinus = np.maximum(sinus, 2.5 - f.floor)
        paint(hu, sinus - 1.2, CORTICAL_BONE * 0.6)
        paint(hu, np.maximum(sinus, cells), AIR)


def _skull(hu: Array, f: Fields) -> None:
    """Two tables of compact bone with the spongy diploë between; at the base also pyramids and mastoid cells."""
    head, aside = f.head, np.abs(f.x)
    angle = np.arctan2(f.y, aside)
    uneven = 0.18 * np.cos(4 * angle) - 0.22 * np.exp(-(((angle + 0.2) / 0.45) ** 2))
    thickness = np.float32(head.skull_mm) * (1 + uneven * step_down(f.z - 40, 8))
    paint(hu, np.maximum(f.vault - thickness, f.floor - 3), CORTICAL_BONE, f.edge_mm)
    table = 0.27 * thickness
    diploe = np.abs(f.vault - 0.5 * thickness) - (0.5 * thickness - table)
    speckle = DIPLOE + 130 * smooth(head.cells, f.x, f.y, f.z)
    paint(hu, np.maximum(diploe, f.floor + 2), speckle, f.edge_mm + 0.4)
    if f.floor.max() > 0:
        mastoid = ellipsoid(aside, f.y, f.z, (head.half_width - 6, 24, -44), (11, 17, 17))
        paint(hu, np.maximum(mastoid, 1.2 - f.cavity), CORTICAL_BONE * 0.75)
        cells = 1.0 - np.abs(smooth(head.cells, f.x, f.y, f.z)) * 3
        paint(hu, np.maximum(np.maximum(mastoid + 2, cells), 2.5 - f.cavity), AIR)
        pyramid = np.maximum(ellipsoid(aside, f.y, f.z, (30, 9, -46), (30, 11, 12)), -f.cavity)
        paint(hu, pyramid, CORTICAL_BONE * 0.95)
    frontal_sinus = ellipsoid(aside, f.y, f.z, (7, -head.half_length - 1, -20), (12, 3.2, 9))
    paint(hu, np.maximum(frontal_sinus, 1.2 - f.cavity), AIR)
