# %% [markdown]
# # 2½ · Primer: networks, training and JAX
#
# The next tutorials build the paper's network and train it. This one is for those who have never seen a network, or
# never JAX. Everything happens on the smallest example that shows it: a curve through a handful of points. The paper's
# network learns in the same way, only with five million numbers instead of 193, and from images instead of points.
#
# - **You will** write a small network, train it, and watch it learn too much.
# - **You will learn** the words network, parameter, loss, gradient, step, epoch, overfitting and running mean, and five
#   tools of JAX: random keys, pytrees, `vmap`, `grad` and `jit`.
# - **You need** NumPy, and to know what the slope of a curve is.
# - **It takes** about 40 minutes to study. Change the numbers and run the cells again.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from tutorials.common import show

# %% [markdown]
# ## A network is a function with numbers in it
#
# A **neuron** takes some numbers, multiplies each by a *weight*, adds them up together with a *bias*, and replaces a
# negative result by 0 (that last part is called *ReLU*). Its name comes from nerve cells, hence *neural network*.
# Several neurons side by side, all with the same inputs, are a **layer**: a matrix product. A **network** is layers one
# after the other. The last one usually has no ReLU, so that its answers can be negative. JAX's `jnp` is written like
# NumPy:


# %%
def layer(x, weights, bias):
    """(inputs,) → (neurons,)."""
    return jnp.maximum(x @ weights + bias, 0)


x = jnp.array([1.0, 2.0])  # two inputs
print(layer(x, weights=jnp.array([[1.0, 0.5, -1.0], [1.0, 0.0, -1.0]]), bias=jnp.zeros(3)))

# %% [markdown]
# The first neuron says 1·1 + 2·1 = 3, the second 1·0.5 + 2·0 = 0.5, the third would say −3 and so says 0.
#
# The weights and biases are the network's **parameters**. Nobody writes them down: they start mostly at random, and
# *training* changes them until the answers are good. This takes two tools.
#
# ## A random key
#
# NumPy's generator remembers how often it was asked. JAX remembers nothing: you hand it a *key*, and the same key gives
# the same numbers. For other numbers, *split* the key.

# %%
key = jax.random.key(0)
print(jax.random.normal(key, 3), "and again", jax.random.normal(key, 3))
key_1, key_2 = jax.random.split(key)
print("other keys:", jax.random.normal(key_1, 3), jax.random.normal(key_2, 3))

# %% [markdown]
# ## A pytree
#
# Parameters are many arrays of many shapes. JAX takes them all together, in dictionaries, lists and tuples within each
# other: a *pytree*. `jax.tree.map` does the same with each array. Here is our network: one number in, 64 neurons, one
# number out. Its weights start at random; those of the last layer are divided by 8 = √64, so that a sum over 64 neurons
# does not start out too large. The biases of the 64 are spread evenly from −2 to 2, so that they switch on at different
# places.

# %%
params = {
    "hidden": {"weights": jax.random.normal(key_1, (1, 64)), "bias": jnp.linspace(-2, 2, 64)},
    "out": {"weights": jax.random.normal(key_2, (64, 1)) / 8, "bias": jnp.zeros(1)},
}
print(jax.tree.map(jnp.shape, params))
print("parameters:", sum(array.size for array in jax.tree.leaves(params)))

# %% [markdown]
# ## `vmap`: from one to many
#
# It is easiest to write the function for **one** example. `jax.vmap` makes of it one for many at once. `in_axes=(None,
# 0)` says: the same parameters for all, and the examples lie along axis 0.


# %%
def network(params, x):
    """One number in, one out."""
    hidden = layer(x[None], **params["hidden"])
    return (hidden @ params["out"]["weights"] + params["out"]["bias"])[0]


xs = jnp.array([-1.0, 0.0, 1.0])
print("one:", network(params, xs[0]))
print("three:", jax.vmap(network, in_axes=(None, 0))(params, xs))

# %% [markdown]
# ## `grad`: which way is down?
#
# Training needs to know how wrong the answers are. That is one number, the **loss**: small is good. For example, with
# one parameter $t$, let the loss be $t^2 / 2$. Its slope at $t$ is $t$, and `jax.grad` finds that out from the code:

# %%
slope = jax.grad(lambda t: t**2 / 2)
print("slope at 3:", slope(3.0), " slope at -1:", slope(-1.0))

# %% [markdown]
# Where the slope is positive, a smaller $t$ lowers the loss; where it is negative, a larger one. So a **step** of
# training is: subtract a little of the slope. How little is the **learning rate**.

# %%
t = 3.0
for _ in range(5):
    t = t - 0.5 * slope(t)  # the learning rate is 0.5
    print(t, end="  ")

