# %% [markdown]
# # Answers to tutorial 6, Results
#
# Three exercises stand at the end of [the tutorial](../06_results.ipynb), and here again with their answers. Read them
# when you have tried.
#
# On the phantom, the code below asks a smaller training than the tutorial's (at most 6 epochs, 200 test slices), so
# that it takes seconds. The text says what the tutorial's own training gives. The same code finds it with the
# tutorial's `done`.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%

import numpy as np

from ich_jax.paper import metrics
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.training.outcome import read_outcome
from tutorials.common import (
    practice_run,
    start,
    table,
)

data = start()
run = practice_run()
done = read_outcome(run.folder, data)

# %% [markdown]
# ## 1
#
# > With patience 1, after which epoch would this training have stopped, and which epoch would have been kept? And with
# > patience 2?
#
# Replay the validation losses through the state machine of [tutorial 4](04_training.ipynb).
#
# The tutorial's training, by the losses it prints: with patience 1 it stops after epoch 4, the first that is no better,
# and keeps epoch 3. With patience 2 it stops after epoch 7, as 6 and 7 are no better than 5, and keeps epoch 5. In the
# smaller training each of the first five epochs is better than all before it, so both patiences keep the fifth.

# %%
for patience in (1, 2):
    state = EarlyStopping(patience)
    for row in done.history:
        state = state.after(row["validation_loss"])
        if state.should_stop:
            break
    print(
        f"patience {patience}: {state.epoch} of {len(done.history)} epochs, keeps {state.best_epoch}"
    )

# %% [markdown]
# ## 2
#
# > Merge the six classes into two, none and any. What are accuracy, sensitivity and specificity of that question?
#
# Add up the blocks of the matrix. Sensitivity and specificity are in `metrics.json` as well.
#
# In the tutorial's matrix 147 of the 171 slices without hemorrhage are called "none" and 160 of the 232 with one are
# not. So accuracy is 307/403 = 0.762, sensitivity 160/232 = 0.690, specificity 147/171 = 0.860. The smaller training:

# %%
c = done.confusion
two = np.array([[c[0, 0], c[0, 1:].sum()], [c[1:, 0].sum(), c[1:, 1:].sum()]])
print("accuracy   ", round(metrics.accuracy(two), 4))
print("sensitivity", round(two[1, 1] / two[1].sum(), 4), "=", round(metrics.any_sensitivity(c), 4))
print("specificity", round(two[0, 0] / two[0].sum(), 4), "=", round(metrics.any_specificity(c), 4))

# %% [markdown]
# ## 3
#
# > Which class has the best, which the worst AUC? Compare with the recalls: which classes are ranked well but seldom
# > named?
#
# A class with a high AUC and a low recall is ranked well but seldom named: its slices get more of its probability than
# most others do, yet another class is larger still. AUC looks at the ranking by one class; recall asks for the largest
# of six.
#
# In the tutorial's training the best AUC is that of intraventricular (0.942), the worst that of subarachnoid (0.749).
# Ranked well but seldom named are subdural (AUC 0.857, as high as that of "none", but recall 0.360) and epidural (0.803
# and 0.255). In the smaller training below, the best and the worst are the same two classes; seldom named for its AUC
# is above all subdural (0.786 and 0.077).

# %%
table(
    ("class", "slices", "recall", "AUC"),
    [
        (name, row["support"], row["recall"], "—" if row["auc"] is None else row["auc"])
        for name, row in done.metrics["per_class"].items()
    ],
)
