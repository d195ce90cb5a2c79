"""Assignment 4: the network. The sheet is sheets/4_network.md. Where it says JAX, the function must also work under
`jax.jit`; images are (B, H, W, C), batch first and channels last, float32.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

NORM_EPSILON = 1e-3


def same_side(side: int, stride: int) -> int:
    """The side of a layer's output, in pixels, if its input is padded 'same': one output for every `stride` pixels, the
    last of which may lie half outside.

    >>> same_side(224, 2)
    112
    """
    raise NotImplementedError


def conv_parameters(size: int, inputs: int, outputs: int) -> int:
    """The parameters of a size × size convolution from `inputs` to `outputs` channels, with a bias for each output.

    >>> conv_parameters(7, 3, 64)
    9472
    """
    raise NotImplementedError


def batch_norm_parameters(channels: int) -> tuple[int, int]:
    """The parameters of a batch norm: those that training changes by gradients (scale and bias), and all that it holds
    (the running mean and variance as well).

    >>> batch_norm_parameters(1)
    (2, 4)
    """
    raise NotImplementedError


def dense_parameters(inputs: int, outputs: int) -> int:
    """The parameters of a dense layer with a bias for each output.

    >>> dense_parameters(2, 3)
    9
    """
    raise NotImplementedError


def network_parameters(image_size: int) -> int:
    """All that the paper's network holds for images of image_size × image_size pixels and six classes, running means
    and variances included. The sheet says how it is built.

    >>> network_parameters(224)
    5434246
    """
    raise NotImplementedError


def conv_1x1(x: jnp.ndarray, kernel: jnp.ndarray, bias: jnp.ndarray) -> jnp.ndarray:
    """A 1×1 convolution: a matrix product over the channels of every pixel. JAX.

    Args:
        x: (B, H, W, C).
        kernel: (C, F).
        bias: (F,).

    Returns:
        (B, H, W, F) floats.

    >>> x, kernel = jnp.array([[[[1.0, 2.0]]]]), jnp.array([[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]])
    >>> conv_1x1(x, kernel, jnp.array([0.0, 0.0, 0.5])).tolist()
    [[[[1.0, 2.0, 8.5]]]]
    """
    raise NotImplementedError


def average_pool_2x2(x: jnp.ndarray) -> jnp.ndarray:
    """The mean of every 2×2 pixels, with stride 2, padded 'same'. Where the last row or column of an odd picture stands
    alone, the mean is that of the real pixels: a picture of ones stays one of ones. JAX.

    Args:
        x: (B, H, W, C).

    Returns:
        (B, ⌈H/2⌉, ⌈W/2⌉, C) floats.

    >>> average_pool_2x2(jnp.array([[1.0, 3.0, 5.0], [3.0, 5.0, 7.0]]).reshape(1, 2, 3, 1)).ravel().tolist()
    [3.0, 6.0]
    """
    raise NotImplementedError


def conv_3x3(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> Any:
    """A 3×3 convolution, stride 1, padded 'same' with zeros. NumPy or JAX; in `block` you will need JAX.

    Args:
        x: (B, H, W, C).
        kernel: (3, 3, C, F): rows, columns, input and output channels. As in every network it is not turned round:
            kernel[0, 0] multiplies the pixel above and to the left.
        bias: (F,).

    Returns:
        (B, H, W, F) floats, a NumPy or JAX array.

    >>> x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    >>> kernel = np.zeros((3, 3, 1, 1), np.float32)
    >>> kernel[0, 0], kernel[1, 1] = 1, 10
    >>> conv_3x3(x, kernel, np.zeros(1, np.float32))[0, :, :, 0].tolist()
    [[0.0, 10.0, 20.0], [30.0, 40.0, 51.0], [60.0, 73.0, 84.0]]
    """
    raise NotImplementedError


def batch_norm(
    x: jnp.ndarray, scale: jnp.ndarray, bias: jnp.ndarray, mean: jnp.ndarray, variance: jnp.ndarray
) -> jnp.ndarray:
    """Batch norm in evaluation: of each channel the given mean is subtracted, the result divided by the square root of
    (variance + NORM_EPSILON), multiplied with scale, and bias added. JAX.

    Args:
        x: (B, H, W, C).
        scale, bias, mean, variance: (C,) each.

    Returns:
        (B, H, W, C) floats.

    >>> x, one = jnp.array([[[[1.0]], [[2.0]]]]), jnp.ones(1)
    >>> batch_norm(x, 3 * one, 5 * one, one, one - NORM_EPSILON).ravel().round(4).tolist()
    [5.0, 8.0]
    """
    raise NotImplementedError


def block(x: jnp.ndarray, parameters: dict[str, jnp.ndarray]) -> jnp.ndarray:
    """One block of the paper's network in evaluation: conv 1×1, ReLU, conv 3×3, ReLU, batch norm, conv 1×1, ReLU,
    average pool 2×2. JAX.

    Args:
        x: (B, H, W, C).
        parameters: of a block of width f, float32: "reduce_kernel" (C, f) and "reduce_bias" (f,) of the first
            convolution; "conv_kernel" (3, 3, f, f) and "conv_bias" (f,); "norm_scale", "norm_bias", "norm_mean" and
            "norm_variance" (f,) each; "expand_kernel" (f, 4f) and "expand_bias" (4f,) of the last convolution.

    Returns:
        (B, ⌈H/2⌉, ⌈W/2⌉, 4f) floats.

    >>> names = ["reduce_bias", "conv_bias", "norm_scale", "norm_bias", "norm_mean", "norm_variance"]
    >>> kernels = {"reduce_kernel": jnp.ones((3, 2)), "conv_kernel": jnp.ones((3, 3, 2, 2))}
    >>> expand = {"expand_kernel": jnp.ones((2, 8)), "expand_bias": jnp.zeros(8)}
    >>> block(jnp.ones((1, 5, 4, 3)), dict.fromkeys(names, jnp.ones(2)) | kernels | expand).shape
    (1, 3, 2, 8)
    """
    raise NotImplementedError
