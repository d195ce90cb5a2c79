import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export, lax

from ich_jax.models import MODELS
from ich_jax.models.layers import average_pool_2x2, batch_norm, conv_1x1, max_pool_3x3
from ich_jax.models.proposed import ProposedCNN


def count(model, kind):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, kind)))


@pytest.fixture(scope="module")
def paper_network():
    return nnx.eval_shape(lambda: ProposedCNN(rngs=nnx.Rngs(0)))


def test_parameter_count_of_the_paper(paper_network):
    assert count(paper_network, nnx.Param) == 5_432_198
    assert count(paper_network, (nnx.Param, nnx.BatchStat)) == 5_434_246
    dense = count(paper_network.dense, nnx.Param)
    assert dense == 6 * 4 * 4 * 2048 + 6
    assert 5_434_246 - dense == 5_237_632


def test_stage_shapes_of_the_paper(paper_network):
    x = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    convolved = nnx.eval_shape(lambda m, x: m.conv(x), paper_network.stem, x)
    assert convolved.shape == (2, 112, 112, 64)
    x = nnx.eval_shape(lambda m, x: m(x), paper_network.stem, x)
    shapes = [x.shape[1:]]
    for block in paper_network.blocks:
        x = nnx.eval_shape(lambda m, x: m(x), block, x)
        shapes.append(x.shape[1:])
    assert shapes == [(56, 56, 64), (28, 28, 256), (14, 14, 512), (7, 7, 1024), (4, 4, 2048)]


@pytest.mark.parametrize("size", [20, 32, 64, 65, 129])
@pytest.mark.parametrize("classes", [2, 6])
def test_other_sizes_and_class_counts(size, classes):
    def run():
        return ProposedCNN(size, classes, rngs=nnx.Rngs(0))(jnp.zeros((3, size, size, 3)))

    assert nnx.eval_shape(run).shape == (3, classes)


def test_keras_defaults():
    model = ProposedCNN(32, rngs=nnx.Rngs(0))
    norms = [model.stem.norm, *(block.norm for block in model.blocks)]
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.99, 1e-3)}
    for layer in (model.stem.conv, model.blocks[3].conv, model.blocks[3].expand, model.dense):
        kernel = layer.kernel[...]
        assert not np.any(layer.bias[...])
        field = np.prod(kernel.shape[:-2])
        limit = np.sqrt(6 / (field * (kernel.shape[-2] + kernel.shape[-1])))  # Glorot uniform
        assert 0.9 * limit < np.abs(kernel).max() <= limit


def test_the_seed_decides():
    first, again, other = (ProposedCNN(32, rngs=nnx.Rngs(seed)).dense.kernel[...] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("stride", "padding", "height", "width"), [(2, "SAME", 9, 8), (2, "VALID", 8, 9), (1, "SAME", 5, 6)]
)
def test_max_pool_is_reduce_window_and_so_is_the_gradient_of_a_tie(stride, padding, height, width, dtype):
    """With three levels nearly every window holds a tie."""

    def general(x):
        return nnx.max_pool(x, (3, 3), strides=(stride, stride), padding=padding)

    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(-3, 3, (2, height, width, 3)), dtype)
    g = jnp.asarray(rng.integers(1, 8, general(x).shape), dtype)  # sums are exact, in bfloat16 too
    ours, theirs = (
        jax.jit(lambda x, g, pool=pool: (pool(x), *jax.vjp(pool, x)[1](g)))(x, g)
        for pool in (lambda x: max_pool_3x3(x, stride, padding), general)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype == dtype
        np.testing.assert_array_equal(one, other)


def test_max_pool_passes_nan_on():
    x = jnp.zeros((1, 7, 7, 1)).at[0, 2, 4, 0].set(jnp.nan)
    expected = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
    np.testing.assert_array_equal(max_pool_3x3(x), expected)
    assert 0 < np.isnan(expected).sum() < expected.size


def test_other_platforms_get_xlas_own_max_pool():
    def gradient(x):
        return jax.grad(lambda x: max_pool_3x3(x).sum())(x)

    for platform, own in (("cpu", False), ("cuda", True), ("tpu", True)):
        program = export.export(jax.jit(gradient), platforms=[platform])(jnp.zeros((1, 8, 8, 1))).mlir_module()
        assert ("select_and_scatter" in program) == own


def test_max_pool_looks_past_no_edge():
    x = jnp.full((1, 5, 5, 1), -3.0).at[0, 2, 2, 0].set(-1.0)
    assert max_pool_3x3(x)[0, :, :, 0].tolist() == [[-3, -3, -3], [-3, -1, -3], [-3, -3, -3]]


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (1, 7, 9, 2), (1, 1, 2, 1), (2, 56, 56, 4)])
def test_average_pool_is_reduce_window_with_its_gradient(shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)

    def general(x):
        return nnx.avg_pool(x, (2, 2), strides=(2, 2), padding="SAME", count_include_pad=False)

    np.testing.assert_allclose(average_pool_2x2(x), general(x), atol=1e-6)
    ours, theirs = (jax.grad(lambda x, p=p: jnp.sum(jnp.sin(p(x))))(x) for p in (average_pool_2x2, general))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_average_pool_divides_by_real_cells():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    assert average_pool_2x2(x)[0, :, :, 0].tolist() == [[2, 3.5], [6.5, 8]]


def test_conv_1x1_is_a_convolution():
    layer = conv_1x1(5, 7, rngs=nnx.Rngs(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 5)), jnp.float32)
    general = lax.conv_general_dilated(
        x, layer.kernel[...][None, None], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(layer(x), general, atol=1e-5)


def test_batch_norm_in_training_centres_the_batch():
    x = jnp.asarray(np.random.default_rng(0).normal(5, 3, size=(64, 4)), jnp.float32)
    y = batch_norm(4, rngs=nnx.Rngs(0))(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-3)


def test_the_registry():
    assert MODELS["proposed"] is ProposedCNN


@pytest.mark.parametrize(("mean", "off"), [(1, 1e-5), (10, 1e-3), (1000, 0.5)])
def test_batch_norms_variance_loses_digits_where_the_mean_is_large(mean, off):
    """It is E[x²] − E[x]² in float32; the docstring says so."""
    x = np.random.default_rng(0).normal(mean, 1, (4096, 1))
    norm = batch_norm(1, momentum=0.0, rngs=nnx.Rngs(0))
    norm(jnp.asarray(x, jnp.float32))
    found = abs(float(norm.var[0]) / x.var() - 1)
    assert found < off
    assert mean < 1000 or found > 1e-3
