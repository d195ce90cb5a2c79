"""The layers that the networks share, with Keras's defaults: every count in the paper fits Keras code.

Two of them are written for speed on a CPU, where XLA's general forms are slow; the numbers are the same.
Measured by `benchmarks/train_step.py`.
"""

import jax
import jax.numpy as jnp
from flax import nnx

GLOROT = nnx.initializers.glorot_uniform()
NORM_MOMENTUM = 0.99
NORM_EPSILON = 1e-3  # Flax's default is 1e-5


def conv(inputs: int, outputs: int, size: int, stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    """A size × size convolution, padded 'same', with bias."""
    return nnx.Conv(inputs, outputs, (size, size), strides=stride, kernel_init=GLOROT, rngs=rngs)


def conv_1x1(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """A 1×1 convolution with bias: one matrix product over the channels of every pixel."""
    return nnx.Linear(inputs, outputs, kernel_init=GLOROT, rngs=rngs)


def batch_norm(channels: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, rngs=rngs)


def max_pool_3x3(x: jax.Array) -> jax.Array:
    """3×3 max-pool with stride 2, padded 'same': (B, H, W, C) → (B, ⌈H/2⌉, ⌈W/2⌉, C).

    The maximum of nine shifted views. `reduce_window` does the same, but its gradient is slow on a CPU.
    """
    height, width = -(-x.shape[1] // 2), -(-x.shape[2] // 2)
    pad = [(total // 2, total - total // 2) for total in (2 * height + 1 - x.shape[1], 2 * width + 1 - x.shape[2])]
    x = jnp.pad(x, ((0, 0), *pad, (0, 0)), constant_values=-jnp.inf)
    views = [
        x[:, row : row + 2 * height - 1 : 2, column : column + 2 * width - 1 : 2]
        for row in range(3)
        for column in range(3)
    ]
    largest = views[0]
    for view in views[1:]:
        largest = jnp.maximum(largest, view)
    return largest


def average_pool_2x2(x: jax.Array) -> jax.Array:
    """2×2 average pool with stride 2, padded 'same': (B, H, W, C) → (B, ⌈H/2⌉, ⌈W/2⌉, C).

    At the edge it divides by the number of real cells, as TensorFlow does.
    """
    return nnx.avg_pool(x, (2, 2), strides=(2, 2), padding="SAME", count_include_pad=False)
