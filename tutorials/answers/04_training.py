# %% [markdown]
# # Answers to tutorial 4, Hyperparameters and Settings
#
# Three exercises stand at the end of [the tutorial](../04_training.ipynb), and here again with their answers. Read them
# when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%

import jax.numpy as jnp
import numpy as np
import optax

from ich_jax.paper.early_stopping import EarlyStopping

zigzag = [0.40, 0.30, 0.33, 0.31, 0.34, 0.32, 0.33, 0.35, 0.36, 0.37]  # the tutorial's

# %% [markdown]
# ## 1
#
# > Leave out Adam's correction for its start (the two divisions by $1 - \beta^t$). How long is the very first step
# > then, compared with $\alpha$?
#
# At $t = 1$, $m = (1 - \beta_1) g$ and $v = (1 - \beta_2) g^2$, so the step is
# $\alpha\,(1 - \beta_1)/\sqrt{1 - \beta_2} = 0.05 / 0.0316 \approx 1.58\,\alpha$: too long. With the correction it is
# $\alpha$ (up to ε). With $\beta_2 = 0.99$ it would be too short, half of $\alpha$.

# %%
gradient = 0.7
first = ((1 - 0.95) * gradient) / (np.sqrt((1 - 0.999) * gradient**2) + 1e-7)
print(f"{first:.3f} times the learning rate")

# %% [markdown]
# ## 2
#
# > Write plain gradient descent with momentum, $u \leftarrow \mu u + g$, $\theta \leftarrow \theta - \alpha u$, and
# > check it against `optax.sgd(rate, momentum)`. Why does it need another learning rate for every problem, and Adam
# > not?
#
# Its step is proportional to the gradient: multiply the loss by 10 and the step is 10 times as long. Adam divides by
# the gradient's own size.

# %%
optimizer = optax.sgd(0.1, momentum=0.9)
theta, u = 2.0, 0.0
theirs = jnp.asarray(2.0)
state = optimizer.init(theirs)
for _ in range(20):
    u = 0.9 * u + theta  # the gradient of θ²/2 is θ
    theta -= 0.1 * u
    updates, state = optimizer.update(theirs, state)
    theirs = optax.apply_updates(theirs, updates)
np.testing.assert_allclose(theta, theirs, rtol=1e-4)
print(f"after 20 steps: {theta:.4f}, Optax {theirs:.4f}")

# %% [markdown]
# ## 3
#
# > With patience 1, after which epoch would each rule have stopped on `zigzag`?
#
# Both after epoch 3: it is the first that is not better than the best, and the first that is higher than the one
# before. The rules only differ from patience 2 on.

# %%
for rule in ("no-improvement", "rises"):
    state = EarlyStopping(1, rule)
    for loss in zigzag:
        state = state.after(loss)
        if state.should_stop:
            break
    print(f"{rule}: after epoch {state.epoch}")
