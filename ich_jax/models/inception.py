"""Inception v1, GoogLeNet (Szegedy et al., Going Deeper with Convolutions, CVPR 2015), one of the paper's baselines.

    conv 7×7 → max-pool → conv 1×1 → conv 3×3 → max-pool → nine inception modules → global average → dropout → dense

A module looks at its input through four branches side by side: 1×1; 1×1 then 3×3; 1×1 then 5×5; max-pool then 1×1.
Their channels are concatenated. ReLU after every convolution.

The paper's 5.979 M parameters (Table 3) are the original layout, with true 5×5 branches and no batch norm, and without
the two auxiliary heads: 5,979,702. The second max-pool is unpadded. Left out: the original's local response
normalisation, which has no parameters.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ich_jax.models.layers import NORM_MOMENTUM, conv, conv_1x1, dense, max_pool_3x3

# Output channels of a module's branches: 1×1, 3×3 (reduced to, then), 5×5 (reduced to, then), pool; or a max-pool.
MODULES = (
    (64, (96, 128), (16, 32), 32),
    (128, (128, 192), (32, 96), 64),
    "pool",
    (192, (96, 208), (16, 48), 64),
    (160, (112, 224), (24, 64), 64),
    (128, (128, 256), (24, 64), 64),
    (112, (144, 288), (32, 64), 64),
    (256, (160, 320), (32, 128), 128),
    "pool",
    (256, (160, 320), (32, 128), 128),
    (384, (192, 384), (48, 128), 128),
)
DROPOUT = 0.4


class InceptionModule(nnx.Module):
    """(B, H, W, inputs) → (B, H, W, sum of the branches)."""

    def __init__(
        self, inputs: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int, *, rngs: nnx.Rngs
    ):
        self.one = conv_1x1(inputs, one, rngs=rngs)
        self.three_reduce = conv_1x1(inputs, three[0], rngs=rngs)
        self.three = conv(*three, size=3, rngs=rngs)
        self.five_reduce = conv_1x1(inputs, five[0], rngs=rngs)
        self.five = conv(*five, size=5, rngs=rngs)
        self.pool = conv_1x1(inputs, pool, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        branches = (
            self.one(x),
            self.three(nnx.relu(self.three_reduce(x))),
            self.five(nnx.relu(self.five_reduce(x))),
            self.pool(max_pool_3x3(x, stride=1)),
        )
        return nnx.relu(jnp.concatenate(branches, axis=-1))


class InceptionV1(nnx.Module):
    """Images (B, image_size, image_size, 3), float in 0…1 → logits (B, classes). Any image size from 32: the pool is
    global. In training, `rngs` has a stream `dropout`. It has no batch norm, so `norm_momentum` does nothing."""

    def __init__(
        self, image_size: int = 224, classes: int = 6, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs
    ):
        self.stem = conv(3, 64, size=7, stride=2, rngs=rngs)
        self.reduce = conv_1x1(64, 64, rngs=rngs)
        self.conv = conv(64, 192, size=3, rngs=rngs)
        channels, inceptions = 192, []
        for module in MODULES:
            if module != "pool":
                one, three, five, pool = module
                inceptions.append(InceptionModule(channels, one, three, five, pool, rngs=rngs))
                channels = one + three[1] + five[1] + pool
        self.inceptions = nnx.List(inceptions)
        self.dropout = nnx.Dropout(DROPOUT)
        self.dense = dense(channels, classes, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = max_pool_3x3(nnx.relu(self.stem(x)))
        x = nnx.relu(self.reduce(x))
        x = max_pool_3x3(nnx.relu(self.conv(x)), padding="VALID")
        inceptions = iter(self.inceptions)
        for module in MODULES:
            x = max_pool_3x3(x) if module == "pool" else next(inceptions)(x)
        x = self.dropout(x.mean(axis=(1, 2)), rngs=rngs)
        return self.dense(x)
