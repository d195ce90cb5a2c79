# %% [markdown]
# # 3 · Önerilen Model · Proposed Model
#
# The paper's network is small: 5.434 million parameters, a stem and four blocks, no shortcuts, no tricks. In this
# tutorial you write a block with nothing but NumPy, watch how an image's shape changes on its way through, and play
# detective: the paper does not print strides (how far a window moves) and padding (what is put around the image), but
# its parameter count narrows them down.
#
# - **You will** write a block of the paper's network with NumPy, and find its strides from its number of parameters.
# - **You will learn** what a convolution, a batch norm and a pooling do to an image, and how to count parameters and
#   work.
# - **You need** matrix products, and the [primer](02a_primer.ipynb) if networks, gradients or JAX are new to you.
# - **It takes** about 75 minutes to study, and 40 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from matplotlib.figure import Figure

from ich_jax.models import MODELS
from ich_jax.models.derivation import fitting
from ich_jax.models.layers import average_pool_2x2, conv
from ich_jax.models.ledger import ledger
from ich_jax.models.proposed import WIDTHS, Block, ProposedCNN
from ich_jax.paper import printed
from tutorials.common import show, start, table

data = start()

# %% [markdown]
# What you need of Flax: a network is an object whose parameters are arrays inside it, `layer.kernel[...]` and
# `layer.bias[...]`. `nnx.Rngs(0)` is where its random start comes from. It takes a *batch*, images stacked along a
# first axis, so a single image goes in as `image[None]`. `nnx.view(network, use_running_average=True)` switches its
# batch norms to evaluation.
#
# ## A convolution, by hand
#
# A convolution slides a small window over the image. At each place it multiplies what is under the window with a
# *kernel*, a small array of weights, and adds up. What is stacked along the image's last axis are its *channels*: first
# the three colours, later as many as the layer before has kernels. For a 3×3 kernel $K$ with $C$ input channels, output
# channel $f$ at pixel $(y, x)$ is
#
# $$z_{y,x,f} = b_f + \sum_{i=0}^{2} \sum_{j=0}^{2} \sum_{c=1}^{C} a_{y+i-1,\,x+j-1,\,c}\; K_{i,j,c,f} .$$
#
# The sums over $i$ and $j$ have only nine terms, and each is a matrix product over the channels. So: nine shifted
# copies of the image, nine products. Around the image lies a frame of zeros, called *same* padding, because at *stride*
# 1 the output is as large as the input. The stride is by how many pixels the window moves: at stride 2 it skips every
# second place, and the output has half the width and height, rounded up.
#
# (A GPU may round what goes into a convolution, by about a thousandth. That is good enough to train with; to compare
# with arithmetic by hand the code asks for the highest precision.)


