import re
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ich_jax.models.layers import batch_norm
from ich_jax.paper.printed import BETA1, LEARNING_RATE
from ich_jax.paper.steps import (
    AUGMENTS,
    Batch,
    Sums,
    adam,
    compile_steps,
    eval_step,
    join_model,
    loss_fn,
    no_sums,
    normalise,
    split_model,
    train_step,
)

KEY = jax.random.key(0)
step_once = jax.jit(train_step, static_argnums=(0, 1, 6, 7))  # keeps the old state, unlike `compile_steps`
adam_once = cache(adam)  # one object per setting, so that a step compiles once


class Tiny(nnx.Module):
    """Images (B, H, W, 3) → logits (B, 6), with batch norm and dropout: it compiles in a moment."""

    def __init__(self, dropout: float = 0.0, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, 16, (3, 3), strides=2, rngs=rngs)
        self.norm = batch_norm(16, 0.9, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)
        self.dense = nnx.Linear(16, 6, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = self.norm(nnx.relu(self.conv(x))).mean(axis=(1, 2))
        return self.dense(self.dropout(x, rngs=rngs))


def fresh(learning_rate=1e-2, dropout=0.0):
    """(structure, optimizer, state before the first step), the same at every call."""
    optimizer = adam_once(learning_rate)
    structure, state = split_model(Tiny(dropout, rngs=nnx.Rngs(0)), optimizer)
    return structure, optimizer, state


def learned(state):
    """What every step moves: not the settings that are part of the optimizer's state."""
    return state.step, state.params, state.batch_stats, state.optimizer.inner_state


def random_batch(size, side=8, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (size, side, side, 3), np.uint8)
    return Batch(jnp.asarray(images), jnp.arange(size, dtype=jnp.int32) % 6)


@pytest.fixture(scope="module")
def batch():
    return random_batch(8)


def by_hand(structure, state, batch):
    """(loss of each slice, class each is called) in training mode without dropout, in float64."""
    model = join_model(structure, state.params, state.batch_stats, training=True)
    logits = np.asarray(model(normalise(batch.images), rngs=nnx.Rngs(dropout=KEY)), np.float64)
    classes = np.asarray(batch.classes)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(classes)), classes]
    return losses, logits.argmax(axis=1)


def assert_equal_trees(one, two, **tolerance):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(left, right, **({"rtol": 0} | tolerance))


def assert_no_leaf_stayed(before, after):
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert np.any(old != new)


def test_input_scale():
    x = normalise(jnp.array([0, 51, 255], jnp.uint8))
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, [0, 0.2, 1], rtol=1e-6)


@pytest.mark.parametrize("keras_epsilon", [True, False])
def test_adam_by_hand(keras_epsilon):
    """Against Kingma and Ba's rule in its two forms: ε beside √v as in Keras, or beside the corrected √v as in Optax.
    Gradients near ε tell them apart."""
    learning_rate, beta1, beta2, epsilon = 1e-2, 0.95, 0.999, 1e-7
    size = 10.0 ** -np.arange(1, 8)  # 0.1 … 1e-7
    optimizer, values = adam(learning_rate, beta1, keras_epsilon), jnp.zeros(len(size))
    state = optimizer.init(values)
    m, v = np.zeros(len(size)), np.zeros(len(size))
    for step, factor in enumerate((1.0, -0.5, 6.0), start=1):
        gradient = factor * size
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        if keras_epsilon:
            expected = -learning_rate * np.sqrt(1 - beta2**step) / (1 - beta1**step) * m / (np.sqrt(v) + epsilon)
        else:
            expected = -learning_rate * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + epsilon)
        updates, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, values)
        np.testing.assert_allclose(updates, expected, rtol=3e-4)


def test_the_first_step_of_a_gradient_of_a_millionth():
    """9.09e-6 at Optax's ε and 2.40e-6 at Keras's, which counts as 3.2e-6 then."""
    gradient, value = jnp.array(1e-6), jnp.array(0.0)
    for keras_epsilon, moved in ((False, 9.09e-6), (True, 2.40e-6)):
        optimizer = adam(1e-5, keras_epsilon=keras_epsilon)
        updates, _ = optimizer.update(gradient, optimizer.init(value), value)
        np.testing.assert_allclose(-updates, moved, rtol=2e-3)


def test_adam_has_the_papers_settings_unless_told_otherwise():
    values, gradients = jnp.zeros(3), (jnp.array([1.0, 0.1, -3.0]), jnp.array([-1.0, 0.5, -2.0]))
    ours, papers = adam(), adam(LEARNING_RATE, BETA1)
    state, other = ours.init(values), papers.init(values)
    for gradient in gradients:
        updates, state = ours.update(gradient, state, values)
        expected, other = papers.update(gradient, other, values)
        np.testing.assert_array_equal(updates, expected)
        assert np.any(updates != 0)


