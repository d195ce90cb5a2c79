# %% [markdown]
# # 8 · Sonuç · Conclusion
#
# The paper concludes that its small network gives results close to those of radiologists, trains much faster than
# three known networks and does somewhat better. In its abstract it hopes that such methods will take work off
# radiologists. How would you *judge* such claims? This last tutorial asks four questions of a trained network: does it
# hold for patients it has not met? Is it as sure as it is right? Does it look at the blood? And what would have to be
# shown before anybody used it?
#
# - **You will** put four questions to a trained network, and answer each by running it.
# - **You will learn** what an accuracy does not say: new patients, calibration, where a network looks.
# - **You need** tutorials [4](04_training.ipynb) and [5](05_metrics.ipynb).
# - **It takes** about 60 minutes to study, and 60 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
from functools import partial

import jax
import numpy as np
from matplotlib.figure import Figure

from ich_jax.paper import metrics
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.results.bootstrap import draws, interval, metric_of_draws, patient_confusions
from ich_jax.results.map_checks import head_of, rank_correlation, share
from ich_jax.results.saliency import gradient_saliency
from ich_jax.show import figures
from ich_jax.training.batches import split_rows
from ich_jax.training.network import weights_key
from ich_jax.training.outcome import read_outcome
from tutorials.common import (
    GIVEN,
    SMALL,
    blood_in,
    left_out,
    practice_run,
    show,
    start,
    table,
)

data = start()
EACH = 3 if SMALL else 20  # slices of each type to look at with saliency

# %% [markdown]
# ## 1. New patients
#
# Two trainings, alike in all but the split: by image, as in the paper, and by patient. On the phantom they are short
# ones on 800 slices, a minute in all, without the preset's *augmentation* (training on slightly changed copies), which
# the paper has none of. They are made once and kept, and the answers to this tutorial's exercises are about the same
# two. On data of your own they are the paper's at batch 32, and the same with the other split.

# %%
runs = {}
for split in ("image", "patient"):
    try:
        runs[split] = practice_run(split)
    except InputError as error:  # data of your own that cannot be split by patient
        left_out(f"the training by {split}: {error}")
    else:
        chosen, found = runs[split].settings, runs[split].found
        print(
            f"by {split}: {found.slices['train']:,} slices to train on, batch {chosen.batch_size}, "
            f"learning rate {chosen.learning_rate}, {len(runs[split].history)} epochs"
        )
results = {split: read_outcome(run.folder, data) for split, run in runs.items()}

# %% [markdown]
# A number from a few hundred slices is not exact. How far could it have come out otherwise? Slices of a patient belong
# together, so draw **whole patients** from the test part, with replacement, as many as there are; compute the metric;
# repeat a thousand times. The middle 95 % of the results is the interval (a *bootstrap*).

# %%
rows = []
for split, result in results.items():
    confusions = patient_confusions(result.actual, result.predicted, result.patients)
    drawn = draws(len(confusions), seed=0)
    cells = []
    for metric in (metrics.accuracy, metrics.balanced_accuracy):
        low, high = interval(metric_of_draws(metric, confusions, drawn))
        cells.append(f"{metric(result.confusion):.3f} ({low:.3f}…{high:.3f})")
    rows.append((f"by {split}", len(result.actual), len(confusions), *cells))
table(("split", "test slices", "patients", "accuracy (95 %)", "balanced accuracy (95 %)"), rows)
print("measured here:", data.title)

# %% [markdown]
# By patient, the test patients are *new*, and the result is lower: 0.52 against 0.63. New patients are what a hospital
# has. The paper calls its network successful on unseen data; but by its counts ([tutorial 1](01_material.ipynb)) most
# of its unseen slices are of patients that it has met.
#
# Here the intervals overlap. They say how far another draw of patients could move each number, and another training
# moves it, too: one training each is an anecdote. The command `python -m benchmarks.leakage` repeats it over seeds, and
# [docs/phantom.md](../docs/phantom.md) has its result.
#
# ## 2. As sure as it is right?
#
# A network that says "subdural, 0.9" ought to be right nine times in ten; if it is as sure as it is right, it is called
# *calibrated*. Sort the answers by how sure they are, and count.

