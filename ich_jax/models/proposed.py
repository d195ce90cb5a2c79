"""The paper's network (Önerilen Model, Fig. 4): 5,434,246 parameters at 224×224 and six classes.

    conv 7×7 → max-pool 3×3 → batch norm → four blocks → flatten → dense
    a block of width f: conv 1×1 (f) → conv 3×3 (f) → batch norm → conv 1×1 (4f) → average pool 2×2

The paper prints no strides and no padding; its parameter count narrows them down. All but the dense layer hold
5,237,632 parameters, so of the printed 5.434 M the dense layer has about 196,600 = 6·k + 6, and k = 32,768 =
4·4·2048: the last feature map is 4×4. Of the 20 ways to end there (derivation.py lists them) this is the plainest: six
halvings, all padded 'same', 224 → 112 → 56 → 28 → 14 → 7 → 4.
"""

import jax
from flax import nnx

from ich_jax.models.layers import NORM_MOMENTUM, average_pool_2x2, batch_norm, conv, conv_1x1, dense, max_pool_3x3

WIDTHS = (64, 128, 256, 512)


class Stem(nnx.Module):
    """(B, S, S, 3) → (B, S/4, S/4, 64)."""

    def __init__(self, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs):
        self.conv = conv(3, 64, size=7, stride=2, rngs=rngs)
        self.norm = batch_norm(64, norm_momentum, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.conv(x))
        x = max_pool_3x3(x)
        return self.norm(x)


class Block(nnx.Module):
    """(B, H, H, channels) → (B, ⌈H/2⌉, ⌈H/2⌉, 4·width)."""

    def __init__(self, channels: int, width: int, norm_momentum: float = NORM_MOMENTUM, *, rngs: nnx.Rngs):
        self.reduce = conv_1x1(channels, width, rngs=rngs)
        self.conv = conv(width, width, size=3, rngs=rngs)
        self.norm = batch_norm(width, norm_momentum, rngs=rngs)
        self.expand = conv_1x1(width, 4 * width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.reduce(x))
        x = nnx.relu(self.conv(x))
        x = self.norm(x)
        x = nnx.relu(self.expand(x))
        return average_pool_2x2(x)


class ProposedCNN(nnx.Module):
    """Images (B, image_size, image_size, 3), float in 0…1 → logits (B, classes).

    Softmax is left to the loss, which is more exact on logits. `rngs` is for networks with dropout; this has none.
    Other `widths` make another network than the paper's, for where only what surrounds it matters.
    """

    def __init__(
        self,
        image_size: int = 224,
        classes: int = 6,
        norm_momentum: float = NORM_MOMENTUM,
        widths: tuple[int, ...] = WIDTHS,
        *,
        rngs: nnx.Rngs,
    ):
        self.stem = Stem(norm_momentum, rngs=rngs)
        channels = (64, *(4 * width for width in widths))
        self.blocks = nnx.List(
            Block(before, width, norm_momentum, rngs=rngs) for before, width in zip(channels, widths, strict=False)
        )
        side = -(-image_size // 2 ** (2 + len(widths)))  # ⌈image_size / 64⌉ with four widths
        self.dense = dense(side * side * channels[-1], classes, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.dense(x.reshape(x.shape[0], -1))