# %%
def conv_3x3_by_hand(a: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(H, W, C) → (H, W, F)."""
    height, width, _ = a.shape
    padded = np.pad(a, ((1, 1), (1, 1), (0, 0)))
    z = np.zeros((height, width, kernel.shape[-1])) + bias
    for i in range(3):
        for j in range(3):
            z += padded[i : i + height, j : j + width] @ kernel[i, j]
    return z


layer = conv(3, 8, size=3, rngs=nnx.Rngs(0))
image = data.images[0] / 255.0
by_hand = conv_3x3_by_hand(image, np.asarray(layer.kernel[...]), np.asarray(layer.bias[...]))
with jax.default_matmul_precision("highest"):
    by_flax = layer(jnp.asarray(image, jnp.float32)[None])[0]
np.testing.assert_allclose(by_hand, by_flax, atol=1e-5)
print("3×3 convolution:", image.shape, "→", by_hand.shape, "— as Flax has it")

# %% [markdown]
# A **1×1 convolution** is the same with a window of one pixel: a matrix product over the channels, `a @ kernel + bias`.
# It mixes channels and is cheap: $C \cdot F$ weights instead of $9 \cdot C \cdot F$.
#
# ## A block, by hand
#
# A block of width $f$ squeezes the channels to $f$ (1×1), looks around (3×3), normalises, opens up to $4f$ (1×1), and
# halves the picture by averaging 2×2 pixels. After each convolution negative values become 0 (*ReLU*).
#
# To normalise is the work of **batch norm**. In training it takes the mean and the variance of each channel over the
# batch at hand, and brings every channel to mean 0 and variance 1. On the side it keeps *running means* of both (the
# [primer](02a_primer.ipynb) has one). In evaluation an answer must not depend on which other images are asked about, so
# there it uses the running means. Once trained, batch norm is thus a fixed straight line for each channel:
#
# $$\hat z = \gamma\, \frac{z - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta ,$$
#
# with a learned slope $\gamma$ and offset $\beta$, the running mean $\mu$ and variance $\sigma^2$, and a small
# $\varepsilon$ against division by zero.


# %%
def block_by_hand(a: np.ndarray, block: Block) -> np.ndarray:
    """(H, W, C) → (H/2, W/2, 4·width), with the numbers of `block`; H and W even."""

    def relu(z):
        return np.maximum(z, 0)

    a = relu(a @ np.asarray(block.reduce.kernel[...]) + np.asarray(block.reduce.bias[...]))
    a = relu(
        conv_3x3_by_hand(a, np.asarray(block.conv.kernel[...]), np.asarray(block.conv.bias[...]))
    )
    norm = block.norm
    a = (a - np.asarray(norm.mean[...])) / np.sqrt(np.asarray(norm.var[...]) + norm.epsilon)
    a = a * np.asarray(norm.scale[...]) + np.asarray(norm.bias[...])
    a = relu(a @ np.asarray(block.expand.kernel[...]) + np.asarray(block.expand.bias[...]))
    return (a[0::2, 0::2] + a[0::2, 1::2] + a[1::2, 0::2] + a[1::2, 1::2]) / 4


block = Block(3, 16, rngs=nnx.Rngs(1))
rng = np.random.default_rng(0)
for tensor in (block.reduce.bias, block.conv.bias, block.norm.bias, block.norm.mean):
    tensor[...] = jnp.asarray(rng.normal(size=16))  # a fresh block's zeros would test nothing
for tensor in (block.norm.scale, block.norm.var):
    tensor[...] = jnp.asarray(rng.uniform(0.5, 2, size=16))
with jax.default_matmul_precision("highest"):
    by_flax = nnx.view(block, use_running_average=True)(jnp.asarray(image, jnp.float32)[None])[0]
np.testing.assert_allclose(block_by_hand(image, block), by_flax, atol=1e-4)
print(
    "a block of width 16:",
    image.shape,
    "→",
    by_flax.shape,
    "— as ich_jax.models.proposed.Block has it",
)

# %% [markdown]
# One detail: what is the average of 2×2 pixels at the edge of an odd picture, where one row is missing? The package
# divides by the number of *real* pixels, as TensorFlow does. A 7×7 picture of ones stays ones.

# %%
print(average_pool_2x2(jnp.ones((1, 7, 7, 1)))[0, :, :, 0])

# %% [markdown]
# ## Watch the shapes
#
# The network is a *stem* (a 7×7 convolution, ReLU, a 3×3 max-pool, which keeps the largest of nine pixels, and a batch
# norm), four blocks, and a *dense* layer, one matrix product. An image goes in as 224×224×3 and leaves as six numbers.
# Each stage trades pixels for channels. The stem's convolution and max-pool have stride 2, so 224 → 112 → 56; the
# detective story below is about why.

# %%
model = nnx.view(ProposedCNN(rngs=nnx.Rngs(0)), use_running_average=True)
x = jnp.zeros((1, 224, 224, 3))
shapes = [("image", x.shape[1:])]
x = model.stem(x)
shapes.append(("stem", x.shape[1:]))
for number, one in enumerate(model.blocks, start=1):
    x = one(x)
    shapes.append((f"block {number}", x.shape[1:]))
x = model.dense(x.reshape(1, -1))
shapes.append(("dense", x.shape[1:]))

lines = ledger(ProposedCNN)  # every layer that has parameters, in order
prefixes = ["stem", *(f"blocks.{k}" for k in range(4)), "dense"]
of_stage = [[line for line in lines if line.name.startswith(prefix)] for prefix in prefixes]
parameters = [sum(line.total for line in stage) for stage in of_stage]
work = [sum(line.multiply_adds for line in stage) / 1e6 for stage in of_stage]

header = ("stage", "output", "values", "parameters", "million multiply-adds")
rows = [("image", "224×224×3", f"{224 * 224 * 3:,}", "", "")]
for (stage, shape), count, cost in zip(shapes[1:], parameters, work, strict=True):
    rows.append(
        (stage, "×".join(map(str, shape)), f"{np.prod(shape):,}", f"{count:,}", f"{cost:.1f}")
    )
table(header, rows)
millions = printed.table_3()["proposed"]["parameters_millions"]
print(f"{sum(parameters):,} parameters in all; the paper prints {millions} million")

# %%
figure = Figure(figsize=(9, 3.3), layout="constrained")
left, right = figure.subplots(1, 2)
names = [stage for stage, _ in shapes[1:]]
left.bar(names, np.array(parameters) / 1e6, color="0.4")
left.set(ylabel="parameters (millions)", title="where the parameters are")
right.bar(names, work, color="0.4")
right.set(ylabel="multiply-adds (millions)", title="where the work is")
for axes in (left, right):
    axes.tick_params(axis="x", rotation=30)
show(
    figure,
    "The parameters pile up in the last block; the work is spread over all of them. A small picture "
    "with many channels costs as much as a large one with few.",
)

# %% [markdown]
# The full list, layer by layer, is `python -m ich_jax.models proposed`.
#
# ## The detective story: strides and padding from 5.434 M
#
# The paper names kernel sizes and widths. It does not say by how much each layer shrinks the picture. But every layer's
# parameters can be counted without knowing that, except one.
#
# - a k×k convolution from $C$ to $F$ channels: $k^2 C F$ weights and $F$ biases;
# - a batch norm of $F$ channels: $4F$, of which $2F$ are learned and $2F$ are running statistics;
# - the last, dense layer: 6 weights for **every value of the last feature map**, and 6 biases. That one knows the size.


# %%
def conv_parameters(k: int, inputs: int, outputs: int) -> int:
    return k * k * inputs * outputs + outputs


body, channels = conv_parameters(7, 3, 64) + 4 * 64, 64
for width in WIDTHS:
    body += conv_parameters(1, channels, width) + conv_parameters(3, width, width) + 4 * width
    body += conv_parameters(1, width, 4 * width)
    channels = 4 * width
print(f"all but the dense layer: {body:,}, and {channels:,} channels at the end")
assert body == sum(line.total for line in lines[:-1])

values = (millions * 1e6 - body - 6) / 6
places = values / channels
print(f"so the dense layer reads about {values:,.0f} values,")
print(f"which is {places:.2f} places: a square of {np.sqrt(places):.2f}")

# %% [markdown]
# A square of side 4. Which ways lead from 224 to 4? There are six layers that can shrink the picture: the first
# convolution, the max-pool, four average pools. A window of $k$ with stride $s$ makes $\lceil n / s \rceil$ of $n$
# pixels with 'same' padding, and $\lfloor (n - k) / s \rfloor + 1$ with none ('valid'), where the whole window has to
# lie inside. Try strides from 1 to 4 and both paddings, with average pools of stride 2 and 3×3 convolutions that keep
# the size. (The last three columns compare with the paper's other networks, which [tutorial 7](07_comparison.ipynb)
# introduces; Table 4 has the paper's minutes of training.)


# %%
def shrunk(side: int, window: int, stride: int, padding: str) -> int:
    return -(-side // stride) if padding == "same" else (side - window) // stride + 1


def multiply_adds(sides: list[int]) -> int:
    """Each weight of a kernel is used once at every place of its output."""
    total, channels = sides[0] ** 2 * 7 * 7 * 3 * 64, 64
    for side, width in zip(sides[1:-1], WIDTHS, strict=True):
        total += side**2 * (channels * width + 9 * width * width + width * 4 * width)
        channels = 4 * width
    return total + sides[-1] ** 2 * channels * 6


paddings, ways, tried = ("same", "valid"), [], 0
for conv_stride, conv_padding, pool_stride, pool_padding, average_padding in product(
    range(1, 5), paddings, range(1, 5), paddings, paddings
):
    sides = [shrunk(224, 7, conv_stride, conv_padding)]
    sides.append(shrunk(sides[-1], 3, pool_stride, pool_padding))
    for _ in WIDTHS:
        sides.append(shrunk(sides[-1], 2, 2, average_padding))
    tried += 1
    if int((body + sides[-1] ** 2 * channels * 6 + 6) / 1000) == int(millions * 1000):
        way = conv_stride, conv_padding, pool_stride, pool_padding, average_padding
        ways.append((*way, tuple(sides), multiply_adds(sides)))
ways.sort(key=lambda way: way[-1])
assert ways == [tuple(way) for way in fitting()], "the package finds the same"

minutes = printed.table_4()
others = {
    name: sum(line.multiply_adds for line in ledger(network))
    for name, network in MODELS.items()
    if name != "proposed"
}
print(f"{len(ways)} of {tried} have {millions} million parameters:")
header = ("conv", "max-pool", "average pools", "side of the picture", "G multiply-adds")
rows = [
    (
        f"{way[0]} {way[1]}",
        f"{way[2]} {way[3]}",
        way[4],
        " → ".join(map(str, way[5])),
        f"{way[6] / 1e9:.2f}",
        *(f"{work / way[6]:.2f}" for work in others.values()),
    )
    for way in ways
]
times = (f"{minutes[name] / minutes['proposed']:.2f}" for name in others)
rows.append(("minutes (Table 4)", "", "", "", "", *times))
table((*header, *(f"{name} ×" for name in others)), rows)

# %% [markdown]
# The count alone leaves many ways, and they differ in their work by more than a factor of two. Is there a second
# witness? The last three columns say how many times the proposed network's work each other network takes, and the last
# line how many times its minutes, from Table 4. *If* time follows work, DenseNet121 speaks for the cheapest ways
# (strides 4 and 1), and Inception v1 for one between those below 1 G (strides 4 and 1, or 2 and 2) and the others.
# MobileNet fits none: many of its convolutions treat each channel by itself, which makes many small jobs, so time does
# *not* always follow work.
#
# What stays undecided: strides 4 and 1 or 2 and 2, and the padding of the first two layers. The package goes by 2 and 2
# with 'same' everywhere, for a plain reason: it is the stem of ResNet, the commonest of its time, and one padding for
# all layers. `python -m ich_jax.models proposed` prints the same table.

# %% [markdown]
# ## Try it
#
# 1. How many parameters has the network with 2 classes instead of 6? And with 512×512 images? Compute it first, then
#    check with `ledger(ProposedCNN, image_size, classes)`.
# 2. The *receptive field*: how many pixels of the 224×224 image can one value of the last feature map see? Going
#    through the layers, a window of $k$ adds $(k - 1)$ times the product of the strides before it (a 2×2 average pool
#    is a window of 2 with stride 2).
# 3. Replace each 3×3 convolution of the four blocks by a 5×5 one. What happens to the parameters?
#
# [The answers](answers/03_network.ipynb) are in a notebook of their own.
