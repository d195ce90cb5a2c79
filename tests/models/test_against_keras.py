"""The four networks beside twins in Keras 3, written from the descriptions of their layers: counts, answers, gradients,
and twenty steps of Adam with batch norm's statistics, in float64, where rounding hides nothing. And the defaults and
the early stopping that are called Keras's.

Keras runs on JAX here (tests/conftest.py says so). Its Conv2D, DepthwiseConv2D, pools and BatchNormalization are code
of its own, and so is its Adam.

Counts and answers are those of the whole networks. To learn, the three baselines are made shallow, and the proposed
network narrow at the small sizes: no kind of layer goes, and what takes minutes to compile and to run takes seconds.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from flax import nnx
from keras import layers
from keras.src.backend.common import dtypes

from ich_jax.models import MODELS, densenet, inception
from ich_jax.models import mobilenet as mobilenet_module
from ich_jax.models.layers import NORM_EPSILON, NORM_MOMENTUM, conv, dense, depthwise
from ich_jax.models.proposed import ProposedCNN
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.printed import BETA1, LEARNING_RATE
from ich_jax.paper.steps import BETA2, EPSILON, adam, join_model
from tests.conftest import compiled_quickly

BATCH, STEPS = 2, 20
WIDTHS = (64, 128, 256, 512)
SEPARABLE_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
DENSE_LAYERS = (6, 12, 24, 16)
INCEPTIONS = (  # GoogLeNet's own Table 1: 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
POOL_BEFORE = (2, 7)


def proposed(x):
    x = layers.Conv2D(64, 7, strides=2, padding="same", activation="relu", name="stem.conv")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.BatchNormalization(name="stem.norm")(x)
    for k, width in enumerate(WIDTHS):
        x = layers.Conv2D(width, 1, activation="relu", name=f"blocks.{k}.reduce")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"blocks.{k}.conv")(x)
        x = layers.BatchNormalization(name=f"blocks.{k}.norm")(x)
        x = layers.Conv2D(4 * width, 1, activation="relu", name=f"blocks.{k}.expand")(x)
        x = layers.AveragePooling2D(2, padding="same")(x)
    return layers.Flatten()(x)


def densenet121(x):
    x = layers.Conv2D(64, 7, strides=2, padding="same", name="stem")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    stage = 0
    for block, count in enumerate(DENSE_LAYERS):
        if block:
            new = layers.ReLU()(layers.BatchNormalization(name=f"stages.{stage}.norm")(x))
            new = layers.Conv2D(x.shape[-1] // 2, 1, name=f"stages.{stage}.reduce")(new)
            x = layers.AveragePooling2D(2, padding="same")(new)
            stage += 1
        for _ in range(count):
            new = layers.ReLU()(layers.BatchNormalization(name=f"stages.{stage}.norm_1")(x))
            new = layers.Conv2D(128, 1, name=f"stages.{stage}.reduce")(new)
            new = layers.ReLU()(layers.BatchNormalization(name=f"stages.{stage}.norm_2")(new))
            new = layers.Conv2D(32, 3, padding="same", name=f"stages.{stage}.conv")(new)
            x = layers.Concatenate()([x, new])
            stage += 1
    return layers.GlobalAveragePooling2D()(x)


def mobilenet(x):
    x = layers.Conv2D(32, 3, strides=2, padding="same", name="stem")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    for k, width in enumerate(SEPARABLE_WIDTHS):
        stride = 2 if k in (1, 3, 5, 11) else 1
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", name=f"blocks.{k}.depthwise")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"blocks.{k}.norm_1")(x))
        x = layers.Conv2D(width, 1, name=f"blocks.{k}.pointwise")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"blocks.{k}.norm_2")(x))
    return layers.GlobalAveragePooling2D()(x)


def inception_v1(x):
    """Dropout is left out: a test of its own holds it."""

    def convolved(x, filters, size, name, **more):
        return layers.Conv2D(filters, size, padding="same", activation="relu", name=name, **more)(x)

    x = convolved(x, 64, 7, "stem", strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = convolved(convolved(x, 64, 1, "reduce"), 192, 3, "conv")
    x = layers.MaxPooling2D(3, strides=2)(x)
    for k, (one, three_reduce, three, five_reduce, five, pool) in enumerate(INCEPTIONS):
        if k in POOL_BEFORE:
            x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        name = f"inceptions.{k}"
        pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
        x = layers.Concatenate()(
            [
                convolved(x, one, 1, f"{name}.one"),
                convolved(convolved(x, three_reduce, 1, f"{name}.three_reduce"), three, 3, f"{name}.three"),
                convolved(convolved(x, five_reduce, 1, f"{name}.five_reduce"), five, 5, f"{name}.five"),
                convolved(pooled, pool, 1, f"{name}.pool"),
            ]
        )
    return layers.GlobalAveragePooling2D()(x)


TWINS = {"proposed": proposed, "densenet121": densenet121, "mobilenet": mobilenet, "inception_v1": inception_v1}


def twin(name, size):
    """Without weights of its own, which take half a minute to draw: it gets ours."""

    def zeros(initializer, shape, dtype=None):
        return np.zeros(shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)
        image = keras.Input((size, size, 3))
        return keras.Model(image, layers.Dense(6, name="dense")(TWINS[name](image)))


@pytest.fixture(autouse=True)
def float64(monkeypatch):
    """Of Keras on JAX this is asked twice: what it computes itself it rounds to float32 otherwise."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    keras.config.set_floatx("float64")
    with jax.enable_x64(True):
        yield
    keras.config.set_floatx("float32")


