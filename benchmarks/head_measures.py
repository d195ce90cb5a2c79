"""What can be measured in one slice of a head CT without knowing what it shows: tissue, noise, edges, pose.

The brain is the largest piece of soft tissue within a closed ring of bone: pixels above 300 HU, gaps up to 4 mm
bridged, whose holes are filled; 3 mm next to the bone are left out. There is none above the vertex, in the neck, and
where the picture cuts the head off. `mm` is the side of a pixel. What cannot be measured in a slice is missing.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import binary_fill_holes, find_objects, gaussian_filter, label, map_coordinates, median
from scipy.ndimage import distance_transform_edt as distance

from ich_jax.paper.windowing import AIR_HU

BONE_HU, TISSUE_HU, BRAIN_HU = 300, -300, (-20, 100)
GAP_MM, THIN_MM, RIND_MM = 2, 3, 3  # half the gap in bone; half of what is too thin for a head; left out of the brain
SMALLEST_MM2 = 1000  # of a brain
RIM_MM, DEEP_MM = (2, 5), 15  # from the bone, for cupping; bone is smeared over the first 2 mm
PATCH, FLATTEST, FLAT_MM = 32, 0.25, 1.5  # pixels; share of the patches; smoothing
RAYS, FEWEST_RAYS, INSIDE_MM, OUTSIDE_MM, STEP_MM = 180, 30, 8, 45, 0.1
ROUND = 1.08  # a head whose length and width differ less has no direction
HU = np.arange(-20, 101, 2)
FREQUENCIES = np.arange(2, 21) / 20  # cycles/mm
PROFILE_MM = np.arange(-6, 12, STEP_MM)


def measure(hu: np.ndarray, mm: float) -> dict:
    """Everything about one slice: (side, side) HU, pixels of `mm`; without a head nothing."""
    head = find_head(hu, mm)
    if not head.any():
        return {}
    found = pose(head, mm)
    cavity, depth = find_cavity(hu, head, mm)
    brain = depth > RIND_MM
    if not brain.any():
        return found
    values = hu[brain]
    smooth = gaussian_filter(hu, FLAT_MM / mm)[depth > RIND_MM + FLAT_MM]
    found |= dict(zip(("brain_low", "brain_hu", "brain_high"), np.percentile(values, (10, 50, 90)), strict=True))
    found["spread"] = np.subtract(*np.percentile(smooth, (90, 10)))
    found |= {f"above_{level}": 100 * np.mean(values > level) for level in (50, 60)}
    found["histogram"] = np.histogram(values, [-np.inf, *HU, np.inf])[0] / values.size
    rim, deep = hu[(depth > RIM_MM[0]) & (depth <= RIM_MM[1])], hu[depth > DEEP_MM]
    if deep.size * mm * mm > SMALLEST_MM2 / 2:
        found["rim"] = np.median(rim) - np.median(deep)
    return found | noise(hu, brain, mm) | edges(hu, head, cavity, mm)


def find_head(hu: np.ndarray, mm: float) -> np.ndarray:
    """The largest piece of tissue once all that is thinner than a table's shell is taken away, holes filled."""
    core = distance(hu > TISSUE_HU) * mm > THIN_MM
    pieces, count = label(core)
    if not count:
        return core
    core = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return binary_fill_holes((distance(~core) * mm <= THIN_MM) & (hu > TISSUE_HU))


