"""Marks of assignment 4, the network. Compared with ich_jax.models."""

from types import ModuleType
from typing import Any

import numpy as np

from tutorials.coursework.marking import Ask, Assignment

network = Assignment("network")
ROUNDED = 1e-4  # what float32 may lose in a few steps
PRODUCTS = 1e-2  # in a notebook on a GPU, which rounds what it multiplies to 10 bits (TF32)
NORMS = (64, 64, 128, 256, 512)  # channels of each batch norm


@network.drawn("same_side", 1, "sides and strides that do not divide each other")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for stride in (1, 2, 3, 4):
        side = stride * int(draw.integers(10, 99)) + stride // 2
        known = {"the last output, half outside, is left out": side // stride, "one too many": side // stride + 1}
        ask.expect(_right().same_side(side, stride), "same_side", side, stride, known=known)


@network.drawn("conv_parameters", 1, "any size and channels")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for _ in range(3):
        size, inputs, outputs = (int(draw.integers(2, high)) for high in (8, 60, 60))
        known = {
            "the biases are not counted": size**2 * inputs * outputs,
            "there is a bias for each input": size**2 * inputs * outputs + inputs,
            "the kernel is one row": size * inputs * outputs + outputs,
            "each input channel has the same kernel": size**2 * outputs + outputs,
        }
        wanted = _right().conv_parameters(size, inputs, outputs)
        ask.expect(wanted, "conv_parameters", size, inputs, outputs, known=known)


@network.drawn("batch_norm_parameters", 1, "any channels")
def _(ask: Ask, draw: np.random.Generator) -> None:
    channels = int(draw.integers(3, 600))
    known = {
        "the running mean and variance count as trainable": (4 * channels, 4 * channels),
        "the running mean and variance are not counted": (2 * channels, 2 * channels),
        "the two are exchanged": (4 * channels, 2 * channels),
    }
    ask.expect(_right().batch_norm_parameters(channels), "batch_norm_parameters", channels, known=known)


@network.drawn("dense_parameters", 1, "any inputs and outputs")
def _(ask: Ask, draw: np.random.Generator) -> None:
    inputs, outputs = int(draw.integers(10, 4000)), int(draw.integers(2, 9))
    known = {
        "the biases are not counted": inputs * outputs,
        "there is a bias for each input": inputs * outputs + inputs,
    }
    ask.expect(_right().dense_parameters(inputs, outputs), "dense_parameters", inputs, outputs, known=known)


@network.given("network_parameters", 1, "224 pixels, as in the paper")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_count(ask, 224)


@network.drawn("network_parameters", 1, "other sizes, also such as no power of two divides")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for image_size in (64 * int(draw.integers(5, 9)), 64 * int(draw.integers(1, 5)) + int(draw.integers(1, 32))):
        _expect_count(ask, image_size)


@network.drawn("conv_1x1", 1, "any batch, also under jax.jit")
def _(ask: Ask, draw: np.random.Generator) -> None:
    x, kernel, bias = _arrays(draw, (2, 3, 4, 5), (5, 6), (6,))
    known = {"the bias is not added": x @ kernel}
    _expect_both(ask, "conv_1x1", x, kernel, bias, known=known, tolerance=PRODUCTS)


@network.given("average_pool_2x2", 1, "an even picture")
def _(ask: Ask, draw: np.random.Generator) -> None:
    x = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    _expect(ask, "average_pool_2x2", x, known=_wrong_pools(x), tolerance=ROUNDED)


@network.drawn("average_pool_2x2", 1, "odd pictures, also under jax.jit")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for shape in ((2, 7, 7, 3), (1, 4, 5, 2), (1, 3, 6, 1)):
        (x,) = _arrays(draw, shape)
        _expect(ask, "average_pool_2x2", x, known=_wrong_pools(x), tolerance=ROUNDED)
    _expect(ask, "average_pool_2x2", x, known=_wrong_pools(x), tolerance=ROUNDED, jit=True)


@network.given("conv_3x3", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 0], kernel[1, 1] = 1, 10
    _expect_conv_3x3(ask, np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1), kernel, np.zeros(1, np.float32))