def ours(name, size):
    """(structure, parameters, statistics) with random values everywhere: zeros would test nothing."""
    model = nnx.eval_shape(lambda: MODELS[name](size, 6, rngs=nnx.Rngs(0)))
    if name == "inception_v1":
        model.dropout = nnx.Dropout(0.0)
    structure, *shapes = nnx.split(model, nnx.Param, nnx.BatchStat)
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key if hasattr(path[-1], "key") else path[-2].key
        if name in ("scale", "var"):
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape))
        spread = np.sqrt(2 / np.prod(leaf.shape[:-1])) if name == "kernel" else 0.1
        return jnp.asarray(rng.normal(0, spread, leaf.shape))

    return structure, *(jax.tree.map_with_path(draw, shape) for shape in shapes)


def by_name(state):
    """A state's tensors by the names that the twin's variables have."""
    return {".".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(state)}


def name_of(variable):
    layer, name = variable.path.split("/")
    names = {"gamma": "scale", "beta": "bias", "moving_mean": "mean", "moving_variance": "var"}
    return f"{layer}.{names.get(name, name)}"


def like(variables, state):
    """A state's tensors in the order and shapes of the twin's variables (a 1×1 convolution is a product in ours)."""
    tensors = by_name(state)
    assert sorted(tensors) == sorted(map(name_of, variables))
    return [tensors[name_of(variable)].reshape(variable.shape) for variable in variables]


def close(found, wanted, tolerance, floor=1e-3):
    """To a relative `tolerance` of each tensor's largest value, or of `floor` where that is less."""
    for one, other in zip(found, wanted, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(floor, np.abs(other).max()))


def data(size):
    rng = np.random.default_rng(size)
    return jnp.asarray(rng.uniform(0, 1, (BATCH, size, size, 3))), jnp.asarray(rng.integers(0, 6, BATCH))


def cross_entropy(logits, classes):
    return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()


def our_gradients(structure, params, statistics, images, classes):
    """(logits in training, gradients, statistics after)."""

    def loss(params):
        model = join_model(structure, params, statistics, training=True)
        logits = model(images, rngs=nnx.Rngs(dropout=0))
        return cross_entropy(logits, classes), (logits, nnx.state(model, nnx.BatchStat))

    gradients, (logits, after) = jax.grad(loss, has_aux=True)(params)
    return logits, gradients, after


def twin_gradients(other, params, statistics, images, classes):
    """The same of the twin, on lists in the order of its variables."""

    def loss(params):
        logits, after = other.stateless_call(params, statistics, images, training=True)
        return cross_entropy(logits, classes), (logits, after)

    gradients, (logits, after) = jax.grad(loss, has_aux=True)(params)
    return logits, gradients, after


def pair(name, size):
    """(structure, parameters, statistics) of ours, and (twin, parameters, statistics) in the twin's order."""
    structure, params, statistics = ours(name, size)
    other = twin(name, size)
    theirs, their_statistics = like(other.trainable_variables, params), like(other.non_trainable_variables, statistics)
    return (structure, params, statistics), (other, theirs, their_statistics)


def networks_and_sizes(*sizes):
    """Those of one network in one process, which compiles Adam's update of it once."""
    return pytest.mark.parametrize(
        ("name", "size"),
        [pytest.param(name, size, marks=pytest.mark.xdist_group(name)) for name in MODELS for size in sizes],
    )


@pytest.mark.slow
@networks_and_sizes(224, 33)
def test_a_network_counts_and_answers_as_its_twin(name, size):
    (structure, params, statistics), (other, theirs, their_statistics) = pair(name, size)
    assert other.count_params() == sum(leaf.size for leaf in jax.tree.leaves((params, statistics)))
    images, _ = data(size)
    with compiled_quickly():
        answers = jax.jit(join_model(structure, params, statistics, training=False))(images)
        wanted, _ = jax.jit(other.stateless_call)(theirs, their_statistics, images)
    assert np.ptp(answers, axis=0).max() > 1e-3, "the slices are told apart"
    close([answers], [wanted], 1e-10)


