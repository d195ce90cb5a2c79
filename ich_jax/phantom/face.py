"""Below the skull: face, jaw and neck, with eyes, teeth, airways and the uppermost vertebrae.

Brain scans begin or end here. Muscle is as bright as blood, and nothing of it is.
"""

import numpy as np

from ich_jax.phantom.head import Fields
from ich_jax.phantom.shapes import FAR_MM, Array, capsule, coverage, ellipsoid, paint, smooth, union
from ich_jax.phantom.tissues import AIR, BRAINSTEM, CORTICAL_BONE, CSF, ENAMEL, EYE, EYE_LENS, FAT, MUSCLE


def face_outline(f: Fields) -> Array:
    """Distance to the skin of face and neck: (rows, columns) float32."""
    aside, y, z, front = np.abs(f.x), f.y, f.z, f.head.half_length  # −front: the forehead's inner table, in y
    return union(
        ellipsoid(aside, y, z, (0, 36 - front, -60), (58, 50, 42)),  # cheeks
        ellipsoid(aside, y, z, (0, 34 - front, -100), (52, 46, 42)),  # jaw
        capsule(aside, y, z, (0, 2 - front, -34), (0, -20 - front, -66), (6, 11)),  # nose
        capsule(aside, y, z, (0, 20, -72), (0, 26, -170), (54, 60)),  # neck
        capsule(aside, y, z, (f.head.half_width + 12, 14, -36), (f.head.half_width + 10, 18, -62), (5, 4)),  # ear
    )


def draw_face(hu: Array, f: Fields, outline: Array) -> None:
    """Paint what lies below the skull's floor and within `outline` over `hu`, in place."""
    _soft_tissue(hu, f, outline)
    _eyes(hu, f)
    _bones_with_air(hu, f)
    if f.z.min() < -55:
        _jaw_and_airways(hu, f)
        _spine(hu, f)


def _soft_tissue(hu: Array, f: Fields, outline: Array) -> None:
    plane = 0.04 + 0.012 * f.head.scalp_mm  # how wide the fat between muscles is
    between_muscles = np.abs(smooth(f.head.texture, 0.4 * f.x, 0.4 * f.y, 0.2 * f.z)) - np.float32(plane)
    within = np.maximum(-f.floor, outline + np.float32(0.6 * f.head.scalp_mm))
    paint(hu, within, MUSCLE + (FAT - MUSCLE) * coverage(between_muscles, 0.3))
    aside, front = np.abs(f.x), f.head.half_length
    cheekbone = capsule(aside, f.y, f.z, (64, 45 - front, -48), (48, 16 - front, -48), (2.5, 5))
    paint(hu, np.maximum(cheekbone, outline + 3), CORTICAL_BONE * 0.7)


def _eyes(hu: Array, f: Fields) -> None:
    aside, y, z, front = np.abs(f.x), f.y, f.z, f.head.half_length
    orbit = capsule(aside, y, z, (31, 18 - front, -38), (13, 50 - front, -37), (17, 5))
    wall = np.maximum(np.abs(orbit) - 1.2, 18 - front - y)
    paint(hu, np.maximum(orbit, -f.floor), FAT)
    paint(hu, np.maximum(wall, -f.floor), CORTICAL_BONE * 0.7)
    paint(hu, capsule(aside, y, z, (31, 22 - front, -38), (13, 48 - front, -37), (2, 2)), MUSCLE)  # optic nerve
    for start, end in (((44, 20 - front, -38), (17, 48 - front, -37)), ((18, 22 - front, -38), (11, 46 - front, -37))):
        paint(hu, capsule(aside, y, z, start, end, (1.8, 2.2)), MUSCLE)  # the straight muscles of the eye
    globe = ellipsoid(aside, y, z, (32, 13 - front, -38), (12.5, 12.5, 12.5))
    paint(hu, globe, MUSCLE + 5)
    paint(hu, globe + 1.2, EYE)
    paint(hu, ellipsoid(aside, y, z, (32, 4 - front, -38), (5, 2.2, 5)), EYE_LENS)


