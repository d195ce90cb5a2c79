"""DenseNet121, MobileNet and Inception v1; what holds for every network, the proposed one included."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import export

from ich_jax.models import MODELS, densenet
from ich_jax.models.inception import DROPOUT, InceptionV1
from ich_jax.paper import printed
from ich_jax.paper.steps import Batch, adam, compile_steps, join_model, no_sums, split_model
from tests.conftest import compiled_quickly


@pytest.fixture(scope="module", autouse=True)
def quickly():
    with compiled_quickly():
        yield


# paper.md, Table 3: trainable and total.
COUNTS = {
    "proposed": (5_432_198, 5_434_246),
    "densenet121": (6_968_070, 7_049_542),
    "mobilenet": (3_224_070, 3_245_958),
    "inception_v1": (5_979_702, 5_979_702),
}
PRINTED = {"proposed": 1, "densenet121": 1, "mobilenet": 0, "inception_v1": 1}  # which of the two the paper prints


def leaves(tree) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in MODELS])
def network(request):
    """(name, structure, state, compiled steps) at 64×64; of DenseNet121 a shallow one, which compiles in seconds."""
    structures, optimizer = [], adam(1e-3, 0.9)

    def draw(key):
        structure, state = split_model(MODELS[request.param](64, 6, rngs=nnx.Rngs(params=key)), optimizer)
        structures.append(structure)
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(densenet, "LAYERS", (2, 2, 2, 2))
        state = jax.jit(draw)(jax.random.key(0))
    return request.param, structures[0], state, compile_steps(structures[0], optimizer)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return Batch(jnp.asarray(rng.integers(0, 256, (4, 64, 64, 3), np.uint8)), jnp.asarray([0, 1, 2, 5], jnp.int32))


@pytest.mark.parametrize("name", MODELS)
def test_the_parameter_counts_are_the_papers(name):
    model = nnx.eval_shape(lambda: MODELS[name](rngs=nnx.Rngs(0)))
    _, params, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)
    counts = (leaves(params), leaves(params) + leaves(statistics))
    assert counts == COUNTS[name]
    millions = printed.table_3()[name]["parameters_millions"]
    assert int(counts[PRINTED[name]] / 1000) == round(millions * 1000), "cut off after three decimals"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("size", "classes"), [(224, 6), (96, 2), (65, 3)])
def test_other_sizes_and_class_counts(name, size, classes):
    def answer(images):
        model = MODELS[name](size, classes, rngs=nnx.Rngs(0))
        return nnx.view(model, use_running_average=True, deterministic=True, raise_if_not_found=False)(images)

    logits = jax.eval_shape(answer, jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32))
    assert logits.shape == (2, classes)


def test_no_branch_is_dead(network, batch):
    """In evaluation mode; in training a batch norm cancels the bias before it."""
    _, structure, state, _ = network

    @jax.jit
    def gradient(params):
        def loss(params):
            model = join_model(structure, params, state.batch_stats, training=False)
            logits = model(batch.images.astype(jnp.float32) / 255)
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()

        return jax.grad(loss)(params)

    for path, tensor in jax.tree_util.tree_leaves_with_path(gradient(state.params)):
        assert np.isfinite(tensor).all(), path
        assert np.abs(tensor).max() > 0, path


def test_a_step_trains_and_statistics_move_only_then(network, batch):
    name, _, state, steps = network
    before = jax.tree.map(np.asarray, state)
    first = np.asarray(steps.evaluate(state.params, state.batch_stats, batch.images))
    again = np.asarray(steps.evaluate(state.params, state.batch_stats, batch.images))
    np.testing.assert_array_equal(first, again)
    copy = jax.tree.map(jnp.array, state)
    new, sums = steps.train(copy, no_sums(), batch, jax.random.key(0))
    assert np.isfinite(sums.loss)
    for was, now in zip(jax.tree.leaves(before.batch_stats), jax.tree.leaves(state.batch_stats), strict=True):
        np.testing.assert_array_equal(was, now)  # evaluation left them alone
    for was, now in zip(jax.tree.leaves(before.batch_stats), jax.tree.leaves(new.batch_stats), strict=True):
        assert (was != np.asarray(now)).any()
    assert bool(jax.tree.leaves(before.batch_stats)) == (name != "inception_v1")
    kernels = (max(jax.tree.leaves(params), key=np.size) for params in (before.params, new.params))
    assert np.any(np.not_equal(*map(np.asarray, kernels)))


def test_both_steps_export_as_programs_for_cpu_gpu_and_tpu(network, batch):
    """As `jax.export`'s programs, which need none of this code; the evaluation step with the batch size left open."""
    _, _, state, steps = network
    platforms = ["cpu", "cuda", "tpu"]
    (size,) = export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((size, *batch.images.shape[1:]), jnp.uint8)
    evaluation = export.export(steps.evaluate, platforms=platforms)(state.params, state.batch_stats, images)
    assert evaluation.platforms == ("cpu", "cuda", "tpu")
    assert str(evaluation.out_avals[0].shape) == "(batch, 6)"
    sums = no_sums()
    training = export.export(steps.train, platforms=platforms)(state, sums, batch, jax.random.key(0))
    assert training.platforms == ("cpu", "cuda", "tpu")
    for given, returned in zip(jax.tree.leaves((state, sums)), training.out_avals, strict=True):
        assert (given.shape, given.dtype) == (returned.shape, returned.dtype)


def test_inception_drops_in_training_only():
    """Right before the last layer, a share of 0.4."""
    model = nnx.eval_shape(lambda: InceptionV1(64, 6, rngs=nnx.Rngs(0)))
    assert DROPOUT == model.dropout.rate == 0.4
    x = jnp.ones((2, 1000))
    training, evaluating = (nnx.view(model.dropout, deterministic=value) for value in (False, True))
    one, two = (np.asarray(training(x, rngs=nnx.Rngs(dropout=seed))) for seed in (0, 1))
    assert (one != two).any()
    assert 0.3 < np.mean(one == 0) < 0.5
    np.testing.assert_array_equal(evaluating(x), x)


def test_inceptions_modules_have_the_widths_of_its_own_paper():
    """GoogLeNet's Table 1, output column: 256, 480, 512, 512, 512, 528, 832, 832, 1024."""
    model = nnx.eval_shape(lambda: InceptionV1(rngs=nnx.Rngs(0)))
    inputs = [module.one.in_features for module in model.inceptions]
    assert [*inputs, model.dense.in_features] == [192, 256, 480, 512, 512, 512, 528, 832, 832, 1024]