def test_a_decaying_learning_rate_shortens_the_second_step(batch):
    states, moved = {}, {}
    for name, rate in (("constant", 1e-2), ("decaying", lambda step: 1e-2 * 0.1**step)):
        structure, optimizer, start = fresh(rate)
        first, _ = step_once(structure, optimizer, start, no_sums(), batch, KEY)
        second, _ = step_once(structure, optimizer, first, no_sums(), batch, KEY)
        states[name] = first.params
        moved[name] = jax.tree.map(lambda new, old: np.asarray(new) - old, second.params, first.params)
    assert_equal_trees(states["constant"], states["decaying"], atol=1e-7)
    assert_no_leaf_stayed(jax.tree.map(np.zeros_like, moved["constant"]), moved["constant"])
    assert_equal_trees(jax.tree.map(lambda x: 0.1 * x, moved["constant"]), moved["decaying"], rtol=1e-3, atol=1e-6)


def test_the_loss_is_cross_entropy(batch):
    structure, _, state = fresh()
    loss, (_, correct) = loss_fn(state.params, state.batch_stats, structure, batch, KEY)
    losses, called = by_hand(structure, state, batch)
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-5)
    assert correct == np.sum(called == batch.classes)


def test_the_first_step_goes_against_the_gradient_and_is_as_long_as_the_learning_rate(batch):
    structure, optimizer, state = fresh(1e-3)
    gradient = jax.jit(jax.grad(loss_fn, has_aux=True), static_argnums=2)
    gradients, _ = gradient(state.params, state.batch_stats, structure, batch, KEY)
    after, _ = step_once(structure, optimizer, state, no_sums(), batch, KEY)
    expected = jax.tree.map(
        lambda value, g: value - 1e-3 * g / (jnp.abs(g) + 1e-7 / 0.001**0.5), state.params, gradients
    )
    steep = jax.tree.map(lambda g: np.abs(g) > 1e-5, gradients)  # elsewhere rounding decides the sign
    assert sum(leaf.sum() for leaf in jax.tree.leaves(steep)) > 300
    for where, new, wanted in zip(*map(jax.tree.leaves, (steep, after.params, expected)), strict=True):
        np.testing.assert_allclose(np.asarray(new)[where], np.asarray(wanted)[where], atol=2e-6, rtol=0)


def test_running_statistics_move_towards_the_batch(batch):
    structure, optimizer, state = fresh()
    after, _ = step_once(structure, optimizer, state, no_sums(), batch, KEY)
    conv = join_model(structure, state.params, state.batch_stats, training=True).conv
    mean = np.maximum(conv(normalise(batch.images)), 0).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(after.batch_stats["norm"]["mean"][...], 0.1 * mean, rtol=1e-4, atol=1e-6)


def test_sums_weight_each_batch_by_its_slices():
    structure, optimizer, state = fresh()
    sums, expected = no_sums(), 0.0
    for size in (8, 5):
        batch = random_batch(size, seed=size)
        _, called = by_hand(structure, state, batch)
        batch = batch._replace(classes=jnp.asarray((called + np.arange(size) % 2) % 6, jnp.int32))  # every other wrong
        expected += by_hand(structure, state, batch)[0].sum()
        state, sums = step_once(structure, optimizer, state, sums, batch, KEY)
    assert sums.slices == 13
    assert sums.correct == 4 + 3
    np.testing.assert_allclose(sums.loss, expected, rtol=1e-5)
    assert [leaf.dtype for leaf in Sums(*sums)] == [jnp.float32, jnp.int32, jnp.int32]


def test_steps_are_counted(batch):
    structure, optimizer, state = fresh()
    assert state.step == 0
    for count in (1, 2):
        state, _ = step_once(structure, optimizer, state, no_sums(), batch, KEY)
        assert state.step == count


def test_steps_lower_the_loss_and_move_everything(batch):
    structure, optimizer, state = fresh()
    train = compile_steps(structure, optimizer).train
    before, losses = jax.device_get(state), []
    for _ in range(40):
        state, sums = train(state, no_sums(), batch, KEY)
        losses.append(float(sums.loss) / 8)
    assert losses[-1] < 0.5 * losses[0]
    for old, new in zip(*map(learned, (before, jax.device_get(state))), strict=True):
        assert_no_leaf_stayed(old, new)


def test_the_old_state_is_given_away(batch):
    structure, optimizer, state = fresh()
    sums = no_sums()
    compile_steps(structure, optimizer).train(state, sums, batch, KEY)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(learned(state)))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((sums, batch, KEY)))


def test_each_step_compiles_once_for_each_batch_size(batch):
    structure, optimizer, state = fresh()
    steps, sums = compile_steps(structure, optimizer), no_sums()
    for other, programs in ((batch, 1), (batch, 1), (random_batch(5), 2), (batch, 2)):
        state, sums = steps.train(state, sums, other, KEY)
        assert steps.train._cache_size() == programs
        steps.evaluate(state.params, state.batch_stats, other.images)
        assert steps.evaluate._cache_size() == programs