def _bones_with_air(hu: Array, f: Fields) -> None:
    aside, y, z, front = np.abs(f.x), f.y, f.z, f.head.half_length
    walls_of_cells = 0.9 - np.abs(smooth(f.head.cells, f.x, y, z)) * 3.2
    ethmoid = ellipsoid(aside, y, z, (0, 26 - front, -37), (12, 24, 15))
    sphenoid = ellipsoid(aside, y, z, (0, -26, -40), (15, 12, 10))
    maxillary = ellipsoid(aside, y, z, (28, 26 - front, -66), (15, 18, 16))
    nose = ellipsoid(aside, y, z, (0, 24 - front, -66), (12, 30, 18))
    for sinus, cells in (
        (ethmoid, walls_of_cells),
        (sphenoid, -FAR_MM),
        (maxillary, -FAR_MM),
        (nose, 2 * walls_of_cells - 1),  # the turbinates
    ):
        sinus = np.maximum(sinus, 2.5 - f.floor)
        paint(hu, sinus - 1.2, CORTICAL_BONE * 0.6)
        paint(hu, np.maximum(sinus, cells), AIR)


def _jaw_and_airways(hu: Array, f: Fields) -> None:
    aside, y, z, front = np.abs(f.x), f.y, f.z, f.head.half_length
    tongue = ellipsoid(aside, y, z, (0, 36 - front, -94), (21, 27, 14))
    paint(hu, tongue, MUSCLE)
    throat = union(
        ellipsoid(aside, y, z, (0, -22, -74), (13, 8, 17)), capsule(aside, y, z, (0, -19, -88), (0, -14, -140), (7, 9))
    )
    paint(hu, np.maximum(throat, 3 - f.floor), AIR)
    jaw = union(
        capsule(aside, y, z, (49, -14, -54), (45, -24, -92), (3.5, 5)),
        capsule(aside, y, z, (45, -24, -92), (10, -front + 4, -112), (5, 7)),
    )
    paint(hu, np.maximum(jaw, 2 - f.floor), CORTICAL_BONE * 0.8)
    along = np.arctan2(aside, 40 - front - y)  # teeth stand on an arch, 0 in front
    arch = 30 * np.abs(np.hypot(aside / 25, (y + front - 40) / 36) - 1)
    teeth = np.maximum(np.maximum(arch - 4, y - (48 - front)), np.abs(z + 88) - 9)
    paint(hu, teeth, CORTICAL_BONE * 0.5)
    paint(hu, np.maximum(teeth + 1, 2.2 - 4 * np.abs(np.sin(9 * along))), ENAMEL)


def _spine(hu: Array, f: Fields) -> None:
    aside, y, z = np.abs(f.x), f.y, f.z
    below = 2 - f.floor
    bones = union(
        ellipsoid(aside, y, z, (18, 3, -72), (6, 10, 6)),  # condyles of the occiput
        ellipsoid(aside, y, z, (20, 6, -84), (9, 9, 8)),  # atlas
        np.maximum(np.abs(np.hypot(aside, y - 14) - 18) - 3, np.abs(z + 85) - 6),
        capsule(aside, y, z, (0, -1, -78), (0, 0, -104), (5, 6)),  # axis, with its tooth
        ellipsoid(aside, y, z, (0, 2, -112), (24, 12, 10)),
    )
    paint(hu, np.maximum(bones, below), CORTICAL_BONE * 0.7)
    paint(hu, np.maximum(bones + 2, below), CORTICAL_BONE * 0.3)
    canal = capsule(aside, y, z, (0, 14, -66), (0, 18, -150), (11, 10))
    paint(hu, np.maximum(canal, below), CSF)
    paint(hu, np.maximum(capsule(aside, y, z, (0, 11, -66), (0, 17, -150), (6, 5)), below), BRAINSTEM)