# %%
found = {
    f"split by {split}": metrics.calibration(result.actual, result.probabilities, bins=5)
    for split, result in results.items()
}
show(
    figures.reliability_diagram(found, f"{data.title}, test part"),
    "Reliability. Below the diagonal a network is surer than it is right. With few test slices "
    "the points scatter.",
)
table(
    ("split", "mean confidence", "accuracy", "expected calibration error"),
    [
        (
            f"by {split}",
            float(result.probabilities.max(axis=1).mean()),
            metrics.accuracy(result.confusion),
            metrics.expected_calibration_error(found[f"split by {split}"]),
        )
        for split, result in results.items()
    ],
)

# %% [markdown]
# The *expected calibration error* is the mean distance from the diagonal, weighted by the number of answers. Compare
# confidence and accuracy in each row. With known patients the network is on the average about as sure as it is right
# (single points are off: where it is about 0.7 sure, it is right in about 0.82). With new ones it is as sure as before,
# 0.67 on the average, and right only half of the time: it does not notice that it knows less. The split by image hides
# that.
#
# ## 3. Where does it look?
#
# A common answer is the **gradient saliency**: how much would the logit $z_k$ of the named class change if pixel $i$
# changed a little?
#
# $$s_i = \max_c \left| \frac{\partial z_k}{\partial x_{i,c}} \right| ,$$
#
# the largest over the three channels $c$. In JAX that is `jax.grad` of one logit with respect to the picture; see
# [results/saliency](../ich_jax/results/saliency.py).

# %%
best = "patient" if "patient" in runs else "image"
run, result = runs[best], results[best]
rows_of_test = split_rows(data, run.settings)["test"]
saliency = jax.jit(partial(gradient_saliency, run.network.structure))


# %% [markdown]
# Such pictures persuade easily, so they need a **sanity check**: compute the same map for an *untrained* network. If
# that looks much alike, the map shows the picture's edges, not what was learned (Adebayo et al. 2018).
#
# We ask about slices whose hemorrhage the network named rightly, the first ones of each type in the test part; the
# figure shows one of each.

# %%
named_rightly = np.flatnonzero((result.actual > 0) & (result.predicted == result.actual))
if not len(named_rightly):  # nothing learned yet: any slice will do
    named_rightly = np.arange(len(result.actual))
asked = {
    name: named_rightly[result.actual[named_rightly] == k][:EACH] for k, name in enumerate(CLASSES)
}
asked = {name: places for name, places in asked.items() if len(places)}
untrained = run.network.draw(weights_key(run.settings))  # as it was before its training


def maps_of(place: int) -> tuple[np.ndarray, np.ndarray]:
    """The maps of the trained and the untrained network for a slice of the test part."""
    image, k = data.images[rows_of_test[place]], result.predicted[place]
    return tuple(
        np.asarray(saliency(state.params, state.batch_stats, image, k))
        for state in (run.state, untrained)
    )


def blood_at(place: int) -> np.ndarray:
    """Where blood is, at the size of the prepared images; only a phantom knows."""
    return blood_in(data.image_ids[rows_of_test[place]], data.image_size)


figure = Figure(figsize=(6.3, 2.0 * len(asked)), layout="constrained")
lines = figure.subplots(len(asked), 3, squeeze=False)
for line, (name, (place, *_)) in zip(lines, asked.items(), strict=True):
    line[0].imshow(data.images[rows_of_test[place], ..., 1], cmap="gray")
    line[0].set_title(name if GIVEN else f"{name}, outlined", fontsize=9)
    if not GIVEN:
        line[0].contour(blood_at(place), [0.5], colors="white", linewidths=1)
    for axes, one, which in zip(line[1:], maps_of(place), ("trained", "untrained"), strict=True):
        axes.imshow(one, cmap="gray_r", vmax=np.quantile(one, 0.99))
        axes.set_title(f"saliency, {which}", fontsize=9)
    for axes in line:
        axes.set_axis_off()
show(
    figure,
    "Where the logit of the named class is sensitive (dark; each map has its own scale). The last "
    "column is the sanity check: the same map of a network that has learned nothing. Subdural "
    f"window. {data.title}.",
)

