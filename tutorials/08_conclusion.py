# %% [markdown]
# # 8 · Sonuç · Conclusion
#
# The paper concludes that its small network is accurate, quick to train and fit to help in hospitals. How would you
# *judge* such a claim? This last tutorial asks four questions of a trained network: does it hold for patients it has
# not met? Is it as sure as it is right? Does it look at the blood? And what would have to be shown before anybody used
# it?
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
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from ich_jax.paper import metrics
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import join_model, normalise
from ich_jax.plumbing.command import InputError
from ich_jax.results.bootstrap import draws, interval, metric_of_draws, patient_confusions
from ich_jax.show import figures
from ich_jax.training.batches import split_rows
from ich_jax.training.config import preset
from ich_jax.training.network import weights_key
from ich_jax.training.outcome import read_outcome
from ich_jax.training.run import train
from tutorials.common import (
    GIVEN,
    SMALL,
    blood_of,
    empty_folder,
    left_out,
    show,
    start,
    table,
    trained,
)

data = start()
SLICES = 300 if SMALL else 1600  # how many of the phantom's slices to use
EPOCHS = 2 if SMALL else 8

# %% [markdown]
# ## 1. New patients
#
# Two trainings, alike in all but the split: by image, as in the paper, and by patient. (A few minutes on the phantom,
# without the preset's augmentation: the paper has none. On data of your own they are the paper's at batch 32, and the
# same with the other split.)

# %%
runs = {}
if GIVEN:
    runs["image"] = trained("proposed-32")
    try:
        runs["patient"] = trained("proposed-32-patient")
    except InputError as error:
        left_out(f"the training by patient: {error}")
else:
    folder = empty_folder("08_conclusion")
    for split in ("image", "patient"):
        plain = {"augment": False, "limit": SLICES, "epochs": EPOCHS}
        settings = preset("phantom", split=split, **plain)
        runs[split] = train(settings, data, folder / split, say=lambda _: None)
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
# By patient, the test patients are *new*. Is the result lower? The intervals say how far another draw of patients could
# move it, not another training. That is the situation the conclusion speaks of, and the one the paper did not
# test. One training each is an anecdote; `python -m benchmarks.leakage` repeats it over seeds, and
# [docs/phantom.md](../docs/phantom.md) has its result.
#
# ## 2. As sure as it is right?
#
# A network that says "subdural, 0.9" ought to be right nine times in ten. Sort the answers by how sure they are, and
# count.

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
# confidence and accuracy in each row: is the network surer than it is right, and does a split by image show it as
# clearly as one by patient?
#
# ## 3. Where does it look?
#
# A common answer is the **gradient saliency**: how much would the logit $z_k$ of the named class change if pixel $i$
# changed a little?
#
# $$s_i = \max_c \left| \frac{\partial z_k}{\partial x_{i,c}} \right| ,$$
#
# the largest over the three channels $c$.

# %%
best = "patient" if "patient" in runs else "image"
run, result = runs[best], results[best]
rows_of_test = split_rows(data, run.settings)["test"]


@jax.jit
def saliency(state, image: jax.Array, k: int) -> jax.Array:
    """(size, size, 3) uint8 → (size, size): how strongly each pixel moves logit k."""

    def logit(x):
        return join_model(run.network.structure, state.params, state.batch_stats, training=False)(
            x[None]
        )[0, k]

    return jnp.abs(jax.grad(logit)(normalise(image))).max(axis=-1)


found_bleeds = np.flatnonzero((result.actual > 0) & (result.predicted == result.actual))
shown = [found_bleeds[result.actual[found_bleeds] == k][:1] for k in range(1, 6)]
shown = np.concatenate(shown)[:4] if len(found_bleeds) else np.flatnonzero(result.actual > 0)[:4]
shown = shown if len(shown) else np.arange(min(4, len(result.actual)))  # no hemorrhage at all
masks, maps, random_maps = [], [], []
untrained = run.network.draw(weights_key(run.settings))  # as it was before its training
for place in shown:
    row, k = rows_of_test[place], result.predicted[place]
    if not GIVEN:  # only a phantom knows where its blood is
        blood = Image.fromarray((blood_of(data.image_ids[row]) * 255).astype(np.uint8))
        masks.append(np.asarray(blood.resize((data.image_size,) * 2, Image.Resampling.BOX)) > 127)
    maps.append(np.asarray(saliency(run.state, data.images[row], k)))
    random_maps.append(np.asarray(saliency(untrained, data.images[row], k)))

