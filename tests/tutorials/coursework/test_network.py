"""Typical mistakes of assignment 4, at the marks that they are meant to get."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tutorials.coursework.marked import points, reasons
from tutorials.coursework.assignments.network import _block, _cells, _conv_3x3
from tutorials.coursework.reference.network import network_parameters


def _norm(x, scale, bias, mean, variance, epsilon=1e-3, beside=0.0):
    return (x - mean) / (jnp.sqrt(variance + epsilon) + beside) * scale + bias


def _pool(x, xp=jnp, count=None):
    height, width = x.shape[1:3]
    padded = xp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    ones = xp.pad(xp.ones((1, height, width, 1)), ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    return _cells(padded).sum((2, 4)) / (count or _cells(ones).sum((2, 4)))


def _in_jax(x, p):
    relu = jax.nn.relu
    x = relu(jnp.einsum("bhwc,cf->bhwf", x, p["reduce_kernel"]) + p["reduce_bias"])
    dimensions = ("NHWC", "HWIO", "NHWC")
    x = jax.lax.conv_general_dilated(x, p["conv_kernel"], (1, 1), "SAME", dimension_numbers=dimensions)
    x = _norm(relu(x + p["conv_bias"]), *(p[f"norm_{one}"] for one in ("scale", "bias", "mean", "variance")))
    return _pool(relu(x @ p["expand_kernel"] + p["expand_bias"]))


def test_other_ways_lose_nothing():
    def in_double(x, kernel, bias):
        return _conv_3x3(x.astype(np.float64), kernel, bias)

    def as_list(channels):
        return [2 * channels, np.int64(4 * channels)]

    def of_pixels(x, kernel, bias):
        return (x.reshape(-1, x.shape[-1]) @ kernel + bias).reshape(*x.shape[:-1], -1)

    ways = {"batch_norm_parameters": as_list, "conv_1x1": of_pixels, "average_pool_2x2": _pool, "conv_3x3": in_double}
    assert points("network", **ways, batch_norm=_norm, block=_in_jax) == {}


@pytest.mark.parametrize(
    ("function", "mistake", "left", "reason"),
    [
        ("same_side", lambda side, stride: side // stride, 0, "if the last output, half outside, is left out"),
        ("conv_parameters", lambda k, c, f: k * k * c * f, 0, "if the biases are not counted"),
        ("batch_norm_parameters", lambda c: (4 * c, 4 * c), 0, "count as trainable"),
        ("dense_parameters", lambda inputs, outputs: inputs * outputs, 0, "if the biases are not counted"),
        ("network_parameters", lambda size: network_parameters(size) - 2048, 0, "variances are not counted"),
        ("network_parameters", lambda size: 5434246, 1, "gives 5434246, not "),
        ("network_parameters", lambda size: network_parameters(size // 64 * 64), 0, "if sides are rounded down"),
        ("conv_1x1", lambda x, kernel, bias: x @ kernel, 0, "if the bias is not added"),
        ("conv_1x1", lambda x, kernel, bias: np.asarray(x) @ kernel + bias, 0, "take the function of jax.numpy"),
        ("average_pool_2x2", lambda x: _pool(x, count=4), 1, "if the sum is always divided by four"),
        ("average_pool_2x2", lambda x: _pool(np.asarray(x), np), 1, "under jax.jit: NumPy cannot work on an array"),
        ("conv_3x3", lambda x, k, b: _conv_3x3(x, k[::-1, ::-1], b), 0, "if the kernel is turned round"),
        ("conv_3x3", lambda x, k, b: _conv_3x3(x, k, 0), 1, "if the bias is not added"),
        ("conv_3x3", lambda x, k, b: _conv_3x3(x, k, b)[:, 1:-1, 1:-1], 0, "gives the shape (1, 1, 1, 1), not"),
        ("batch_norm", lambda *a: _norm(*a, epsilon=0, beside=1e-3), 1, "if epsilon is added to the root"),
        ("batch_norm", lambda *a: _norm(*a, epsilon=1e-5), 1, "if epsilon is 1e-5"),
        ("batch_norm", lambda x, s, b, m, v: _norm(x, s, b, m, v**2), 0, "differ"),
        ("block", lambda x, p: _in_jax(x, p | {"norm_scale": p["norm_bias"]}), 0, "values differ"),
        ("block", lambda x, p: _block(*jax.tree.map(np.asarray, (x, p))), 1, "take the function of jax.numpy"),
        ("block", lambda x, p: _block(*jax.tree.map(np.asarray, (x, p)), relu_last=True), 0, "comes after the batch"),
        ("block", lambda x, p: _block(*jax.tree.map(np.asarray, (x, p)), last_relu=False), 0, "after the last conv"),
    ],
)
def test_a_typical_mistake(function, mistake, left, reason):
    assert points("network", **{function: mistake}) == {function: left}
    assert reason in reasons("network", **{function: mistake})
