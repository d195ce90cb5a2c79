import jax
import numpy as np
from flax import nnx

from ich_jax.results.saliency import gradient_saliency


class Weighted(nnx.Module):
    """Logit k is the sum of the image times a map of weights of its own."""

    def __init__(self, weights: np.ndarray):
        self.weights = nnx.Param(weights)  # (size, size, 3, 6)

    def __call__(self, x, *, rngs=None):
        return (x[..., None] * self.weights[...]).sum(axis=(1, 2, 3))


def test_it_is_the_largest_weight_of_a_linear_network():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 5, 3, 6)).astype(np.float32)
    structure, params, batch_stats = nnx.split(Weighted(weights), nnx.Param, nnx.BatchStat)
    image = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    saliency = jax.jit(lambda *arguments: gradient_saliency(structure, *arguments))
    for k in (0, 4):
        found = saliency(params, batch_stats, image, k)
        assert np.allclose(found, np.abs(weights[..., k]).max(axis=-1), rtol=1e-5)