@network.drawn("conv_3x3", 1, "any batch, channels and bias, a picture that is not square")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_conv_3x3(ask, *_arrays(draw, (2, 5, 7, 4), (3, 3, 4, 3), (3,)))


@network.drawn("batch_norm", 1, "any statistics, also under jax.jit")
def _(ask: Ask, draw: np.random.Generator) -> None:
    # Variances in which no epsilon shows.
    _expect_norm(ask, draw, variance=draw.uniform(4, 20, 5), tolerance=1e-3, jit=True)


@network.drawn("batch_norm", 1, "small variances: epsilon is added below the root")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_norm(ask, draw, variance=np.array([0, *draw.uniform(1e-4, 5e-3, 4)]), tolerance=ROUNDED, jit=False)


@network.drawn("block", 1, "even and odd pictures")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for shape in ((2, 6, 4, 5), (1, 5, 7, 3)):
        _expect_block(ask, draw, shape, jit=False)


@network.drawn("block", 1, "under jax.jit")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_block(ask, draw, (2, 4, 5, 3), jit=True)


def _right() -> ModuleType:
    """ich_jax.models by the assignment's signatures. Imported late: Flax takes a second, and other sheets need none."""
    from tutorials.coursework.reference import network

    return network


def _on_device(value: Any) -> Any:
    import jax

    return jax.tree.map(jax.numpy.asarray, value)


