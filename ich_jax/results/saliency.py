"""Where a network is sensitive: gradient saliency (Simonyan, Vedaldi and Zisserman 2014)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ich_jax.paper.steps import Tree, join_model, normalise


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
