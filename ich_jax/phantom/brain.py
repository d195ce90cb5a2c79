"""The healthy brain: cortex with its sulci, deep nuclei, ventricles, cisterns, and the dura with its veins.

Everything is placed in the brain's own coordinates, `Fields.bx`, `by`, `bz`, which a bleed pushes aside.
"""

from typing import NamedTuple

import numpy as np

from ich_jax.phantom.head import Fields
from ich_jax.phantom.shapes import (
    Array,
    blend,
    capsule,
    coarse,
    coverage,
    ellipsoid,
    enlarge,
    paint,
    union,
)
from ich_jax.phantom.tissues import (
    BRAINSTEM,
    CEREBELLUM,
    CSF,
    DURA,
    GREY,
    TENTORIUM,
    WHITE,
)


class Brain(NamedTuple):
    """What `draw_brain` returns, all (rows, columns) float32: HU, and where blood may gather."""

    hu: Array
    ventricles: Array  # distance to them, negative inside
    subarachnoid: Array  # share of CSF outside the brain, 0…1


def draw_brain(f: Fields, widen_sulci: Array | float = 0.0) -> Brain:
    """The inside of the skull, in HU; what lies outside `f.cavity` means nothing.

    Args:
        f: the points.
        widen_sulci: mm, where blood stretches them.
    """
    texture = f.texture
    tentorium, behind = tentorium_distances(f)
    below_tentorium = np.maximum(tentorium, behind)  # negative: cerebellum
    sulci, cortex, gap = _folds(f, texture, widen_sulci)

    more = np.float32(f.head.contrast * (GREY - WHITE))
    matter = WHITE + more * np.maximum(cortex, coverage(_deep_nuclei(f), 2.0)) + 0.8 * texture
    folia = np.sin(np.hypot(f.bx, f.by - 8) * 1.1 + 1.6 * texture)
    blend(matter, coverage(below_tentorium, 2), CEREBELLUM + 0.9 * folia + 0.8 * texture)

    stem = _stem(f)
    cerebrum = np.clip(coverage(-below_tentorium, 2), 0.12, 1)  # the cerebellum's sulci hardly show
    fissure = np.maximum(_longitudinal_fissure(f), -below_tentorium)
    subarachnoid = np.maximum(sulci * cerebrum, coverage(-f.cavity - gap, 1.0))
    subarachnoid = np.maximum(subarachnoid, np.maximum(coverage(fissure, 1.0), coverage(_cisterns(f), 1.2)))
    subarachnoid *= coverage(-stem, 1.5)

    hu = np.full(f.x.shape, CSF, np.float32)
    blend(hu, 1 - subarachnoid, matter + np.float32(f.head.brain_hu))
    paint(hu, stem, BRAINSTEM + np.float32(f.head.brain_hu) + 0.6 * texture, 1.5)
    in_ventricles = np.broadcast_to(ventricles(f), f.x.shape)
    paint(hu, in_ventricles, CSF, 1.2)
    _dura_and_vessels(hu, f, tentorium, behind)
    return Brain(hu, in_ventricles, subarachnoid)


def _folds(f: Fields, texture: Array, widen: Array | float) -> tuple[Array, Array, Array]:
    """Shares of CSF in sulci and of grey matter in the cortex, 0…1; and the gap between brain and skull in mm.

    The cortex is folded along the zeros of a random field that hardly changes with depth, so sulci run inwards.
    """
    head, depth = f.head, -f.cavity
    x, y, z = map(coarse, (f.bx, f.by, f.bz))
    radius = np.sqrt((x / 0.8) ** 2 + y**2 + (z / 0.9) ** 2) + 1
    scale = 0.35 + 0.65 * 80 / radius
    folds = enlarge(head.sulci(x * scale, y * scale, z * scale), *f.x.shape)
    to_sulcus = np.abs(folds) * (4.2 * np.clip(1.25 * (80 - depth) / 80, 0.4, 1))
    reach = 15 + 6 * head.atrophy + 4 * texture  # how deep the sulci go
    gap = 0.5 + 2.2 * head.atrophy**1.5 + 0.4 * texture
    half_width = (0.1 + 1.15 * head.atrophy + widen) * np.clip(1.25 - depth / reach, -2, 1)
    sulci = coverage(to_sulcus - half_width, 1.3) * np.clip(1.5 - depth / reach, 0, 1)
    sulci *= np.clip(0.3 + 0.8 * head.atrophy + 0.6 * widen, 0, 1)  # narrow ones fill a slice's thickness in part
    # A ribbon of grey along the surface and the sulci.
    cortex = np.maximum(coverage(depth - gap - 3.8, 2.5), coverage(to_sulcus - half_width - 3.0, 2.5))
    return sulci, cortex * np.clip((reach + 7 - depth) / 5, 0, 1), gap


def _deep_nuclei(f: Fields) -> Array:
    aside, y, z = np.abs(f.bx), f.by, f.bz
    return union(
        ellipsoid(aside, y, z, (11, 9, 4), (8.5, 14, 10)),  # thalamus
        ellipsoid(aside, y, z, (8 + 5 * f.head.ventricles, -24, 8), (5, 9, 10)),  # head of the caudate
        ellipsoid(aside - 0.18 * (y + 4), y, z, (23, -4, 2), (7, 17, 10)),  # lentiform
        capsule(aside, y, z, (37, -20, 2), (39, 12, 4), (4, 4)),  # insula
    )


def _stem(f: Fields) -> Array:
    aside, y, z = np.abs(f.bx), f.by, f.bz
    return union(
        ellipsoid(aside, y, z, (0, 4, -14), (15, 12, 14)),  # midbrain
        ellipsoid(aside, y, z, (0, 3, -34), (17, 14, 14)),  # pons
        capsule(aside, y, z, (0, 8, -44), (0, 12, -75), (11, 8)),  # medulla
    )