# %% [markdown]
# A picture is no measurement. Because a phantom knows where its blood is, we can count: which share of the saliency
# falls on blood, and which share would if it were spread evenly over the picture? And how much of it lies outside the
# head, on the air and the headrest, where no bleed can be? ([results/map_checks](../ich_jax/results/map_checks.py) has
# the functions.)


# %%
def count(place: int) -> list[float]:
    learned, random = maps_of(place)
    head = head_of(data.images[rows_of_test[place]])
    shares = [share(learned, ~head), rank_correlation(learned, random, head)]
    if not GIVEN:
        blood = blood_at(place)
        shares = [blood.mean(), share(learned, blood), share(random, blood), *shares]
    return shares


header = ["slices show", "slices"]
if GIVEN:
    left_out("the shares that fall on blood; nobody has outlined it in these slices")
else:
    header += ["blood: share of the picture", "of trained saliency", "of untrained"]
header += ["trained, outside the head", "rank correlation of the two maps"]
rows = []
for name, places in asked.items():
    *shares, correlation = np.mean([count(place) for place in places], axis=0)
    rows.append((name, len(places), *map("{:.1%}".format, shares), f"{correlation:.2f}"))
table(header, rows)

# %% [markdown]
# The table is a mean over slices, and it says more than the figure. For three of the five types the trained network
# puts clearly more on the blood than the untrained one does: most for intraparenchymal bleeds, a fifth of all saliency
# on a fiftieth of the picture. (The untrained one, too, puts on it about twice its share of the picture, because little
# of its saliency lies on the air.) For subdural bleeds it is 4.0 % against 2.6 %, but of two slices only. For epidural
# bleeds the two hardly differ, 2.2 % against 1.7 %, and in the figure the darkest places are not where the outline is.
# Yet those slices were named rightly, too: what it saw there, the map does not tell.
#
# And most of the saliency is *not* on the blood. Between a quarter and a half of it is even outside the head, where the
# background and the headrest are. The low rank correlations say that the maps changed with training, so they pass the
# sanity check; that they point at the blood is another question, and the answer is: in part. There are few slices, and
# a gradient shows where a small change matters, not what was recognised there. `python -m ich_jax.explain` holds three
# kinds of maps against more, also against the brightest pixels; [docs/explain.md](../docs/explain.md) has what came of
# it.
#
# ## 4. What it would take
#
# Before a network like this could help anyone, somebody would have to show, in this order:
#
# | question | the paper | here |
# |---|---|---|
# | Does it work on new patients? | not tested: split by image | `--split patient` |
# | Is it close to radiologists? | so it says, but it measures no radiologist and cites no figure for one | — |
# | Is the measure the right one? | accuracy, weighted means; nine slices in ten are 'none' | balanced accuracy, sensitivity, intervals |
# | Does it find what matters most? | proposed network: sees 64 % of the hemorrhages (Table 6) | the same question, on a phantom |
# | Does it work in another hospital, on another scanner? | not tested | a network that has seen phantoms only, [on real slices](../docs/phantom.md) |
# | Are its labels right? | one label a slice; slices with several types (30 % of the positive ones) left out | — |
# | Does a reader with it do better than one without? | not asked | — |
#
# The paper's finding stands in a narrower form: on RSNA's slices, split by image, a network of 5.4 million parameters
# has the highest accuracy of the four, and trains in a quarter to two thirds of the time of the others; two of them see
# more of the hemorrhages (Tables 7 and 9). Whether it is ready for patients is another question, and no accuracy can
# answer it.
#
# ## Try it
#
# 1. Count how often each network of this tutorial is surer than 0.9 and wrong.
# 2. *Temperature scaling*: divide all logits by one number $T$ before the softmax, chosen on the **validation** part
#    for the lowest loss. Does it improve the calibration on the test part? Does accuracy change?
#    (`split_rows(data, run.settings)` has the rows of each part, `answer(run.network, run.state, data, rows, "")`, from
#    `ich_jax.training.inference`, gives their logits.)
# 3. Cover the blood: paint it with the median of the slice's other soft tissue (brain window between 0 and 255), and
#    ask the network again (`join_model`, from `ich_jax.paper.steps`, puts it together). How does the probability of its
#    class change? Is that a better answer to "where does it look" than a gradient?
#
# [The answers](answers/08_conclusion.ipynb) are in a notebook of their own.
