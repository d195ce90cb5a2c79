"""MobileNet v1, α = 1 (Howard et al., MobileNets, arXiv:1704.04861), one of the paper's baselines.

    conv 3×3 → 13 separable convolutions → global average → dense

A separable convolution is a depthwise 3×3, one filter for each channel, then a pointwise 1×1 that mixes the channels;
batch norm and ReLU after each of the two. For 512 channels it costs a ninth of a full 3×3.

The paper's 3.224 M parameters (Table 3) come out with biases on all convolutions, the depthwise ones too, and count
only what is trained: 3,224,070 of 3,245,958. Another layout has that many in all: no biases, batch norms without scale.
`python -m ich_jax.models mobilenet` weighs the two.
"""

import jax
from flax import nnx

from ich_jax.models.layers import NORM_MOMENTUM, batch_norm, conv, conv_1x1, dense, depthwise

# Output channels and stride of each separable convolution.
SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class Separable(nnx.Module):
    """(B, H, W, inputs) → (B, ⌈H/stride⌉, ⌈W/stride⌉, outputs)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs):
        self.depthwise = depthwise(inputs, size=3, stride=stride, rngs=rngs)
        self.norm_1 = batch_norm(inputs, norm_momentum, rngs=rngs)
        self.pointwise = conv_1x1(inputs, outputs, rngs=rngs)
        self.norm_2 = batch_norm(outputs, norm_momentum, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm_1(self.depthwise(x)))
        return nnx.relu(self.norm_2(self.pointwise(x)))


class MobileNet(nnx.Module):
    """Images (B, image_size, image_size, 3), float in 0…1 → logits (B, classes). Any image size: the pool is global."""

    def __init__(
        self, image_size: int = 224, classes: int = 6, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs
    ):
        channels = 32
        self.stem = conv(3, channels, size=3, stride=2, rngs=rngs)
        self.norm = batch_norm(channels, norm_momentum, rngs=rngs)
        blocks = []
        for outputs, stride in SEPARABLE:
            blocks.append(Separable(channels, outputs, stride, norm_momentum, rngs=rngs))
            channels = outputs
        self.blocks = nnx.List(blocks)
        self.dense = dense(channels, classes, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = nnx.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.dense(x.mean(axis=(1, 2)))
