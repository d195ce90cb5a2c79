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
FAR_MM = np.float32(99)  # the distance to what is not near the slice


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
    if _misses(z, centre[2] - axes[2], centre[2] + axes[2]):
        return FAR_MM
    dx, dy, dz = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
    a, b, c = (np.float32(1 / axis**2) for axis in axes)
    tiny = np.float32(1e-6)  # both roots are 0 in the centre, where the quotient is the shortest axis
    level = np.sqrt(dx * dx * a + dy * dy * b + dz * dz * c + tiny)
    slope = np.sqrt(dx * dx * (a * a) + dy * dy * (b * b) + dz * dz * (c * c) + tiny * max(a, b, c))
    return level * (level - 1) / slope


def capsule(
    x: Array, y: Array, z: Array, start: Sequence[float], end: Sequence[float], radii: tuple[float, float]
) -> Array:
    """Distance to a rod with round ends whose radius goes from radii[0] to radii[1]."""
    if _misses(z, min(start[2], end[2]) - max(radii), max(start[2], end[2]) + max(radii)):
        return FAR_MM
    sx, sy, sz = (np.float32(v) for v in start)
    ex, ey, ez = (np.float32(b - a) for a, b in zip(start, end, strict=True))
    dx, dy, dz = x - sx, y - sy, z - sz
    along = np.clip((dx * ex + dy * ey + dz * ez) / (ex * ex + ey * ey + ez * ez), 0, 1)
    dx, dy, dz = dx - along * ex, dy - along * ey, dz - along * ez
    return np.sqrt(dx * dx + dy * dy + dz * dz) - (radii[0] + along * np.float32(radii[1] - radii[0]))


def union(*distances: Array) -> Array:
    """Distance to the nearest of several structures."""
    return reduce(np.minimum, distances)


def _misses(z: Array, low: float, high: float) -> bool:
    """Whether the slice passes by at more than 6 mm, which spares the arithmetic."""
    return z.min() > high + 6 or z.max() < low - 6


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
