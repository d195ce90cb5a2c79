"""One step of training and one of evaluation: pure functions, for XLA to compile (paper: Hiperparametre Seçimleri)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ich_jax.paper.printed import BETA1, LEARNING_RATE

Tree = Any  # a pytree of arrays
Augment = Callable[[jax.Array, jax.Array], jax.Array]  # (key, uint8 images) → images of the same shape
BETA2, EPSILON = 0.999, 1e-7
AUGMENTS = 2**32 - 1  # folded into a step's key for its augmentation; dropout counts its own draws from 0


class Batch(NamedTuple):
    images: jax.Array  # (B, size, size, 3) uint8
    classes: jax.Array  # (B,) int32, places in printed.CLASSES


class TrainState(NamedTuple):
    """All that training changes."""

    step: jax.Array  # () int32, steps taken
    params: Tree
    batch_stats: Tree  # batch norm's running mean and variance
    optimizer: Tree  # Adam's two moments and its step count


class Sums(NamedTuple):
    """What an epoch adds up step by step. It stays on the device, so that no step waits for the host to look."""

    loss: jax.Array  # () float32, over slices
    correct: jax.Array  # () int32
    slices: jax.Array  # () int32


def no_sums() -> Sums:
    return Sums(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def adam(
    learning_rate: float | optax.Schedule = LEARNING_RATE, beta1: float = BETA1, keras_epsilon: bool = True
) -> optax.GradientTransformation:
    """Adam with the paper's settings; β2 and ε, which it does not state, are Keras's.

    Kingma and Ba write Adam twice. Their Algorithm 1, which is Optax's, adds ε to √v̂, after bias correction. The
    quicker form below it, which is Keras's, adds it to √v, before; after correction it then counts as ε / √(1 − β2ᵗ):
    3.2e-6 in the first step, and falling to 1e-7. The two differ where gradients are that small.

    Args:
        learning_rate: or a schedule, a function of the number of steps taken, for one that decays.
        beta1: how much of the gradients' running mean each step keeps.
        keras_epsilon: add ε where Keras does, not where Optax does.
    """
    # What a schedule may change is part of the optimizer's state; the rest is fixed in the program.
    scheduled = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps_root"))
    return scheduled(learning_rate, b1=beta1, b2=BETA2, eps=_epsilon_after_correction if keras_epsilon else EPSILON)


def _epsilon_after_correction(steps_taken: jax.Array) -> jax.Array:
    return EPSILON / jnp.sqrt(1 - BETA2 ** (steps_taken + 1))


def split_model(model: nnx.Module, optimizer: optax.GradientTransformation) -> tuple[nnx.GraphDef, TrainState]:
    """A network as its structure and its arrays, before the first step."""
    structure, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    return structure, first_state(params, batch_stats, optimizer)


def first_state(params: Tree, batch_stats: Tree, optimizer: optax.GradientTransformation) -> TrainState:
    """Before the first step: no step taken, Adam's moments zero."""
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats, optimizer.init(params))


def join_model(structure: nnx.GraphDef, params: Tree, batch_stats: Tree, *, training: bool) -> nnx.Module:
    """The network again. In training, batch norm uses the batch and dropout drops; in evaluation neither."""
    model = nnx.merge(structure, params, batch_stats, copy=True)
    return nnx.view(model, use_running_average=not training, deterministic=not training, raise_if_not_found=False)


def normalise(images: jax.Array, dtype: jax.typing.DTypeLike = jnp.float32) -> jax.Array:
    """The network's input scale, which the paper does not state: uint8 / 255, in 0…1."""
    return (images.astype(jnp.float32) / 255).astype(dtype)


def in_precision(params: Tree, dtype: jax.typing.DTypeLike) -> Tree:
    """Parameters as the layers compute with them. What is kept and learned stays float32, as batch norm's statistics
    and the loss do: bfloat16's eight bits would swallow Adam's small steps."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params)


def loss_fn(
    params: Tree,
    batch_stats: Tree,
    structure: nnx.GraphDef,
    batch: Batch,
    key: jax.Array,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> tuple[jax.Array, tuple[Tree, jax.Array]]:
    """Mean cross-entropy of a batch; beside it the moved batch statistics and the number of right answers. The layers
    compute in `dtype`."""
    model = join_model(structure, in_precision(params, dtype), batch_stats, training=True)
    logits = model(normalise(batch.images, dtype), rngs=nnx.Rngs(dropout=key)).astype(jnp.float32)  # (B, 6)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()
    correct = jnp.sum(jnp.argmax(logits, axis=-1) == batch.classes)
    return loss, (nnx.state(model, nnx.BatchStat), correct)


def train_step(
    structure: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    sums: Sums,
    batch: Batch,
    key: jax.Array,
    dtype: jax.typing.DTypeLike = jnp.float32,
    augment: Augment | None = None,
) -> tuple[TrainState, Sums]:
    """One gradient step.

    Args:
        structure, optimizer: from `split_model`.
        state: before the step.
        sums: of the epoch so far; what the batch adds is measured before the step.
        batch: the slices to learn from.
        key: of the whole training's dropout and augmentation; each step makes its own of it.
        dtype: in which the layers compute, float32 or bfloat16.
        augment: changes the images before they are learned from; the paper does not.
    """
    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    step_key = jax.random.fold_in(key, state.step)
    if augment:
        batch = batch._replace(images=augment(jax.random.fold_in(step_key, AUGMENTS), batch.images))
    (loss, (batch_stats, correct)), gradients = gradient(
        state.params, state.batch_stats, structure, batch, step_key, dtype
    )
    updates, moments = optimizer.update(gradients, state.optimizer, state.params)
    size = batch.classes.shape[0]
    return (
        TrainState(state.step + 1, optax.apply_updates(state.params, updates), batch_stats, moments),
        Sums(sums.loss + loss * size, sums.correct + correct, sums.slices + size),
    )


def eval_step(
    structure: nnx.GraphDef,
    params: Tree,
    batch_stats: Tree,
    images: jax.Array,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> jax.Array:
    """Logits (B, 6) float32 of uint8 images (B, size, size, 3), in evaluation mode."""
    model = join_model(structure, in_precision(params, dtype), batch_stats, training=False)
    return model(normalise(images, dtype)).astype(jnp.float32)


class CompiledSteps(NamedTuple):
    """The two steps of one network. `train` gives the old state's memory away: do not use that state again."""

    train: Callable[[TrainState, Sums, Batch, jax.Array], tuple[TrainState, Sums]]
    evaluate: Callable[[Tree, Tree, jax.Array], jax.Array]  # (params, batch_stats, images) → logits


def compile_steps(
    structure: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    dtype: jax.typing.DTypeLike = jnp.float32,
    results: jax.sharding.Sharding | None = None,
    augment: Augment | None = None,
) -> CompiledSteps:
    """`train_step` and `eval_step`, each compiled at its first call with a batch of another size.

    The structure is closed over: as an argument it would be hashed at every call. `results` says on which devices the
    new state and the logits are to lie (by default XLA decides).
    """
    train = partial(train_step, structure, optimizer, dtype=dtype, augment=augment)
    return CompiledSteps(
        train=jax.jit(train, donate_argnums=0, out_shardings=results),
        evaluate=jax.jit(partial(eval_step, structure, dtype=dtype), out_shardings=results),
    )
