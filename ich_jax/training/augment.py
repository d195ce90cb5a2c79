"""Training slices as another head, scanner or export would have given them (`--augment`; the paper has none).

The functions of one image take its grey values, float32 in 0…255, (size, size, 3), and numbers drawn for it alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.scipy.ndimage import map_coordinates

from ich_jax.paper.windowing import BRAIN, SUBDURAL, hu_to_rgb, window_limits

# Between which two values each is drawn, uniformly. Another head, and how it lies:
TURN_DEGREES = (-15, 15)
LOG_SCALE = (np.log(0.9), np.log(1.15))
LOG_ASPECT = (-np.log(1.04), np.log(1.04))  # of height to width
SHEAR = (-0.03, 0.03)
SHIFT = (-0.06, 0.06)  # of the image's side
FLIPPED = 0.5  # how often; a patient has two sides
# Another scanner:
BLUR = (-0.2, 0.5)  # share of a 3×3 mean; below 0 it sharpens
GAIN = (0.92, 1.08)  # of Hounsfield units (HU), about the brain window's level
OFFSET_HU = (-3, 3)
SHADING_HU = (-1, 1)  # at the edge: downwards, to the right, and round about, as from beam hardening
NOISE_HU = (0, 1.5)  # standard deviation
BRAIN_ONLY = 0.25  # another export: how often no more than the brain window was kept


def augment(key: jax.Array, images: jax.Array) -> jax.Array:
    """uint8 images (B, size, size, 3) → the same, each changed by draws of its own. Never for evaluation."""
    return jax.vmap(_augment_one)(jax.random.split(key, len(images)), images)


def _augment_one(key: jax.Array, image: jax.Array) -> jax.Array:
    size, keys = len(image), iter(jax.random.split(key, 13))

    def draw(bounds: tuple[float, float], *shape: int) -> jax.Array:
        return jax.random.uniform(next(keys), shape, minval=bounds[0], maxval=bounds[1])

    aspect, flip = jnp.exp(draw(LOG_ASPECT) / 2), jnp.where(jax.random.bernoulli(next(keys), FLIPPED), -1, 1)
    zoom = jnp.exp(draw(LOG_SCALE)) * jnp.stack([aspect, flip / aspect])
    grey = pose(image.astype(jnp.float32), jnp.deg2rad(draw(TURN_DEGREES)), zoom, draw(SHEAR), size * draw(SHIFT, 2))
    noise = draw(NOISE_HU) * jax.random.normal(next(keys), (size, size))
    grey = scan(blur(grey, draw(BLUR)), draw(GAIN), draw(OFFSET_HU), draw(SHADING_HU, 3), noise)
    return jnp.round(jnp.where(jax.random.bernoulli(next(keys), BRAIN_ONLY), export(grey), grey)).astype(jnp.uint8)


def pose(grey: jax.Array, turn: jax.Array, zoom: jax.Array, shear: jax.Array, shift: jax.Array) -> jax.Array:
    """Another head: larger by `zoom` (2,), below 0 mirrored, and sheared; turned counterclockwise by `turn` radians;
    moved by `shift` (2,) pixels. All is down, then right, about the centre. Bilinear; beyond the edge is air, 0."""
    centre = (len(grey) - 1) / 2
    down, right = jnp.mgrid[: len(grey), : len(grey)] - centre - shift[:, None, None]
    down, right = jnp.cos(turn) * down + jnp.sin(turn) * right, jnp.cos(turn) * right - jnp.sin(turn) * down
    source = (down + shear * right) / zoom[0] + centre, right / zoom[1] + centre
    return jax.vmap(lambda channel: map_coordinates(channel, source, order=1), in_axes=2, out_axes=2)(grey)


def blur(grey: jax.Array, share: jax.Array) -> jax.Array:
    """Another reconstruction kernel: `share` of each pixel is its neighbours' binomial 3×3 mean, two 2×2 means."""
    mean = nnx.avg_pool(nnx.avg_pool(grey, (2, 2), padding=[(1, 1)] * 2), (2, 2))  # by slices, `grey` is computed 9 ×
    return jnp.clip(grey + share * (mean - grey), 0, 255)


def scan(grey: jax.Array, gain: jax.Array, offset: jax.Array, shading: jax.Array, noise: jax.Array) -> jax.Array:
    """Another scanner: HU times `gain` about the brain window's level, plus `offset`, `shading` (3,) and `noise`
    (size, size). Bone stays, and so does what is black or white in its window: its HU are not known."""
    down, right = jnp.meshgrid(*2 * [jnp.linspace(-1, 1, len(grey))], indexing="ij")
    added = offset + jnp.tensordot(shading, jnp.stack([down, right, down**2 + right**2 - 2 / 3]), 1) + noise
    for channel, window in enumerate((BRAIN, SUBDURAL)):
        (black, _), was = window_limits(*window), grey[..., channel]
        hu = BRAIN.level_hu + gain * (black + was * window.width_hu / 255 - BRAIN.level_hu) + added
        now = jnp.clip((hu - black) * 255 / window.width_hu, 0, 255)
        grey = grey.at[..., channel].set(jnp.where((was > 0.5) & (was < 254.5), now, was))
    return grey


def export(grey: jax.Array) -> jax.Array:
    """Another export: an 8-bit picture in the brain window is all that is left, and its HU are windowed again."""
    return hu_to_rgb(window_limits(*BRAIN)[0] + jnp.round(grey[..., 0]) * BRAIN.width_hu / 255)