@pytest.fixture
def small(monkeypatch, size):
    here = sys.modules[__name__]
    for module, name in ((densenet, "LAYERS"), (here, "DENSE_LAYERS")):
        monkeypatch.setattr(module, name, (2, 1))
    monkeypatch.setattr(inception, "MODULES", inception.MODULES[1:4])  # a module, a pool, another
    monkeypatch.setattr(here, "INCEPTIONS", INCEPTIONS[1:3])
    monkeypatch.setattr(here, "POOL_BEFORE", (1,))
    monkeypatch.setattr(mobilenet_module, "SEPARABLE", mobilenet_module.SEPARABLE[:2])
    monkeypatch.setattr(here, "SEPARABLE_WIDTHS", SEPARABLE_WIDTHS[:2])
    if size < 224:
        narrow = (8, 16, 32, 64)
        monkeypatch.setitem(MODELS, "proposed", partial(ProposedCNN, widths=narrow))
        monkeypatch.setattr(here, "WIDTHS", narrow)


@pytest.mark.slow
@networks_and_sizes(224, 48, 33)
def test_a_network_learns_as_its_twin(small, name, size):
    """At 224 one step, at the small sizes twenty."""
    (structure, params, statistics), (other, theirs, their_statistics) = pair(name, size)
    trained, moving, batch = other.trainable_variables, other.non_trainable_variables, data(size)
    optimizer = adam()
    moments = jax.jit(optimizer.init)(params)
    keras_adam = keras.optimizers.Adam(LEARNING_RATE, beta_1=BETA1)
    keras_adam.build(trained)
    variables = [variable.value for variable in keras_adam.variables]
    our_step, twin_step = jax.jit(partial(our_gradients, structure)), jax.jit(partial(twin_gradients, other))
    twin_update = jax.jit(keras_adam.stateless_apply)

    @jax.jit
    def our_update(gradients, moments, params):
        updates, moments = optimizer.update(gradients, moments, params)
        return optax.apply_updates(params, updates), moments

    start = theirs
    for step in range(STEPS if size < 224 else 1):
        logits, gradients, statistics = our_step(params, statistics, *batch)
        their_logits, their_gradients, their_statistics = twin_step(theirs, their_statistics, *batch)
        if step == 0:
            close([logits], [their_logits], 1e-10)
            close(like(trained, gradients), their_gradients, 1e-8)
        params, moments = our_update(gradients, moments, params)
        theirs, variables = twin_update(variables, their_gradients, theirs)
        moved, wanted = (
            [after - before for after, before in zip(now, start, strict=True)]
            for now in (like(trained, params), theirs)
        )
        close(moved, wanted, 1e-6, floor=LEARNING_RATE)
        close(like(moving, statistics), their_statistics, 1e-10 if step == 0 else 1e-8)
    assert max(np.abs(change).max() for change in wanted) > 0.9 * LEARNING_RATE * (step + 1)


def test_the_defaults_that_are_called_kerass():
    norm, optimizer = layers.BatchNormalization(), keras.optimizers.Adam()
    assert (norm.momentum, norm.epsilon) == (NORM_MOMENTUM, NORM_EPSILON)
    assert (float(optimizer.beta_2), optimizer.epsilon) == (BETA2, EPSILON)
    for built, shape, ours in (
        (layers.Conv2D(64, 7), (None, 9, 9, 3), conv(3, 64, size=7, rngs=nnx.Rngs(0))),
        (layers.DepthwiseConv2D(3), (None, 9, 9, 32), depthwise(32, size=3, rngs=nnx.Rngs(0))),
        (layers.Dense(512), (None, 256), dense(256, 512, rngs=nnx.Rngs(0))),
    ):
        built.build(shape)
        kernel = np.asarray(built.kernel)
        assert np.abs(kernel).max() == pytest.approx(np.abs(np.asarray(ours.kernel[...])).max(), rel=0.05)
        assert not np.any(built.bias)


@pytest.mark.parametrize("seed", range(5))
def test_no_improvement_is_kerass_early_stopping(seed):
    losses = np.random.default_rng(seed).integers(1, 6, 12) / 4  # with ties
    callback = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    model = keras.Sequential()
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    state = EarlyStopping(patience=3)
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        state = state.after(float(loss))
        assert state.should_stop == model.stop_training
        assert (state.best_loss, state.best_epoch) == (callback.best, callback.best_epoch + 1)
        if state.should_stop:
            break
