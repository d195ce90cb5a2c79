from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ich_jax.models import MODELS
from ich_jax.models.proposed import ProposedCNN
from ich_jax.paper.steps import eval_step
from ich_jax.results.saliency import grad_cam, gradient_saliency, last_block, occlusion, watch_last_block
from tests.conftest import compiled_quickly


class Weighted(nnx.Module):
    """Logit k is the sum of the image times a map of weights of its own."""

    def __init__(self, weights: np.ndarray):
        self.weights = nnx.Param(weights)  # (size, size, 3, 6)

    def __call__(self, x, *, rngs=None):
        return (x[..., None] * self.weights[...]).sum(axis=(1, 2, 3))


def random_case(side: int) -> tuple:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((side, side, 3, 6)).astype(np.float32)
    return weights, rng.integers(0, 256, (2, side, side, 3)).astype(np.uint8)


def test_it_is_the_largest_weight_of_a_linear_network():
    weights, (image, _) = random_case(5)
    structure, params, batch_stats = nnx.split(Weighted(weights), nnx.Param, nnx.BatchStat)
    saliency = jax.jit(lambda *arguments: gradient_saliency(structure, *arguments))
    for k in (0, 4):
        found = saliency(params, batch_stats, image, k)
        assert np.allclose(found, np.abs(weights[..., k]).max(axis=-1), rtol=1e-5)


def test_occlusion_is_what_the_squares_of_a_linear_network_are_worth():
    weights, (image, cover) = random_case(17)
    split = nnx.split(Weighted(weights), nnx.Param, nnx.BatchStat)
    found = occlusion(*split, image, 2, cover)
    worth = (weights[..., 2] * (image.astype(float) - cover) / 255).sum(axis=-1)
    falls = np.zeros((17, 17))
    for top in range(0, 17, 3):  # ⌈17 / 8⌉ wide, the last ones less
        for left in range(0, 17, 3):
            square = slice(top, top + 3), slice(left, left + 3)
            falls[square] = worth[square].sum()
    np.testing.assert_allclose(found, np.clip(falls, 0, None), atol=1e-3)


class Blocks(nnx.Module):
    """Two blocks, the last of which doubles; logit k is the mean of channel k mod 3."""

    def __init__(self):
        self.blocks = nnx.List([Times(1.0), Times(2.0)])

    def __call__(self, x, *, rngs=None):
        for block in self.blocks:
            x = block(x)
        return jnp.tile(x.mean(axis=(1, 2)), 2)


class Times(nnx.Module):
    def __init__(self, factor: float):
        self.factor = nnx.Param(jnp.array(factor))

    def __call__(self, x):
        return x * self.factor[...]


def test_grad_cam_of_a_network_that_reads_one_channel_is_that_channel():
    _, (image, _) = random_case(6)
    split = nnx.split(Blocks(), nnx.Param, nnx.BatchStat)
    output, gradient = last_block(*split, image, 4)
    np.testing.assert_allclose(output, image / 255 * 2, rtol=1e-5)
    np.testing.assert_allclose(gradient, np.broadcast_to([0, 1 / 36, 0], (6, 6, 3)), rtol=1e-5)
    np.testing.assert_allclose(grad_cam(*split, image, 4), image[..., 1] / 255 * 2 / 36, rtol=1e-5)


def test_the_gradient_at_the_proposed_networks_last_block_is_its_dense_layer():
    model = ProposedCNN(24, widths=(4, 8), rngs=nnx.Rngs(0))
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    _, (image, _) = random_case(24)
    with compiled_quickly():
        output, gradient = jax.jit(lambda *rest: last_block(structure, *rest))(params, batch_stats, image, 3)
        by_itself = jax.jit(partial(eval_step, structure))(params, batch_stats, image[None])
    dense = params["dense"]
    np.testing.assert_allclose(gradient, dense["kernel"][...][:, 3].reshape(2, 2, 32), rtol=1e-5)
    logits = output.reshape(-1) @ dense["kernel"][...] + dense["bias"][...]
    np.testing.assert_allclose(logits, by_itself[0], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_each_network_has_a_last_block(name):
    model = nnx.eval_shape(lambda: MODELS[name](64, rngs=nnx.Rngs(0)))
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    image = jax.ShapeDtypeStruct((64, 64, 3), np.uint8)
    traced = jax.eval_shape(lambda *rest: last_block(structure, *rest), params, batch_stats, image, 0)
    shape = (1, 1, 2048) if name == "proposed" else (2, 2, 1024)
    assert [one.shape for one in traced] == [shape, shape]


def test_a_network_without_a_list_of_blocks_is_refused():
    with pytest.raises(TypeError, match="Weighted has 0 lists of blocks"):
        watch_last_block(Weighted(np.zeros((1, 1, 3, 6))))
