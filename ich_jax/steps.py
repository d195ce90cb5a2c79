"""One step of training and one of evaluation: pure functions, compiled by XLA."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ich_jax import paper
from ich_jax.data.batches import Batch

Tree = Any  # a pytree of arrays


class TrainState(NamedTuple):
    """All that training changes."""

    params: Tree
    batch_stats: Tree  # batch norm's running mean and variance
    optimizer: Tree  # Adam's two moments and its step count


@cache  # jit tells optimizers apart by identity: one object for each setting
def adam(learning_rate: float = paper.LEARNING_RATE, beta1: float = paper.BETA1) -> optax.GradientTransformation:
    """Adam with the paper's settings; β2 and ε, which it does not state, are Keras's (Optax's ε would be 1e-8)."""
    return optax.adam(learning_rate, b1=beta1, b2=0.999, eps=1e-7)


def split_model(model: nnx.Module, optimizer: optax.GradientTransformation) -> tuple[nnx.GraphDef, TrainState]:
    """A network as its structure (hashable) and its arrays."""
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    return structure, TrainState(params, batch_stats, optimizer.init(params))


def join_model(structure: nnx.GraphDef, params: Tree, batch_stats: Tree, *, training: bool) -> nnx.Module:
    """The network again. In training, batch norm uses the batch and dropout drops; in evaluation neither."""
    model = nnx.merge(structure, params, batch_stats, copy=True)
    return nnx.view(model, use_running_average=not training, deterministic=not training, raise_if_not_found=False)


def normalise(images: jax.Array) -> jax.Array:
    """The network's input scale, which the paper does not state: uint8 / 255, float32 in 0…1."""
    return images.astype(jnp.float32) / 255


def loss_fn(
    params: Tree, batch_stats: Tree, structure: nnx.GraphDef, batch: Batch, key: jax.Array
) -> tuple[jax.Array, tuple[Tree, jax.Array]]:
    """Mean cross-entropy of a batch; beside it the moved batch statistics and the number of right answers."""
    model = join_model(structure, params, batch_stats, training=True)
    logits = model(normalise(batch.images), rngs=nnx.Rngs(dropout=key))
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()
    correct = jnp.sum(jnp.argmax(logits, axis=-1) == batch.classes)
    return loss, (nnx.state(model, nnx.BatchStat), correct)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_step(
    structure: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    scale: float = 1.0,
) -> tuple[TrainState, jax.Array, jax.Array]:
    """One gradient step, `scale` times as long as Adam's. The old state's memory is given away: do not use it again.

    Returns the new state, the batch's mean loss and its number of right answers (before the step).
    """
    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, (batch_stats, correct)), gradients = gradient(state.params, state.batch_stats, structure, batch, key)
    updates, moments = optimizer.update(gradients, state.optimizer, state.params)
    params = optax.apply_updates(state.params, jax.tree.map(lambda update: scale * update, updates))
    return TrainState(params, batch_stats, moments), loss, correct


@partial(jax.jit, static_argnums=0)
def eval_step(structure: nnx.GraphDef, params: Tree, batch_stats: Tree, images: jax.Array) -> jax.Array:
    """Logits (B, classes) of uint8 images (B, size, size, 3), in evaluation mode."""
    return join_model(structure, params, batch_stats, training=False)(normalise(images))