# %% [markdown]
# With many parameters there is a slope for each, and all of them together are the **gradient**. It has the same shape
# as the parameters: of a pytree it is a pytree.
#
# Our task: points near a curve, each with an error of measurement. Twelve of them are for learning (*training*), and
# two hundred more are held back, to see how well what was learned holds for points it has not seen (*validation*). The
# loss is the mean squared distance of the answers.


# %%
def points(rng, count):
    x = rng.uniform(-2, 2, count).astype(np.float32)
    return x, (np.sin(2 * x) + 0.4 * rng.standard_normal(count)).astype(np.float32)


rng = np.random.default_rng(4)
training, validation = points(rng, 12), points(rng, 200)


def loss(params, xs, ys):
    return jnp.mean((jax.vmap(network, in_axes=(None, 0))(params, xs) - ys) ** 2)


print("loss:", loss(params, *training))
print("gradient:", jax.tree.map(jnp.shape, jax.grad(loss)(params, *training)))

# %% [markdown]
# ## `jit`: compile
#
# A step is needed thousands of times. `jax.jit` compiles it: at the first call JAX watches which operations it is made
# of and translates them into one program, which all later calls run. For that, a function may only depend on what it
# is given, and gives back what is new instead of changing anything.


# %%
@jax.jit
def step(params, xs, ys):
    gradient = jax.grad(loss)(params, xs, ys)
    return jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient)


print("loss after one step:", loss(step(params, *training), *training))

# %% [markdown]
# ## Epochs
#
# With 360,000 images nobody computes the gradient of all for each step. One takes a few, a **batch**, makes a step, and
# takes the next few. When every training example has been used once, an **epoch** is over; they are shuffled and the
# next begins. Here: batches of four, so an epoch has three steps.

# %%
history = {}  # epoch → parameters
for epoch in range(1, 3001):
    order = rng.permutation(12).reshape(3, 4)
    for chosen in order:
        params = step(params, training[0][chosen], training[1][chosen])
    if epoch in (1, 3, 10, 30, 100, 300, 1000, 3000):
        history[epoch] = params
losses = {
    epoch: (float(loss(at, *training)), float(loss(at, *validation)))
    for epoch, at in history.items()
}
for epoch, (on_training, on_validation) in losses.items():
    print(f"epoch {epoch:4}  loss: training {on_training:.3f}  validation {on_validation:.3f}")

# %% [markdown]
# ## Overfitting
#
# The training loss keeps falling. The validation loss falls, too, and then **rises**: from there on the network learns
# the errors of its twelve points, which no other points share. It learns by heart. That is *overfitting*, and it is why
# a network is never judged by the examples it was trained on.

# %%
best = min(losses, key=lambda epoch: losses[epoch][1])
figure = Figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subplots(1, 2)
for k, (name, line) in enumerate((("training", "o-"), ("validation", "s--"))):
    left.plot(list(losses), [pair[k] for pair in losses.values()], "k" + line, label=name)
left.set(xscale="log", xlabel="epoch", ylabel="loss", title="the loss")
left.legend(fontsize=8)
grid = jnp.linspace(-2, 2, 200)
right.plot(*training, "ko", label="training points")
right.plot(grid, np.sin(2 * grid), color="0.75", linewidth=4, label="the curve behind them")
for epoch, line in ((best, "k--"), (3000, "k-")):
    curve = jax.vmap(network, in_axes=(None, 0))(history[epoch], grid)
    right.plot(grid, curve, line, linewidth=1.2, label=f"network, epoch {epoch}")
right.set(xlabel="x", ylabel="y", title="what it has learned")
right.legend(fontsize=7)
show(
    figure,
    "Left, the loss of the training points falls on and on, that of the others does not. Right, the "
    "network of the last epoch bends to meet single points.",
)

# %% [markdown]
# ## A running mean
#
# One more word. Much in training is noisy: the loss of a batch, its mean grey level, its gradient. To smooth such a row
# of numbers without keeping them, remember one number $m$, and at each new value $x$ move it a little: $m \leftarrow
# 0.9\, m + 0.1\, x$. The share that is kept, 0.9, is often called *momentum*. The next value counts a tenth, the one
# before a tenth of 0.9, and so on: $m$ is a mean of about the last $1 / (1 - 0.9) = 10$ values, a **running mean**.

# %%
m = 0.0
for number in range(1, 41):
    m = 0.9 * m + 0.1 * rng.normal(5, 0.5)  # values around 5
    if number in (1, 2, 5, 10, 20, 40):
        print(f"after {number:2} values: {m:.2f}")

# %% [markdown]
# It begins at 0 and takes some tens of values to arrive: *until then it is wrong*. You will meet this twice. Adam, the
# rule by which the paper's network is trained, corrects its running means for it ([tutorial 4](04_training.ipynb)). And
# batch norm, a layer of that network ([tutorial 3](03_network.ipynb)), does not, so that after a few steps a network
# answers with means that are not there yet.
