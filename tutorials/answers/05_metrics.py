# %% [markdown]
# # Answers to tutorial 5, Evaluation Metrics
#
# Three exercises stand at the end of [the tutorial](../05_metrics.ipynb), and here again with their answers. Read them
# when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import numpy as np

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES

confusion = printed.confusion("proposed")
shares = confusion / confusion.sum(axis=1, keepdims=True)

# %% [markdown]
# ## 1
#
# > Which class does each of the paper's four networks find least often? What is the recall there?
#
# Epidural, all four of them: the rarest class. Two never find a single one, and MobileNet comes close to that.

# %%
for network in printed.NETWORKS:
    matrix = printed.confusion(network)
    r = metrics.recall(matrix)
    k = r.argmin()
    print(f"{network:<13} {CLASSES[k]:<10} recall {r[k]:.4f}, {matrix[k, k]} of {matrix[k].sum()}")

# %% [markdown]
# ## 2
#
# > Make a confusion matrix with accuracy above 0.9 and balanced accuracy below 0.2.
#
# Enough healthy slices, and an answer of "none" for nearly everything: balanced accuracy of "always none" is 1/6.

# %%
mine = np.zeros((6, 6), int)
mine[:, 0] = (950, 10, 10, 10, 10, 10)
print(metrics.accuracy(mine), metrics.balanced_accuracy(mine))

# %% [markdown]
# ## 3
#
# > Compute the accuracy of the proposed network on a test set with as many slices of each class. Which metric of the
# > original matrix is that?
#
# With equal rows, accuracy is the plain mean of the recalls: balanced accuracy.

# %%
print(metrics.accuracy(shares), metrics.balanced_accuracy(confusion))
