"""Assignment 5, as ich_jax.paper does it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ich_jax.paper import steps
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.metrics import cross_entropy

__all__ = ["adam_step", "bias_corrected", "cross_entropy", "early_stopping", "moments"]


def moments(gradient, m, v, beta1, beta2):
    return (
        optax.tree_utils.tree_update_moment(gradient, m, beta1, 1),
        optax.tree_utils.tree_update_moment(gradient, v, beta2, 2),
    )


def bias_corrected(moment, beta, step):
    return optax.tree_utils.tree_bias_correction(np.float32(moment), beta, step)


def adam_step(parameter, gradient, m, v, step, learning_rate, beta1, beta2, epsilon, keras_epsilon):
    """The package fixes β2 and ε to Keras's; for others, Optax's own."""
    if (beta2, epsilon) == (steps.BETA2, steps.EPSILON):
        optimizer = steps.adam(learning_rate, beta1, keras_epsilon)
    else:
        epsilon = epsilon / np.sqrt(1 - beta2**step) if keras_epsilon else epsilon
        optimizer = optax.inject_hyperparams(optax.adam)(learning_rate, b1=beta1, b2=beta2, eps=epsilon)
    # The steps taken stand in several places of the state; they are its only integers.
    state = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, step - 1) if jnp.issubdtype(leaf.dtype, jnp.integer) else leaf,
        optimizer.init(jnp.asarray(parameter, jnp.float32)),
    )
    inner = state.inner_state[0]._replace(mu=jnp.float32(m), nu=jnp.float32(v))
    state = state._replace(inner_state=(inner, *state.inner_state[1:]))
    update, state = optimizer.update(jnp.float32(gradient), state, jnp.float32(parameter))
    return optax.apply_updates(parameter, update), state.inner_state[0].mu, state.inner_state[0].nu


def early_stopping(losses, patience, rule):
    state = EarlyStopping(patience, rule)
    for loss in losses:
        state = state.after(loss)
        if state.should_stop:
            break
    return state.epoch, state.best_epoch
