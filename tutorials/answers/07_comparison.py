# %% [markdown]
# # Answers to tutorial 7, Results (Tables 3–9)
#
# Three exercises stand at the end of [the tutorial](../07_comparison.ipynb), and here again with their answers. Read
# them when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import numpy as np

from ich_jax.models import MODELS
from ich_jax.models.ledger import ledger
from ich_jax.paper import printed
from ich_jax.results import audit

found = audit.audit()

# %% [markdown]
# ## 1
#
# > Change one cell of a confusion matrix and audit again: move 1,000 of DenseNet121's healthy slices from "none" to
# > "subdural". `audit.audit` takes a function that gives the matrix of a network.
#
# Specificity falls, and accuracy with it: DenseNet121 is now last, behind MobileNet. Sensitivity does not change: only
# healthy slices moved.


# %%
def changed(network: str) -> np.ndarray:
    matrix = printed.confusion(network)
    if network == "densenet121":
        matrix[0, 0] -= 1000
        matrix[0, 5] += 1000
    return matrix


after = audit.audit(changed)
for metric in ("accuracy", "any_sensitivity", "any_specificity"):
    print(
        f"{metric:<16} {found.values['densenet121'][metric]:.4f} → "
        f"{after.values['densenet121'][metric]:.4f}"
    )

# %% [markdown]
# ## 2
#
# > How many parameters would MobileNet have if its 3×3 convolutions mixed the channels (as in an ordinary network)?
# > The ledger has lines of the kind `depthwise 3×3`; the last number of a line's `shape` is the channels.
#
# A depthwise convolution has 9 weights a channel, an ordinary one 9 for each *pair* of channels (its input and output
# have as many channels here).

# %%
lines = ledger(MODELS["mobilenet"])
depthwise = [line for line in lines if line.kind.startswith("depthwise")]
more = sum(9 * line.shape[-1] ** 2 - 9 * line.shape[-1] for line in depthwise)
now = sum(line.trainable for line in lines)
print(f"{now / 1e6:.2f} M as it is, {(now + more) / 1e6:.1f} M with ordinary 3×3 convolutions")

# %% [markdown]
# ## 3
#
# > Is a difference of 0.0060 in accuracy (proposed against Inception v1) chance? Treat all answers as independent: an
# > accuracy $p$ of $n$ slices has the standard error $\sqrt{p (1 - p) / n}$, and that of a difference is the root of
# > the sum of squares. Why is this not the right calculation?
#
# Nearly seven standard errors: hardly chance, *if* everything were independent. But there are about ten test slices of
# each patient, right or wrong together (`ich_jax.results.bootstrap` draws whole patients instead). Both networks
# answered the same slices, so what counts is where they disagree, which two matrices do not tell. And each is one
# training: another seed would have given other networks.

# %%
n = printed.confusion("proposed").sum()
p, q = (found.values[name]["accuracy"] for name in ("proposed", "inception_v1"))
error = np.sqrt(p * (1 - p) / n + q * (1 - q) / n)
print(f"difference {p - q:.4f}, standard error {error:.5f}: {(p - q) / error:.1f} of them")
