# %% [markdown]
# # Answers to tutorial 3, Proposed Model
#
# Three exercises stand at the end of [the tutorial](../03_network.ipynb), and here again with their answers. Read them
# when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%


from ich_jax.models.ledger import ledger
from ich_jax.models.proposed import WIDTHS, ProposedCNN

lines = ledger(ProposedCNN)  # every layer that has parameters, in order; the last is the dense one
parameters = sum(line.total for line in lines)
body = sum(line.total for line in lines[:-1])

# %% [markdown]
# ## 1
#
# > How many parameters has the network with 2 classes instead of 6? And with 512×512 images? Compute it first, then
# > check with `ledger(ProposedCNN, image_size, classes)`.
#
# Only the dense layer changes: $4 \cdot 4 \cdot 2048 \cdot 2 + 2$ in place of $\cdot 6 + 6$. With 512 pixels the last
# map is 8×8, so the dense layer has four times the weights.

# %%
for size, side, classes in ((224, 4, 2), (512, 8, 6)):
    mine = body + side * side * 2048 * classes + classes
    assert mine == sum(line.total for line in ledger(ProposedCNN, size, classes))
    print(f"{size}×{size}, {classes} classes: {mine:,}")

# %% [markdown]
# ## 2
#
# > The *receptive field*: how many pixels of the 224×224 image can one value of the last feature map see? Going
# > through the layers, a window of $k$ adds $(k - 1)$ times the product of the strides before it (a 2×2 average pool
# > is a window of 2 with stride 2).
#
# 191 of 224 pixels: nearly the whole head. So a value at the end can have seen both the bone and the far side of the
# brain.

# %%
field, stride = 1, 1
for k, step in [
    (7, 2),
    (3, 2),
    *[(3, 1), (2, 2)] * len(WIDTHS),
]:  # the 1×1 convolutions add nothing
    field += (k - 1) * stride
    stride *= step
print(field, "pixels; neighbouring values are", stride, "pixels apart")

# %% [markdown]
# ## 3
#
# > Replace each 3×3 convolution of the four blocks by a 5×5 one. What happens to the parameters?
#
# Each has $25 f^2$ weights instead of $9 f^2$: 16 more for each pair of channels, $16 \sum f^2$ in all, which doubles
# the network.

# %%
more = 16 * sum(width**2 for width in WIDTHS)
print(f"{more:,} more: {parameters + more:,} in place of {parameters:,}")