def _longitudinal_fissure(f: Fields) -> Array:
    aside = np.abs(f.bx)
    corpus_callosum = ellipsoid(aside, f.by, f.bz, (0, -2, 2), (40, 52, 28))
    return np.maximum(aside - (0.1 + 1.3 * f.head.atrophy), -corpus_callosum)


def _cisterns(f: Fields) -> Array:
    """Distance to the wide places between brain and skull."""
    aside, y, z = np.abs(f.bx), f.by, f.bz
    s = 0.55 + 0.75 * f.head.atrophy
    return union(
        capsule(aside, y, 0.6 * z, (66, -16, -2), (41, -12, 1), (1.6 * s, 1.4 * s)),  # Sylvian fissure, its stem
        capsule(aside, y, 0.5 * z, (41, -22, 0), (42, 12, 3), (1.2 * s, 0.8 * s)),  # along the insula
        capsule(aside, y, 0.8 * z, (0, -20, -19), (13, -24, -20), (4.5 * s, 2.2 * s)),  # suprasellar
        capsule(aside, y, 0.8 * z, (0, -20, -19), (0, -34, -18), (4.5 * s, 1.5 * s)),
        capsule(aside, y, 0.8 * z, (8, -14, -18), (17, 2, -15), (2.5 * s, 1.8 * s)),  # round the midbrain
        capsule(aside, y, 0.8 * z, (17, 2, -15), (13, 19, -12), (1.8 * s, 2.4 * s)),
        capsule(aside, y, 0.8 * z, (13, 19, -10), (0, 23, -9), (2.2 * s, 3.0 * s)),  # quadrigeminal
        np.maximum(ellipsoid(aside, y, z, (0, -4, -40), (22, 17, 22)), y + 2),  # in front of the pons
    )


def ventricles(f: Fields) -> Array:
    """Distance to the ventricles: two lateral ones with their horns, the third and the fourth."""
    aside, y, z, size = np.abs(f.bx), f.by, f.bz, f.head.ventricles
    return union(
        capsule(aside, y, z, (4 + size, -20, 10), (7 + 4 * size, -38, 6), (3.4 * size, 2.4 * size)),  # frontal horn
        capsule(aside, y, z, (4 + size, -20, 12), (9 + 3 * size, 8, 22), (3.4 * size, 3.8 * size)),  # body
        capsule(aside, y, z, (9 + 3 * size, 8, 22), (20 + 3 * size, 36, 6), (3.8 * size, 4.6 * size)),  # atrium
        capsule(
            aside, y, z, (20 + 3 * size, 36, 6), (19 + 2 * size, 40 + 12 * size, 3), (4.4 * size, 1.8 * size)
        ),  # occipital horn
        capsule(aside, y, z, (22 + 3 * size, 34, 2), (31, 4, -19), (2.2 * size, 1.2 * size)),  # temporal horn
        ellipsoid(aside, y, z, (0, 1, -1), (1.2 + 1.3 * size, 14, 9)),  # third
        ellipsoid(aside, y, z, (0, 29, -37), (6.5 * size**0.5, 4.5 * size**0.5, 11)),  # fourth
    )


def tentorium_distances(f: Fields) -> tuple[Array, Array]:
    """Height above the tentorium, a tent over the cerebellum; distance in front of its free edge (negative behind)."""
    aside, y, z = np.abs(f.bx), f.by, f.bz
    return (z - (9 - 0.62 * aside - 0.42 * np.maximum(y - 32, 0))) / np.float32(1.2), 10 + 0.35 * aside - y


def falx_distance(f: Fields) -> Array:
    """Distance to the falx, the sheet of dura between the halves of the brain, as far down as it goes."""
    tentorium, behind = tentorium_distances(f)
    free_edge = ellipsoid(f.bx, f.by, f.bz, (0, -8, -2), (60, 66, 44))
    return np.maximum(np.maximum(np.abs(f.bx) - 0.8, -free_edge), -np.maximum(tentorium, behind))


def _dura_and_vessels(hu: Array, f: Fields, tentorium: Array, behind: Array) -> None:
    aside, y, z, depth = np.abs(f.bx), f.by, f.bz, -f.cavity
    paint(hu, falx_distance(f), DURA, 1.0)
    paint(hu, np.maximum(np.maximum(np.abs(tentorium) - 0.7, behind), aside - 55), TENTORIUM, 1.2)
    sagittal_sinus = np.maximum(aside - 0.8 * np.maximum(6 - depth, 0), -np.maximum(tentorium, behind)) + 0.2
    paint(hu, np.maximum(sagittal_sinus, -5 - z), f.head.vein_hu)
    straight_sinus = capsule(aside, y, z, (0, 34, 4), (0, f.head.half_length - 4, -12), (1.3, 2.0))
    paint(hu, straight_sinus, f.head.vein_hu)
    transverse_sinus = np.maximum(np.maximum(depth - 5, np.abs(tentorium) - 3), 25 - y)
    paint(hu, transverse_sinus, f.head.vein_hu, 1.5)
    arteries = union(
        capsule(aside, y, z, (0, -9, -44), (0, -17, -21), (1.9, 1.7)),  # basilar
        capsule(aside, y, z, (5, -22, -20), (38, -18, -8), (1.7, 1.2)),  # middle cerebral
        capsule(aside, y, z, (2, -28, -17), (1, -48, 4), (1.2, 1.1)),  # anterior cerebral
    )
    paint(hu, np.maximum(arteries, f.cavity), f.head.vein_hu - 5)