figure = Figure(figsize=(7.5, 2.5 * len(shown)), layout="constrained")
for number, (line, place, *pictures) in enumerate(
    zip(figure.subplots(len(shown), 3, squeeze=False), shown, maps, random_maps, strict=True)
):
    line[0].imshow(data.images[rows_of_test[place], ..., 1], cmap="gray")
    line[0].set_title(CLASSES[result.actual[place]], fontsize=9)
    if masks:
        line[0].contour(masks[number], [0.5], colors="white", linewidths=1)
        line[0].set_title(f"{CLASSES[result.actual[place]]}, outlined", fontsize=9)
    for axes, picture, which in zip(line[1:], pictures, ("trained", "untrained"), strict=True):
        axes.imshow(picture, cmap="gray_r", vmax=np.quantile(picture, 0.99))
        axes.set_title(f"saliency, {which}", fontsize=9)
    for axes in line:
        axes.set_axis_off()
show(
    figure,
    "Where the logit of the named class is sensitive (dark; each map has its own scale). The last "
    "column is the sanity check: the same map of a network that has learned nothing. Subdural "
    "window, the first slice of each of four types that the network named rightly, if there are "
    f"such. {data.title}.",
)

# %% [markdown]
# Such pictures persuade easily, so they need a **sanity check**: compute the same map for an *untrained* network. If
# that looks much alike, the map shows the picture's edges, not what was learned (Adebayo et al. 2018). And because a
# phantom knows where its blood is, we can count: which share of the saliency falls on blood, and which share would if
# it were spread evenly over the head?

# %%
rows = []
for number, place in enumerate(shown):
    regions, _ = ndimage.label(data.images[rows_of_test[place], ..., 2] > 20)  # what is not air
    sizes = np.bincount(regions.ravel(), minlength=2)[1:]
    head = regions == sizes.argmax() + 1  # the largest, without the headrest
    learned, random = maps[number], random_maps[number]
    shares = []
    if masks:
        blood = masks[number]
        head |= blood
        shares = [blood[head].mean()]
        shares += [one[blood].sum() / one[head].sum() for one in (learned, random)]
    order = [np.argsort(np.argsort(one[head])) for one in (learned, random)]
    name = CLASSES[result.actual[place]]
    rows.append((name, *map("{:.1%}".format, shares), f"{np.corrcoef(*order)[0, 1]:.2f}"))
if GIVEN:
    left_out("the shares that fall on blood; nobody has outlined it in these slices")
    header = ("slice shows", "rank correlation of the two maps")
else:
    header = ("slice shows", "blood: share of the head", "share of trained saliency")
    header += ("of untrained", "rank correlation of the two maps")
table(header, rows)

# %% [markdown]
# If the trained maps put more on the blood than its share of the head, and more than the untrained ones, something was
# learned there. How much of the saliency lies elsewhere? Four slices, all named rightly, prove little. Nor does a map
# say *why*: a gradient shows where a small change matters, not what the network recognised there.
#
# ## 4. What it would take
#
# Before a network like this could help anyone, somebody would have to show, in this order:
#
# | question | the paper | here |
# |---|---|---|
# | Does it work on new patients? | not tested: split by image | `--split patient` |
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
#    (`split_rows(data, run.settings)` has the rows of each part, `answer(run.network, run.state, data, rows, "")`
#    gives their logits.)
# 3. Cover the blood: paint it with the median of the slice's other soft tissue (brain window between 0 and 255), and
#    ask the network again, with `join_model` as in `saliency`. How does the probability of its class change? Is that a
#    better answer to "where does it look" than a gradient?
#
# [The answers](answers/08_conclusion.ipynb) are in a notebook of their own.
