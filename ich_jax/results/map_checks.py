"""What a map of where a network looks has to be held against, before anyone believes it: pure functions on one slice.

A map is (size, size), not negative; its mass is its sum. The marked part is the `percent` of the head's pixels where it
is highest. Each is compared with what needs no network: the brightest pixels, and boxes anywhere in the head.
"""

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

AIR_GREY = 20  # of the bone window: about −580 HU
DENSE_GREY = 255  # of the subdural window: 180 HU and more, bone and metal
BONE_EDGE = 2  # pixels around bone that are part bone


def head_of(image: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8 windows → (size, size) bool: the largest thing that is not air, its inside included, so
    without the headrest. Where there is nothing but air, the whole picture."""
    regions, count = ndimage.label(image[..., 2] > AIR_GREY)
    if not count:
        return np.ones(image.shape[:2], bool)
    return ndimage.binary_fill_holes(regions == np.bincount(regions.ravel())[1:].argmax() + 1)


def soft_tissue(image: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(3,) uint8: the median in the head of what is neither black nor white in the brain window, 0 to 80 HU."""
    grey = head & (image[..., 0] > 0) & (image[..., 0] < 255)
    return np.median(image[grey if grey.any() else head], axis=0).astype(np.uint8)


def cover_of(image: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8: the slice with all of it covered, the head by its soft tissue and the rest by air. Black
    everywhere would put a hole into the brain, which no head has."""
    return np.where(head[..., None], soft_tissue(image, head), 0).astype(np.uint8)


def brighter(image: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(size, size) float: how much brighter than the soft tissue a pixel is in the brain window; 0 outside the head,
    and in bone and at its edge, where pixels are part bone."""
    bone = ndimage.binary_dilation(image[..., 1] == DENSE_GREY, iterations=BONE_EDGE)
    above = image[..., 0].astype(float) - soft_tissue(image, head)[0]
    return np.where(head & ~bone, np.clip(above, 0, None), 0)


def highest(values: np.ndarray, among: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) bool: the `count` pixels of `among` where `values` is highest. Equals are taken in patches that are
    drawn, since a map of few squares has many."""
    patches = ndimage.gaussian_filter(rng.standard_normal(values.shape), len(values) / 24)
    order = np.lexsort((patches[among], values[among]))
    found = np.zeros(values.shape, bool)
    found.ravel()[np.flatnonzero(among)[order[len(order) - count :]]] = True
    return found


def marked(values: np.ndarray, head: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    """(size, size) bool: the `percent` of the head where a map is highest, at least one pixel."""
    return highest(values, head, max(1, round(head.sum() * percent / 100)), rng)


def elsewhere(values: np.ndarray, part: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(size, size) bool: as many pixels of the head as `part` has, none of them in it, where the same map would be
    highest had it been moved by a random way. So they lie as scattered, or as close together, as those of `part`."""
    moved = np.roll(values, rng.integers(0, len(values), 2), axis=(0, 1))
    free = head & ~part
    return highest(moved, free, min(int(part.sum()), int(free.sum())), rng)


def boxes(head: np.ndarray, percent: float, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` squares of about `percent` of the head's pixels, each (size, size) bool, their middles anywhere in it."""
    side = max(1, round((head.sum() * percent / 100) ** 0.5))
    middles, found = np.argwhere(head), []
    for row, column in middles[rng.integers(len(middles), size=count)]:
        top, left = max(0, row - side // 2), max(0, column - side // 2)
        found.append(np.zeros(head.shape, bool))
        found[-1][top : top + side, left : left + side] = True
    return found


def share(values: np.ndarray, part: np.ndarray) -> float:
    """Of a map's mass, how much lies on `part`; NaN for a map without any.

    >>> share(np.array([1.0, 3.0]), np.array([False, True]))
    0.75
    """
    total = values.sum(dtype=np.float64)
    return float(values[part].sum(dtype=np.float64) / total) if total > 0 else float("nan")


def rank_correlation(one: np.ndarray, other: np.ndarray, head: np.ndarray) -> float:
    """Spearman's, over the pixels of the head; NaN if either map has the same value everywhere."""
    ranks = np.array([rankdata(values[head]) for values in (one, other)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])
