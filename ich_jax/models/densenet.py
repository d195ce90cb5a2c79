"""DenseNet-121 (Huang et al., Densely Connected Convolutional Networks, CVPR 2017), one of the paper's baselines.

    conv 7×7 → max-pool 3×3 → dense blocks of 6, 12, 24 and 16 layers, a transition between → global average → dense

A layer sees all that came before it in its block and adds 32 channels: batch norm, ReLU, conv 1×1 to 128 channels,
batch norm, ReLU, conv 3×3. A transition halves channels and sides: batch norm, ReLU, conv 1×1, average pool 2×2.

The paper's 7.049 M parameters (Table 3) are those of a variant: biases on all convolutions, no batch norm in the stem,
none after the last block. That gives 7,049,542, and it is the layout of a public Keras notebook
(Machine-Learning-Tokyo/CNN-Architectures) which has no ReLU in the stem either, so there is none here by default.
`python -m ich_jax.models densenet121` weighs the candidates.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ich_jax.models.layers import NORM_MOMENTUM, average_pool_2x2, batch_norm, conv, conv_1x1, dense, max_pool_3x3

GROWTH = 32  # channels that a layer adds
BOTTLENECK = 4 * GROWTH
LAYERS = (6, 12, 24, 16)


class DenseLayer(nnx.Module):
    """(B, H, W, channels) → (B, H, W, channels + GROWTH)."""

    def __init__(self, channels: int, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs):
        self.norm_1 = batch_norm(channels, norm_momentum, rngs=rngs)
        self.reduce = conv_1x1(channels, BOTTLENECK, rngs=rngs)
        self.norm_2 = batch_norm(BOTTLENECK, norm_momentum, rngs=rngs)
        self.conv = conv(BOTTLENECK, GROWTH, size=3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        new = self.reduce(nnx.relu(self.norm_1(x)))
        new = self.conv(nnx.relu(self.norm_2(new)))
        return jnp.concatenate([x, new], axis=-1)


class Transition(nnx.Module):
    """(B, H, W, channels) → (B, ⌈H/2⌉, ⌈W/2⌉, channels / 2)."""

    def __init__(self, channels: int, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs):
        self.norm = batch_norm(channels, norm_momentum, rngs=rngs)
        self.reduce = conv_1x1(channels, channels // 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return average_pool_2x2(self.reduce(nnx.relu(self.norm(x))))


class DenseNet121(nnx.Module):
    """Images (B, image_size, image_size, 3), float in 0…1 → logits (B, classes). Any image size: the pool is global.

    `stem_relu` puts a ReLU after the first convolution, as in Huang et al.; it has no parameters.
    """

    def __init__(
        self,
        image_size: int = 224,
        classes: int = 6,
        norm_momentum: float = NORM_MOMENTUM,
        *,
        stem_relu: bool = False,
        rngs: nnx.Rngs,
    ):
        channels = 64
        self.stem_relu = stem_relu
        self.stem = conv(3, channels, size=7, stride=2, rngs=rngs)
        stages = []
        for block, layers in enumerate(LAYERS):
            if block > 0:
                stages.append(Transition(channels, norm_momentum, rngs=rngs))
                channels //= 2
            for _ in range(layers):
                stages.append(DenseLayer(channels, norm_momentum, rngs=rngs))
                channels += GROWTH
        self.stages = nnx.List(stages)
        self.dense = dense(channels, classes, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = self.stem(x)
        x = max_pool_3x3(nnx.relu(x) if self.stem_relu else x)
        for stage in self.stages:
            x = stage(x)
        return self.dense(x.mean(axis=(1, 2)))
