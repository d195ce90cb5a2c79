# %% [markdown]
# # Answers to tutorial 8, Conclusion
#
# Three exercises stand at the end of [the tutorial](../08_conclusion.ipynb), and here again with their answers. Read
# them when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import jax
import jax.numpy as jnp
import numpy as np

from ich_jax.paper import metrics
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import join_model, normalise
from ich_jax.plumbing.command import InputError
from ich_jax.training.batches import split_rows
from ich_jax.training.inference import answer
from ich_jax.training.outcome import read_outcome
from tutorials.common import (
    GIVEN,
    blood_in,
    left_out,
    practice_run,
    start,
    table,
)

data = start()
runs = {}
for split in ("image", "patient"):
    try:
        runs[split] = practice_run(split)
    except InputError as error:  # data of your own that cannot be split by patient
        left_out(f"the training by {split}: {error}")
results = {split: read_outcome(run.folder, data) for split, run in runs.items()}
best = "patient" if "patient" in runs else "image"
run, result = runs[best], results[best]
rows_of_test = split_rows(data, run.settings)["test"]

# %% [markdown]
# ## 1
#
# > Count how often each network of this tutorial is surer than 0.9 and wrong.
#
# Confidence is the largest of the six probabilities.

# %%
for split, one in results.items():
    sure = one.probabilities.max(axis=1) > 0.9
    print(
        f"split by {split}: {np.sum(sure & (one.predicted != one.actual))} of {sure.sum()} sure "
        f"answers are wrong"
    )

# %% [markdown]
# ## 2
#
# > *Temperature scaling*: divide all logits by one number $T$ before the softmax, chosen on the **validation** part for
# > the lowest loss. Does it improve the calibration on the test part? Does accuracy change?
# > (`split_rows(data, run.settings)` has the rows of each part, `answer(run.network, run.state, data, rows, "")`, from
# > `ich_jax.training.inference`, gives their logits.)
#
# Accuracy cannot change: dividing by $T$ keeps the order of the logits. $T > 1$ makes the network less sure. It helps
# the test part if the network is over-sure there by as much as on the validation part.

# %%
split = split_rows(data, run.settings)
logits = {
    part: answer(run.network, run.state, data, split[part], part) for part in ("validation", "test")
}
temperatures = np.geomspace(0.25, 8, 60)
losses = [
    metrics.cross_entropy(data.classes[split["validation"]], logits["validation"] / t)
    for t in temperatures
]
best = temperatures[int(np.argmin(losses))]
for t in (1.0, best):
    probabilities = np.exp(metrics.log_softmax(logits["test"] / t))
    error = metrics.expected_calibration_error(
        metrics.calibration(data.classes[split["test"]], probabilities, bins=5)
    )
    right = np.mean(probabilities.argmax(axis=1) == data.classes[split["test"]])
    print(f"T = {t:.2f}: calibration error {error:.3f}, accuracy {right:.4f}")

# %% [markdown]
# ## 3
#
# > Cover the blood: paint it with the median of the slice's other soft tissue (brain window between 0 and 255), and
# > ask the network again (`join_model`, from `ich_jax.paper.steps`, puts it together). How does the probability of its
# > class change? Is that a better answer to "where does it look" than a gradient?
#
# It asks the network about a *changed picture* instead of an infinitely small change, so it is closer to what one
# means. It is only as good as the patch: where the class becomes another *bleed* and not 'none', the patch itself may
# look like one.


# %%
def probability(image: np.ndarray, k: int) -> float:
    model = join_model(
        run.network.structure, run.state.params, run.state.batch_stats, training=False
    )
    return float(jax.nn.softmax(model(normalise(jnp.asarray(image))[None]))[0, k])


found = np.flatnonzero((result.actual > 0) & (result.predicted == result.actual))
shown = np.concatenate([found[result.actual[found] == k][:1] for k in range(1, 6)])
masks = []
for place in () if GIVEN else shown:
    masks.append(blood_in(data.image_ids[rows_of_test[place]], data.image_size))

rows = []
if GIVEN:
    left_out("nobody has outlined the blood in these slices, so it cannot be covered")
for place, blood in zip(shown, masks, strict=not GIVEN):
    image, k = data.images[rows_of_test[place]].copy(), result.predicted[place]
    before = probability(image, k)
    image[blood] = np.median(image[~blood & (image[..., 0] > 0) & (image[..., 0] < 255)], axis=0)
    rows.append(
        (CLASSES[result.actual[place]], before, probability(image, k), probability(image, 0))
    )
if not GIVEN:
    table(
        (
            "slice shows",
            "probability of its class",
            "with the blood covered",
            "then: probability of 'none'",
        ),
        rows,
    )
