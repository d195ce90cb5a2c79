"""The layers that the networks share, with Keras's defaults. The paper never names Keras; that it was used is our
inference, from layer names, parameter counts and the wording of its early stopping.

The 1×1 convolution and the pools are not XLA's general forms, which are slower on a CPU; the numbers are the same.
Measured by `benchmarks/train_step.py`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

GLOROT = nnx.initializers.glorot_uniform()
NORM_MOMENTUM = 0.99
NORM_EPSILON = 1e-3  # Flax's default is 1e-5


def conv(inputs: int, outputs: int, size: int, stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    """A size × size convolution, padded 'same', with bias."""
    return nnx.Conv(inputs, outputs, (size, size), strides=stride, kernel_init=GLOROT, rngs=rngs)


def conv_1x1(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """A 1×1 convolution with bias: one matrix product over the channels of every pixel."""
    return nnx.Linear(inputs, outputs, kernel_init=GLOROT, dot_general=_product, rngs=rngs)


def _product(x: jax.Array, kernel: jax.Array, dimension_numbers: tuple, **options: Any) -> jax.Array:
    """`lax.dot_general` over the last axis of x. On a CPU of a list of pixels that XLA has to write out first: as part
    of what lies around it, the product of the kernel's gradient is slow."""

    def of_pixels(x: jax.Array, kernel: jax.Array) -> jax.Array:
        pixels = lax.optimization_barrier(x.reshape(-1, x.shape[-1]))
        products = lax.dot_general(pixels, kernel, (((1,), (0,)), ((), ())), **options)
        return products.reshape(*x.shape[:-1], kernel.shape[-1])

    general = partial(lax.dot_general, dimension_numbers=dimension_numbers, **options)
    return lax.platform_dependent(x, kernel, cpu=of_pixels, default=general)


def depthwise(channels: int, size: int, stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    """A size × size convolution of each channel by itself, padded 'same', with bias: as many groups as channels."""
    return nnx.Conv(
        channels,
        channels,
        (size, size),
        strides=stride,
        feature_group_count=channels,
        kernel_init=GLOROT,
        rngs=rngs,
    )


def dense(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """The last layer, with bias: features → logits."""
    return nnx.Linear(inputs, outputs, kernel_init=GLOROT, rngs=rngs)


def batch_norm(channels: int, momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """`momentum` is how much the running mean and variance keep at each step.

    The variance of a batch is E[x²] − E[x]² in float32: quick, but it loses digits where the mean is a thousand times
    the standard deviation. Nothing here comes near that, and the exact form, which reads the batch twice, costs time.
    """
    return nnx.BatchNorm(channels, momentum=momentum, epsilon=NORM_EPSILON, promote_dtype=_as_they_are, rngs=rngs)


def _as_they_are(arrays: tuple, dtype: None) -> tuple:
    """Batch norm's statistics stay float32 where the layers compute in bfloat16; the result has the input's dtype."""
    return arrays


def max_pool_3x3(x: jax.Array, stride: int = 2, padding: str = "SAME") -> jax.Array:
    """3×3 max-pool, by default with stride 2, padded 'same': (B, H, W, C) → (B, ⌈H/2⌉, ⌈W/2⌉, C). The gradient of a tie
    goes to the first of the equals, row by row.

    On a CPU along one axis, then the other: XLA's own gradient searches each window a second time there.
    """

    def by_axis(x: jax.Array) -> jax.Array:
        x = lax.optimization_barrier(x)  # otherwise each view would compute the layer before it anew
        for axis in (2, 1):
            x = _maxima_of_three(x, axis, stride, padding)
        return x

    general = partial(nnx.max_pool, window_shape=(3, 3), strides=(stride, stride), padding=padding)
    return lax.platform_dependent(x, cpu=by_axis, default=general)


def _maxima_of_three(x: jax.Array, axis: int, stride: int, padding: str) -> jax.Array:
    ((before, after),) = lax.padtype_to_pads((x.shape[axis],), (3,), (stride,), padding)
    pads = [(before, after, 0) if k == axis else (0, 0, 0) for k in range(x.ndim)]
    x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), pads)
    end = x.shape[axis] - 2
    first, second, third = (lax.slice_in_dim(x, k, k + end, stride, axis) for k in range(3))
    return _earlier_maximum(_earlier_maximum(first, second), third)


def _earlier_maximum(a: jax.Array, b: jax.Array) -> jax.Array:
    """`jnp.maximum`, NaN included, but where the two are equal the gradient is a's alone."""
    return jnp.where((a >= b) | jnp.isnan(a), a, b)


def average_pool_2x2(x: jax.Array) -> jax.Array:
    """2×2 average pool with stride 2, padded 'same': (B, H, W, C) → (B, ⌈H/2⌉, ⌈W/2⌉, C).

    At the edge it divides by the number of real cells, as TensorFlow does. The sum of four views fuses with the ReLU
    before it, which a `reduce_window` makes XLA write out first.
    """
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    total = x[:, 0::2, 0::2] + x[:, 0::2, 1::2] + x[:, 1::2, 0::2] + x[:, 1::2, 1::2]
    rows = jnp.minimum(2, height - 2 * jnp.arange(total.shape[1]))  # 2, …, 2, and 1 at the end of an odd height
    columns = jnp.minimum(2, width - 2 * jnp.arange(total.shape[2]))
    return total / (rows[:, None, None] * columns[None, :, None])
