"""The drawing tools of the phantom: signed distances, partial volume and smooth random fields.

A structure is a function of (x, y, z) that is negative inside, positive outside and roughly the distance to its
surface in mm. `paint` lays a tissue over what was there; pixels on the edge are mixed in proportion (partial volume).
Points are float32 arrays of the shape (rows, columns), distances likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from PIL import Image

Array = np.ndarray

EDGE_MM = 0.6  # how wide an edge is smeared within the slice
COARSE = 4  # smooth random fields are worked out on every fourth pixel and interpolated
FAR_MM = np.float32(99)  # the distance to what is not near the slice, or not near a row of pixels
NEAR_MM = 16.0  # what is further away than this may count as far


def paint(hu: Array, distance_mm: Array, value: Array | float, edge_mm: Array | float = EDGE_MM) -> None:
    """Lay `value` over `hu`, in place, where `distance_mm` is negative; half of it on the surface itself."""
    blend(hu, coverage(distance_mm, edge_mm), value)


def coverage(distance_mm: Array, edge_mm: Array | float = EDGE_MM) -> Array:
    """The share of a pixel that lies inside: 1 deep inside, 0.5 on the surface, 0 outside.

    >>> coverage(np.array([-5.0, 0.0, 0.15, 5.0])).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """
    return np.clip(0.5 - distance_mm / edge_mm, 0, 1)


def blend(hu: Array, share: Array, value: Array | float) -> None:
    """Replace a `share` (0…1) of each pixel by `value`, in place."""
    hu += share * (value - hu)


def ellipsoid(x: Array, y: Array, z: Array, centre: Sequence[float], axes: Sequence[float]) -> Array:
    """Distance to an ellipsoid, to first order: exact on its surface, where it matters."""
    near = _near(y, z, [c - axis for c, axis in zip(centre, axes, strict=True)], np.add(centre, axes))
    if near is None:
        return FAR_MM
    dx, dy, dz = (points[near] - np.float32(place) for points, place in zip((x, y, z), centre, strict=True))
    a, b, c = (np.float32(1 / axis**2) for axis in axes)
    tiny = np.float32(1e-6)  # both roots are 0 in the centre, where the quotient is the shortest axis
    dx, dy, dz = dx * dx, dy * dy, dz * dz
    level = np.sqrt(dx * a + dy * b + dz * c + tiny)
    slope = np.sqrt(dx * (a * a) + dy * (b * b) + dz * (c * c) + tiny * max(a, b, c))
    return _elsewhere_far(y, near, level * (level - 1) / slope)


def capsule(
    x: Array, y: Array, z: Array, start: Sequence[float], end: Sequence[float], radii: tuple[float, float]
) -> Array:
    """Distance to a rod with round ends whose radius goes from radii[0] to radii[1]."""
    near = _near(y, z, np.minimum(start, end) - max(radii), np.maximum(start, end) + max(radii))
    if near is None:
        return FAR_MM
    ex, ey, ez = (np.float32(b - a) for a, b in zip(start, end, strict=True))
    dx, dy, dz = (points[near] - np.float32(place) for points, place in zip((x, y, z), start, strict=True))
    along = np.clip((dx * ex + dy * ey + dz * ez) / (ex * ex + ey * ey + ez * ez), 0, 1)
    dx, dy, dz = dx - along * ex, dy - along * ey, dz - along * ez
    distance = np.sqrt(dx * dx + dy * dy + dz * dz) - (radii[0] + along * np.float32(radii[1] - radii[0]))
    return _elsewhere_far(y, near, distance)


def _near(y: Array, z: Array, low: Sequence[float], high: Sequence[float]) -> slice | None:
    """The rows that come near a box, whose corners are (x, y, z): it spares the arithmetic on the others. None if the
    whole slice passes by.

    Along a row y is nearly linear, so its ends tell.
    """
    if z.min() > high[2] + NEAR_MM or z.max() < low[2] - NEAR_MM:
        return None
    ends = np.sort(y[:, (0, -1)], axis=1)
    rows = np.flatnonzero((ends[:, 0] < high[1] + NEAR_MM) & (ends[:, 1] > low[1] - NEAR_MM))
    return slice(rows[0], rows[-1] + 1) if len(rows) else None


def _elsewhere_far(y: Array, near: slice, distance: Array) -> Array:
    far = np.full(y.shape, FAR_MM)
    far[near] = distance
    return far


def union(*distances: Array) -> Array:
    """Distance to the nearest of several structures."""
    return reduce(np.minimum, distances)


def step_down(distance: Array, width: float) -> Array:
    """A logistic step of a given width: 1 far below zero, 0.5 at zero, 0 far above."""
    return 1 / (1 + np.exp(np.clip(distance / width, -30, 30)))


@dataclass(frozen=True)
class Waves:
    """A smooth random field of mean 0 and variance 1: a sum of plane waves with lengths between two bounds in mm."""

    vectors: Array  # (K, 3), 1/mm
    phases: Array  # (K,)

    @classmethod
    def draw(cls, rng: np.random.Generator, shortest_mm: float, longest_mm: float, count: int = 16) -> "Waves":
        directions = rng.standard_normal((count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(shortest_mm, longest_mm, (count, 1))
        vectors = 2 * np.pi * directions / lengths
        return cls(vectors.astype(np.float32), rng.uniform(0, 2 * np.pi, count).astype(np.float32))

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            total += np.cos(kx * x + ky * y + kz * z + phase)
        return total * np.float32(np.sqrt(2 / len(self.phases)))


def smooth(waves: Waves, *points: Array) -> Array:
    """A random field at the points, through a coarser grid."""
    rows, columns = points[0].shape
    return enlarge(waves(*map(coarse, points)), rows, columns)


def coarse(values: Array) -> Array:
    """Every COARSE-th point, the one in the middle of its square."""
    return values[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]


def enlarge(values: Array, rows: int, columns: int) -> Array:
    """Interpolate values at coarse points for all points."""
    return np.asarray(Image.fromarray(values).resize((columns, rows), Image.Resampling.BICUBIC))
