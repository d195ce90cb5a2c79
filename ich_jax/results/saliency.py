"""Where a network looks, three ways: maps of one slice for one class, all of the same logit.

    gradient saliency   how much it changes with each pixel (Simonyan, Vedaldi and Zisserman 2014)
    Grad-CAM            where the last block found what speaks for it (Selvaraju et al. 2017)
    occlusion           how much it falls when a square is covered (Zeiler and Fergus 2014)

All are pure functions that can be jitted: (size, size, 3) uint8 → (size, size) float32, not negative. The network
computes in float32, in evaluation mode.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ich_jax.paper.steps import Tree, join_model, normalise

SQUARES = 8  # that fit side by side into a picture
AT_A_TIME = 13  # pictures that the network sees at once, a fifth of those with a square and that without


def gradient_saliency(
    structure: nnx.GraphDef, params: Tree, batch_stats: Tree, image: jax.Array, k: jax.typing.ArrayLike
) -> jax.Array:
    """How much logit `k` changes with a small change of each pixel, the largest over the three channels.

    Args:
        structure, params, batch_stats: the network; it computes in float32, in evaluation mode.
        image: (size, size, 3) uint8.
        k: a place in printed.CLASSES.

    Returns:
        (size, size) float32, not negative.
    """

    def logit(x: jax.Array) -> jax.Array:
        return join_model(structure, params, batch_stats, training=False)(x[None])[0, k]

    return jnp.abs(jax.grad(logit)(normalise(image))).max(axis=-1)


class Watched(nnx.Module):
    """A block whose output can be seen, and its gradient taken, under `nnx.capture`."""

    def __init__(self, block: nnx.Module):
        self.block = block

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.perturb("output", self.block(x))  # as it is, plus a perturbation of zero
        self.sow(nnx.Intermediate, "output", x)
        return x


def watch_last_block(model: nnx.Module) -> nnx.Module:
    """The network with its last block watched, the last of its one `nnx.List`; changed in place.

    Raises TypeError if it has no such list.
    """
    lists = [child for child in vars(model).values() if isinstance(child, nnx.List)]
    if len(lists) != 1:
        raise TypeError(f"{type(model).__name__} has {len(lists)} lists of blocks; Grad-CAM looks for the last of one")
    lists[0][-1] = Watched(lists[0][-1])
    return model


def last_block(
    structure: nnx.GraphDef, params: Tree, batch_stats: Tree, image: jax.Array, k: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """The last block's output, and the gradient of logit `k` with respect to it; both (h, w, C). Arguments as in
    `gradient_saliency`."""
    x = normalise(image)[None]

    def watched() -> nnx.Module:
        return watch_last_block(join_model(structure, params, batch_stats, training=False))

    _, zeros = nnx.capture(watched(), nnx.Perturbation)(x)

    def logit(perturbations: nnx.State) -> tuple[jax.Array, nnx.State]:
        logits, seen = nnx.capture(watched(), nnx.Intermediate, init=perturbations)(x)
        return logits[0, k], seen

    gradients, seen = jax.grad(logit, has_aux=True)(zeros)
    (gradient,), (output,) = jax.tree.leaves(gradients), jax.tree.leaves(seen)
    return output[0], gradient[0]


def grad_cam(
    structure: nnx.GraphDef, params: Tree, batch_stats: Tree, image: jax.Array, k: jax.typing.ArrayLike
) -> jax.Array:
    """Each channel of the last block counts as much as logit `k` rises with it on the average over places; what remains
    above 0 is stretched over the picture, bilinearly. Arguments and result as in `gradient_saliency`."""
    output, gradient = last_block(structure, params, batch_stats, image, k)
    found = nnx.relu(output @ gradient.mean(axis=(0, 1)))  # (h, w)
    return jax.image.resize(found, image.shape[:2], "bilinear")


def occlusion(
    structure: nnx.GraphDef,
    params: Tree,
    batch_stats: Tree,
    image: jax.Array,
    k: jax.typing.ArrayLike,
    covered: jax.Array,
) -> jax.Array:
    """How far logit `k` falls when the square that a pixel is in is covered; 0 where it rises.

    The squares are an eighth of the picture wide and cover it once. Arguments and result as in `gradient_saliency`, but
    for
        covered: (size, size, 3) uint8, what the slice looks like where it is covered.
    """
    size = image.shape[0]
    side = -(-size // SQUARES)
    number = jnp.arange(size) // side
    square = number[:, None] * SQUARES + number  # (size, size): which one a pixel is in
    model = join_model(structure, params, batch_stats, training=False)

    def logit(covered_square: jax.Array) -> jax.Array:
        part = (square == covered_square)[..., None]
        return model(normalise(jnp.where(part, covered, image))[None])[0, k]

    logits = jax.lax.map(logit, jnp.arange(-1, SQUARES**2), batch_size=AT_A_TIME)  # the first covers nothing
    return nnx.relu(logits[0] - logits[1:])[square]
