"""Around the brain: skull and scalp, and below them the face."""

import numpy as np

from ich_jax.phantom.face import draw_face, face_outline
from ich_jax.phantom.head import Fields
from ich_jax.phantom.shapes import Array, ellipsoid, paint, smooth, step_down, union
from ich_jax.phantom.tissues import AIR, CORTICAL_BONE, DIPLOE, FAT, MUSCLE


def draw_shell(f: Fields) -> Array:
    """All but the brain, in HU: air, scalp, face, neck and skull, (rows, columns) float32."""
    hu = np.full(f.x.shape, AIR, np.float32)
    outline = union(f.vault - np.float32(f.head.skull_mm + f.head.scalp_mm), face_outline(f))
    _scalp(hu, f, outline)
    if f.floor.max() > 0:
        draw_face(hu, f, outline)
    _skull(hu, f)
    return hu


def _scalp(hu: Array, f: Fields, outline: Array) -> None:
    head = f.head
    paint(hu, outline, MUSCLE, f.edge_mm)  # the skin
    paint(hu, outline + 1.8, FAT + 12 * f.texture, f.edge_mm)
    paint(hu, f.vault - np.float32(head.skull_mm + 1.2), MUSCLE - 15, f.edge_mm)  # galea and periosteum
    temporalis = ellipsoid(np.abs(f.x), f.y, f.z, (head.half_width + 4, -26, -22), (8, 24, 34))
    paint(hu, np.maximum(temporalis, outline + 2.5), MUSCLE)


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