def find_cavity(hu: np.ndarray, head: np.ndarray, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The room that the brain fills, bool, and how deep in it each pixel lies, mm from the bone, 0 outside."""
    bone = (hu > BONE_HU) & head
    if not bone.any():
        return bone, np.zeros(hu.shape)
    bridged = distance(distance(~bone) * mm <= GAP_MM) * mm > GAP_MM
    pieces, count = label(binary_fill_holes(bridged | bone) & ~bridged & ~bone)
    numbers = np.arange(1, count + 1)
    soft = median(hu, pieces, numbers)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * mm * mm
    areas = np.where((soft > BRAIN_HU[0]) & (soft < BRAIN_HU[1]) & (areas > SMALLEST_MM2), areas, 0)
    cavity = pieces == 1 + areas.argmax() if areas.any() else np.zeros_like(bone)
    return cavity, np.where(cavity, distance(~bone) * mm, 0)


def pose(head: np.ndarray, mm: float) -> dict:
    """The head's bounding box, how far its centre is off the picture's, and its long axis, by second moments."""
    side = len(head)
    (rows, columns), (y, x) = find_objects(head.astype(int))[0], np.nonzero(head)
    found = {"width": (columns.stop - columns.start) / side, "length": (rows.stop - rows.start) / side}
    found["right"], found["down"] = ((s.start + s.stop - side) / 2 * mm for s in (columns, rows))
    (xx, xy), (_, yy) = np.cov(x, y)
    short, long = np.sqrt(np.linalg.eigvalsh([[xx, xy], [xy, yy]]))
    if long > ROUND * short:
        found["rotation"] = np.degrees(0.5 * np.arctan2(-2 * xy, yy - xx))
    return found


def noise(hu: np.ndarray, brain: np.ndarray, mm: float) -> dict:
    """Standard deviation, power spectrum (HU² mm²) and its mean frequency in the flattest patches of the brain.

    A patch loses its best paraboloid, and so the lowest frequencies; flat is what then varies least when smoothed.
    """
    patches, inside = (sliding_window_view(a, (PATCH, PATCH))[:: PATCH // 4, :: PATCH // 4] for a in (hu, brain))
    patches = patches[inside.all(axis=(2, 3))].astype(float)
    if not len(patches):
        return {}
    y, x = np.mgrid[-1 : 1 : PATCH * 1j, -1 : 1 : PATCH * 1j].reshape(2, -1)
    basis = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]
    flat = patches.reshape(len(patches), -1)
    rest = (flat - flat @ basis @ basis.T).reshape(patches.shape)
    uneven = gaussian_filter(rest, (0, FLAT_MM / mm, FLAT_MM / mm)).std(axis=(1, 2))
    rest = rest[uneven <= np.quantile(uneven, FLATTEST)]
    power = np.mean(np.abs(np.fft.fft2(rest)) ** 2, axis=0) * (mm / PATCH) ** 2
    wave = np.fft.fftfreq(PATCH, mm)
    radius = np.hypot(wave[:, None], wave)
    ring = np.rint(radius * PATCH * mm).astype(int)
    radial = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    known = np.arange(1, PATCH // 2 + 1)
    spectrum = np.interp(FREQUENCIES, known / (PATCH * mm), radial[known], right=np.nan)
    return {"noise": rest.std(), "frequency": (radius * power).sum() / power.sum(), "spectrum": spectrum}


def edges(hu: np.ndarray, head: np.ndarray, cavity: np.ndarray, mm: float) -> dict:
    """Along rays that leave the cavity at right angles: how sharp and how thick is what they cross. Medians of rays."""
    slope = np.array(np.gradient(gaussian_filter(cavity.astype(float), 2 / mm)))
    border = np.argwhere(cavity & (distance(cavity) <= 1))
    border = border[np.linspace(0, len(border) - 1, RAYS).astype(int)].T
    outward = -slope[:, border[0], border[1]]
    outward /= np.linalg.norm(outward, axis=0) + 1e-9
    way = np.arange(-INSIDE_MM, OUTSIDE_MM, STEP_MM)
    points = border[:, :, None] + outward[:, :, None] * way / mm  # (2, rays, steps), in pixels
    profiles = map_coordinates(hu, points, order=3, cval=AIR_HU)
    within = map_coordinates(head.astype(np.float32), points, order=1) > 0.5
    rays = [_ray(profile, inside) for profile, inside in zip(profiles, within, strict=True)]
    found = {name: [ray[name] for ray in rays if name in ray] for name in set().union(*rays)}
    return {name: np.median(some, axis=0) for name, some in found.items() if len(some) >= FEWEST_RAYS}


def _ray(profile: np.ndarray, inside: np.ndarray) -> dict:
    """One ray, from the brain to the air: see `edges`."""
    reach = round(6 / STEP_MM)
    inner = int(np.argmax(profile > BONE_HU))
    if inner < reach or inner + len(PROFILE_MM) > len(profile):
        return {}
    width, low, high = rise(profile, inner)
    if not (BRAIN_HU[0] < low < BRAIN_HU[1] and high > 1.5 * BONE_HU):
        return {}
    ray = {"inner_edge": width, "bone_hu": high, "profile": profile[inner - reach :][: len(PROFILE_MM)]}
    out = inner + int(np.argmin(inside[inner:]))  # the first point outside the head
    if inside[out] or out + 2 * reach > len(profile):
        return ray
    outer = inner + np.flatnonzero(profile[inner:out] > BONE_HU)[-1]
    ray |= {"skull": (outer - inner) * STEP_MM, "scalp": (out - outer) * STEP_MM}
    inwards = profile[out + 2 * reach - 1 :: -1]
    skin = int(np.argmax(inwards > TISSUE_HU))
    if skin < reach or out - outer < reach:  # tissue nearby, as a pillow; or bone, right under the skin
        return ray
    width, low, high = rise(inwards[: skin + reach // 2], skin)
    return ray | ({"skin_edge": width} if low < -900 and high > TISSUE_HU / 2 else {})


def rise(profile: np.ndarray, at: int) -> tuple[float, float, float]:
    """The distance in mm over which a profile rises from 10 to 90 %, the low and the high level.

    Low is the median 3 to 6 mm before `at`; high the first peak behind it, before the profile falls by a tenth.
    """
    low = float(np.median(profile[max(at - round(6 / STEP_MM), 0) : max(at - round(3 / STEP_MM), 1)]))
    peak = np.maximum.accumulate(profile[at:])
    fallen = np.flatnonzero(profile[at:] < low + 0.9 * (peak - low))
    high = float(peak[fallen[0]] if fallen.size else peak[-1])
    before = np.flatnonzero(profile[:at] <= low + 0.1 * (high - low))
    after = at + np.argmax(profile[at:] >= low + 0.9 * (high - low))
    return (after - (before[-1] if before.size else 0) - 1) * STEP_MM, low, high