def _arrays(draw: np.random.Generator, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [draw.normal(size=shape).astype(np.float32) for shape in shapes]


def _expect(ask: Ask, function: str, *arguments: Any, **how: Any) -> None:
    """With JAX arrays, as one who writes JAX is used to."""
    arguments = _on_device(arguments)
    ask.expect(np.asarray(getattr(_right(), function)(*arguments)), function, *arguments, **how)


def _expect_both(ask: Ask, function: str, *arguments: Any, **how: Any) -> None:
    for jit in (False, True):
        _expect(ask, function, *arguments, jit=jit, **how)


def _expect_count(ask: Ask, image_size: int) -> None:
    right, side = _right().network_parameters(image_size), -(-image_size // 64)
    norms = sum(NORMS)
    known = {
        "running means and variances are not counted": right - 2 * norms,
        "batch norms are not counted": right - 4 * norms,
        "the batch norm of the stem is not counted": right - 4 * 64,
        "the dense layer sees each channel once (a global average pool)": right - 6 * 2048 * (side**2 - 1),
        "sides are rounded down": right - 6 * 2048 * (side**2 - (image_size // 64) ** 2),
        "there is one halving too few": right + 6 * 2048 * ((-(-image_size // 32)) ** 2 - side**2),
        "the biases of the dense layer are not counted": right - 6,
    }
    ask.expect(right, "network_parameters", image_size, known=known)


def _wrong_pools(x: np.ndarray) -> dict:
    odd = [(0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)]
    even = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    zeros, least = np.pad(x, odd), np.pad(x, odd, constant_values=-np.inf)
    return {
        "the sum is always divided by four, though a cell at the edge has fewer pixels": _cells(zeros).mean((2, 4)),
        "the last row and column of an odd picture are left out": _cells(even).mean((2, 4)),
        "the largest is taken, not the mean": _cells(least).max((2, 4)),
        "the sum is taken, not the mean": _cells(zeros).sum((2, 4)),
    }


def _cells(x: np.ndarray) -> np.ndarray:
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels)


def _expect_conv_3x3(ask: Ask, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> None:
    known = {
        "the kernel is turned round": _conv_3x3(x, kernel[::-1, ::-1], bias),
        "rows and columns of the kernel are exchanged": _conv_3x3(x, kernel.swapaxes(0, 1), bias),
        "the frame repeats the picture's edge instead of zeros": _conv_3x3(x, kernel, bias, mode="edge"),
        "the picture is continued from the other side": _conv_3x3(x, kernel, bias, mode="wrap"),
        "the bias is not added": _conv_3x3(x, kernel, 0),
    }
    # NumPy arrays: JAX takes them as well, while NumPy cannot write into JAX's.
    wanted = np.asarray(_right().conv_3x3(*_on_device((x, kernel, bias))))
    ask.expect(wanted, "conv_3x3", x, kernel, bias, tolerance=PRODUCTS, known=known)


def _conv_3x3(x: np.ndarray, kernel: np.ndarray, bias: Any, mode: str = "constant") -> np.ndarray:
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode)
    shifted = (padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))
    return sum(shifted) + bias


def _expect_norm(ask: Ask, draw: np.random.Generator, variance: np.ndarray, tolerance: float, jit: bool) -> None:
    mean, bias = draw.normal(size=(2, 5)).astype(np.float32)
    scale, variance = draw.uniform(0.5, 2, 5).astype(np.float32), variance.astype(np.float32)
    x = (mean + draw.normal(size=(2, 3, 4, 5)) * np.sqrt(variance + 1e-3)).astype(np.float32)
    own_mean, own_variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        known = {
            "epsilon is added to the root": (x - mean) / (np.sqrt(variance) + 1e-3) * scale + bias,
            "epsilon is 1e-5": (x - mean) / np.sqrt(variance + 1e-5) * scale + bias,
            "there is no epsilon": (x - mean) / np.sqrt(variance) * scale + bias,
            "the root is not taken": (x - mean) / (variance + 1e-3) * scale + bias,
            "the batch's own statistics are taken": (x - own_mean) / np.sqrt(own_variance + 1e-3) * scale + bias,
            "scale and bias are exchanged": (x - mean) / np.sqrt(variance + 1e-3) * bias + scale,
            "the mean is not subtracted": x / np.sqrt(variance + 1e-3) * scale + bias,
        }
    known = {mistake: value.astype(np.float32) for mistake, value in known.items()}
    arguments = ("batch_norm", x, scale, bias, mean, variance)
    (_expect_both if jit else _expect)(ask, *arguments, tolerance=tolerance, known=known)


def _expect_block(ask: Ask, draw: np.random.Generator, shape: tuple[int, ...], jit: bool) -> None:
    channels, f = shape[-1], 4
    shapes = {
        "reduce_kernel": (channels, f),
        "reduce_bias": (f,),
        "conv_kernel": (3, 3, f, f),
        "conv_bias": (f,),
        "norm_bias": (f,),
        "norm_mean": (f,),
        "expand_kernel": (f, 4 * f),
        "expand_bias": (4 * f,),
    }
    p = dict(zip(shapes, _arrays(draw, *shapes.values()), strict=True))
    p["conv_kernel"] /= 3
    p |= {f"norm_{one}": draw.uniform(0.5, 2, f).astype(np.float32) for one in ("scale", "variance")}
    (x,) = _arrays(draw, shape)
    known = {
        "the second ReLU comes after the batch norm, not before it": _block(x, p, relu_last=True),
        "there is a ReLU before the batch norm and one after it": _block(x, p, relu_twice=True),
        "there is no ReLU after the last convolution": _block(x, p, last_relu=False),
        "the last ReLU comes after the pool": np.maximum(_block(x, p, last_relu=False), 0),
        "there is no ReLU after the first convolution": _block(x, p, first_relu=False),
        "there is no batch norm": _block(x, p, norm=False),
    }
    _expect(ask, "block", x, p, tolerance=PRODUCTS, known=known, jit=jit)


def _block(
    x: np.ndarray,
    p: dict[str, np.ndarray],
    first_relu: bool = True,
    relu_last: bool = False,
    relu_twice: bool = False,
    last_relu: bool = True,
    norm: bool = True,
) -> np.ndarray:
    def relu(z: np.ndarray, wanted: bool = True) -> np.ndarray:
        return np.maximum(z, 0) if wanted else z

    x = relu(x @ p["reduce_kernel"] + p["reduce_bias"], first_relu)
    x = relu(_conv_3x3(x, p["conv_kernel"], p["conv_bias"]), not relu_last)
    if norm:
        x = (x - p["norm_mean"]) / np.sqrt(p["norm_variance"] + 1e-3) * p["norm_scale"] + p["norm_bias"]
    x = relu(x, relu_last or relu_twice)
    x = relu(x @ p["expand_kernel"] + p["expand_bias"], last_relu)
    odd = [(0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)]
    return np.nanmean(_cells(np.pad(x, odd, constant_values=np.nan)), axis=(2, 4)).astype(np.float32)
