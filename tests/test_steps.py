import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ich_jax.data.batches import Batch
from ich_jax.models.proposed import ProposedCNN
from ich_jax.steps import adam, eval_step, join_model, loss_fn, normalise, split_model, train_step

KEY = jax.random.key(0)


def fresh(learning_rate=1e-3):
    optimizer = adam(learning_rate)
    return optimizer, *split_model(ProposedCNN(32, rngs=nnx.Rngs(0)), optimizer)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    return Batch(jnp.asarray(images), jnp.arange(8, dtype=jnp.int32) % 6)


def test_input_scale():
    x = normalise(jnp.array([0, 51, 255], jnp.uint8))
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, [0, 0.2, 1])


def test_adam_by_hand():
    """Three steps on one number, against the update rule of Kingma and Ba with the paper's β1 and Keras's β2 and ε."""
    learning_rate, beta1, beta2, epsilon = 1e-2, 0.95, 0.999, 1e-7
    optimizer, value = adam(learning_rate, beta1), jnp.array(1.0)
    state = optimizer.init(value)
    expected, m, v = 1.0, 0.0, 0.0
    for step, gradient in enumerate((0.5, -0.25, 3.0), start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        expected -= learning_rate * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + epsilon)
        updates, state = optimizer.update(jnp.array(gradient), state)
        value = value + updates
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_loss_is_cross_entropy(batch):
    _, structure, state = fresh()
    loss, (_, correct) = loss_fn(state.params, state.batch_stats, structure, batch, KEY)
    model = join_model(structure, state.params, state.batch_stats, training=True)
    logits = np.asarray(model(normalise(batch.images)), np.float64)
    by_hand = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), batch.classes]
    np.testing.assert_allclose(loss, by_hand.mean(), rtol=1e-4)
    assert correct == np.sum(logits.argmax(axis=1) == np.asarray(batch.classes))


def test_a_step_at_half_the_scale_goes_half_as_far(batch):
    moved = []
    for scale in (1.0, 0.5):
        optimizer, structure, state = fresh()
        before = jax.device_get(state.params)
        after, _, _ = train_step(structure, optimizer, state, batch, KEY, scale)
        moved.append(jax.tree.map(lambda new, old: np.asarray(new) - old, after.params, before))
    for whole, half in zip(*map(jax.tree.leaves, moved), strict=True):
        np.testing.assert_allclose(half, 0.5 * whole, rtol=1e-2, atol=1e-7)


def test_training_lowers_the_loss_and_moves_everything(batch):
    optimizer, structure, state = fresh()
    before = jax.device_get(state)
    losses = []
    for step in range(15):
        state, loss, _ = train_step(structure, optimizer, state, batch, jax.random.fold_in(KEY, step))
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    after = jax.device_get(state)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert not np.array_equal(old, new)


def test_the_old_state_is_given_away(batch):
    optimizer, structure, state = fresh()
    leaf = jax.tree.leaves(state.params)[0]
    train_step(structure, optimizer, state, batch, KEY)
    assert leaf.is_deleted()


def test_evaluation_uses_running_statistics_and_changes_nothing(batch):
    optimizer, structure, state = fresh()
    state, _, _ = train_step(structure, optimizer, state, batch, KEY)
    before = jax.device_get(state)
    whole = eval_step(structure, state.params, state.batch_stats, batch.images)
    assert whole.shape == (8, 6)
    one = eval_step(structure, state.params, state.batch_stats, batch.images[:1])
    np.testing.assert_allclose(one, whole[:1], atol=1e-5)  # a slice's answer does not depend on its neighbours
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(jax.device_get(state)), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_optimizer_object_per_setting():
    assert adam(1e-3, 0.9) is adam(1e-3, 0.9)
    assert adam(1e-3, 0.9) is not adam(1e-4, 0.9)