def test_evaluation_uses_running_statistics_and_changes_nothing(batch):
    structure, optimizer, state = fresh(dropout=0.5)
    evaluate = compile_steps(structure, optimizer).evaluate
    state, _ = step_once(structure, optimizer, state, no_sums(), batch, KEY)
    before = jax.device_get(state)
    whole = evaluate(state.params, state.batch_stats, batch.images)
    assert whole.shape == (8, 6)
    np.testing.assert_array_equal(whole, evaluate(state.params, state.batch_stats, batch.images))
    assert_equal_trees(before, jax.device_get(state))
    moved = jax.tree.map(lambda x: x + 1, state.batch_stats)
    assert np.abs(evaluate(state.params, moved, batch.images) - whole).max() > 0.01


def test_in_evaluation_a_slices_answer_does_not_depend_on_its_neighbours(batch):
    structure, optimizer, state = fresh(dropout=0.5)
    state, _ = step_once(structure, optimizer, state, no_sums(), batch, KEY)
    whole = eval_step(structure, state.params, state.batch_stats, batch.images)
    assert np.ptp(whole, axis=0).max() > 0.01, "the slices differ"
    alone = eval_step(structure, state.params, state.batch_stats, batch.images[:1])
    np.testing.assert_allclose(alone, whole[:1], atol=1e-5)
    others = batch.images.at[1:].set(255 - batch.images[1:])
    np.testing.assert_allclose(eval_step(structure, state.params, state.batch_stats, others)[:1], alone, atol=1e-5)


def test_evaluation_does_not_drop(batch):
    answers = [
        eval_step(structure, state.params, state.batch_stats, batch.images)
        for structure, _, state in (fresh(dropout=0.0), fresh(dropout=0.5))
    ]
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_dropout_differs_from_step_to_step_and_is_the_same_for_the_same_step(batch):
    structure, optimizer, start = fresh(learning_rate=0.0, dropout=0.5)

    def loss_at(state, key):
        after, sums = step_once(structure, optimizer, state, no_sums(), batch, key)
        return after, float(sums.loss)

    second, first_loss = loss_at(start, KEY)
    assert_equal_trees(second.params, start.params)
    third, second_loss = loss_at(second, KEY)
    _, third_loss = loss_at(third, KEY)
    assert len({first_loss, second_loss, third_loss}) == 3
    assert loss_at(start, KEY)[1] == first_loss
    assert loss_at(second, KEY)[1] == second_loss
    assert loss_at(start, jax.random.key(1))[1] != first_loss


def test_augmentation_changes_the_images_by_a_key_of_each_step_and_leaves_dropout_alone(batch):
    structure, optimizer, start = fresh(learning_rate=0.0, dropout=0.5)

    def loss_at(state, augment=None):
        after, sums = step_once(structure, optimizer, state, no_sums(), batch, KEY, jnp.float32, augment)
        return after, float(sums.loss)

    def keep(key, images):
        return images

    def shade(key, images):
        return images // 2 + jax.random.randint(key, images.shape, 0, 128).astype(jnp.uint8)

    second, plain = loss_at(start)
    assert loss_at(start, keep)[1] == plain
    changed = loss_at(start, shade)[1]
    assert changed == loss_at(start, shade)[1] != plain
    expected = batch._replace(images=shade(jax.random.fold_in(jax.random.fold_in(KEY, 0), AUGMENTS), batch.images))
    assert float(step_once(structure, optimizer, start, no_sums(), expected, KEY)[1].loss) == changed
    assert len({changed, loss_at(start._replace(step=second.step), shade)[1], plain}) == 3


def test_in_bfloat16_the_layers_compute_and_nothing_else(batch):
    """The convolution and the dense layer get bfloat16; state, loss and logits are float32, and near those of
    float32."""
    structure, optimizer, state = fresh()
    arguments = structure, optimizer, state, no_sums(), batch, KEY
    program = str(jax.make_jaxpr(lambda: train_step(*arguments, jnp.bfloat16))())
    for operation in ("conv_general_dilated", "dot_general"):
        results = re.findall(rf"(\w+)\[[\d,]*\] = {operation}\[", program)
        assert results
        assert set(results) == {"bf16"}, operation
    (new, sums), (reference, wanted) = (step_once(*arguments, dtype) for dtype in (jnp.bfloat16, jnp.float32))
    assert jax.tree.map(lambda leaf: leaf.dtype, new) == jax.tree.map(lambda leaf: leaf.dtype, reference)
    assert sums.loss.dtype == jnp.float32
    assert 0 < abs(sums.loss - wanted.loss) < 0.02 * wanted.loss
    logits = [
        eval_step(structure, state.params, state.batch_stats, batch.images, dtype)
        for dtype in (jnp.bfloat16, jnp.float32)
    ]
    assert logits[0].dtype == jnp.float32
    np.testing.assert_allclose(*logits, atol=0.03)
    assert np.any(logits[0] != logits[1])
