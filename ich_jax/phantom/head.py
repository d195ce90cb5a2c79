"""One patient's head: its measures, its place in the scanner, and the room within the skull.

One head is one set of functions of (x, y, z), so its slices change smoothly from vertex to base. Coordinates, in mm,
as a patient lies in the scanner (DICOM PS3.3 C.7.6.2.1.1): x to the patient's left (right in the picture), y to the
back (down), z to the crown; (0, 0, 0) is in the middle of the brain, at the height of the third ventricle. Sizes and
places are those of a mean adult, read off anatomical drawings; they are to look right, not to be measured. A larger or
smaller head is the same in other millimetres: `Head.size` of the scanner's are one of the head's.
"""

import dataclasses
from dataclasses import dataclass, replace

import numpy as np

from ich_jax.phantom.domains import DOMAINS, Domain
from ich_jax.phantom.shapes import EDGE_MM, FAR_MM, Array, Waves, smooth, step_down
from ich_jax.phantom.tissues import VEINS

SPARE_MM = 10.0  # beyond the scalp, for what may swell there
TURN_IN_MM = -45.0  # below this height the back of the skull turns in, towards the neck


@dataclass(frozen=True)
class Head:
    """What makes one patient's head. Lengths in mm of a mean head, angles in radians."""

    size: float  # 1 is a mean adult's
    half_width: float  # of the cranial cavity, at its widest
    half_length: float
    height: float  # from the third ventricle to the crown, inside
    egg: float  # how much narrower the forehead is than the back
    square: float  # how far its corners stand out; 0 is an ellipse
    skew: float  # how far one side of the head is ahead of the other
    skull_mm: float
    scalp_mm: float
    ventricles: float  # 1 is a middle-aged adult's
    atrophy: float  # 0 young … 1 old: wide sulci
    brain_hu: float  # added to all brain
    contrast: float  # of grey against white matter; 1 is the literature's
    vein_hu: float  # blood in the sinuses: the redder the blood the brighter
    rotation: float  # about z
    tilt: float  # about x, as chin and gantry tilt
    lean: float  # about y
    offset: tuple[float, float]  # of the head in the picture, in the scanner's mm
    scan_mm: tuple[float, float]  # highest and lowest place of the scan, in the scanner's mm
    sulci: Waves
    warp: tuple[Waves, Waves]
    texture: Waves
    cells: Waves  # of the bones with air in them

    @classmethod
    def draw(cls, rng: np.random.Generator, domain: Domain = DOMAINS["usual"]) -> "Head":
        atrophy = float(rng.beta(1.6, 1.4))
        size = rng.uniform(*domain.size)
        half_width, half_length, height = rng.uniform(62, 70), rng.uniform(77, 90), rng.uniform(68, 80)
        skull, scalp = rng.uniform(*domain.skull_mm), rng.uniform(*domain.scalp_mm)
        crown = height + skull + 0.5 * scalp
        return cls(
            size=size,
            half_width=half_width,
            half_length=half_length,
            height=height,
            egg=rng.uniform(0.02, 0.15),
            square=rng.uniform(-0.01, 0.025),
            skew=rng.normal(0, 0.025),
            skull_mm=skull,
            scalp_mm=scalp,
            ventricles=0.65 + 0.75 * atrophy + rng.uniform(-0.15, 0.35),
            atrophy=atrophy,
            brain_hu=rng.uniform(*domain.brain_hu),
            contrast=rng.uniform(*domain.contrast),
            vein_hu=rng.uniform(*VEINS),
            rotation=np.radians(rng.normal(0, domain.rotation_deg)),
            tilt=np.radians(rng.uniform(*domain.tilt_deg)),
            lean=np.radians(rng.normal(0, domain.lean_deg)),
            offset=(rng.normal(0, domain.offset_mm), rng.normal(5, 1.2 * domain.offset_mm)),
            scan_mm=(size * crown + rng.uniform(*domain.highest_mm), size * rng.uniform(*domain.lowest_mm)),
            sulci=Waves.draw(rng, 15, 27, 24),
            warp=(Waves.draw(rng, 45, 90, 8), Waves.draw(rng, 45, 90, 8)),
            texture=Waves.draw(rng, 6, 14, 24),
            cells=Waves.draw(rng, 5, 10, 16),
        )

    def z_of(self, height_mm: float, x: Array | float, y: Array | float) -> Array | float:
        """The head's z at (x, y) in the slice at `height_mm`, which is in the scanner's mm."""
        return height_mm / self.size + float(np.sin(self.tilt)) * y + float(np.sin(self.lean)) * x

    def extent_mm(self, height_mm: float) -> tuple[float, float, float]:
        """How far a slice reaches from the middle of the head to each side, to the front and to the back, or less.

        In the scanner's mm, as `height_mm`, its place, is.
        """
        wall = 1.4 * self.skull_mm + self.scalp_mm + SPARE_MM
        slant = abs(np.sin(self.tilt)) * (self.half_length + wall) + abs(np.sin(self.lean)) * (self.half_width + wall)
        lowest = height_mm / self.size - slant  # of the slice's points
        share = (1 - min(max(lowest, 0) / (self.height + wall), 1) ** 2) ** 0.5
        aside = share * ((1 + self.egg) * self.half_width + wall) + 8
        back = share * (self.half_length + wall) + 8
        front = back + (26 if lowest < 0 else 0)  # the nose
        cos, sin = abs(np.cos(self.rotation)), abs(np.sin(self.rotation)) + abs(self.skew)
        turned = cos * aside + sin * front, cos * front + sin * aside, cos * back + sin * aside
        return tuple(self.size * reach for reach in turned)


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
    texture: Array  # a random field of variance 1 that makes tissue uneven

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
        height_mm: the slice's z, in the scanner's mm too.
        slice_mm: its thickness.
    """
    u, v = ((places - shift) / head.size for places, shift in zip((u, v), head.offset, strict=True))
    u, v = u.astype(np.float32)[None, :], v.astype(np.float32)[:, None]
    cos, sin = np.float32(np.cos(head.rotation)), np.float32(np.sin(head.rotation))
    x, y = cos * u + sin * v, cos * v - sin * u
    z = head.z_of(height_mm, x, y)
    x = x + np.float32(head.skew) * y
    vault, edge = cranial_vault(head, x, y, z, slice_mm)
    floor = skull_base(x, y, z) if z.min() < 0 else np.full_like(z, -FAR_MM)
    push_x, push_y = (np.float32(1.4) * smooth(waves, x, y, z) for waves in head.warp)
    vault = vault + np.float32(0.6) * push_y  # no skull is as round as its formula
    texture = smooth(head.texture, x, y, z)
    return Fields(head, x, y, z, x + push_x, y + push_y, z, vault, floor, edge, texture)


def cranial_vault(head: Head, x: Array, y: Array, z: Array, slice_mm: float) -> tuple[Array, Array]:
    """Distance to the inside of the vault, and how wide its edge is smeared by the slice's thickness.

    Above z = 0 half an ellipsoid; below, its walls close in slowly, and at the back, under the occiput, soon.
    """
    y = y - np.float32(2)
    width = 1 + np.float32(head.egg) * y / np.float32(head.half_length)
    steep = np.where(z > 0, np.float32(1), np.float32(0.42)) + np.float32(1.3) * (z < TURN_IN_MM)
    z = np.where(z > 0, z, 0.42 * z) + 1.3 * np.minimum(z - TURN_IN_MM, 0)
    a, b, c = (np.float32(1 / axis**2) for axis in (head.half_width, head.half_length, head.height))
    x = x / width
    aside, ahead, slope_z = x * x * a, y * y * b, z * c * steep
    level = np.sqrt(aside + ahead + z * z * c)
    slope = np.sqrt(aside * a + ahead * b + slope_z * slope_z)
    slope = np.maximum(slope, np.float32(1e-4))
    edge = np.sqrt(EDGE_MM**2 + (slice_mm * 0.8 * slope_z / slope) ** 2)
    corner = 8 * aside * ahead / ((aside + ahead) ** 2 + np.float32(0.05)) - 1  # 1 between the axes, −1 on them
    return level * (level * (1 - np.float32(head.square) * corner) - 1) / slope, edge


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
