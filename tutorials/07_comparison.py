# %% [markdown]
# # 7 · Bulgular (Tablo 3–9) · Results (Tables 3–9)
#
# Is a small network enough? The paper trains its own beside three well-known ones, DenseNet121, MobileNet and Inception
# v1, and finds it the most accurate and the quickest. Here you draw and count all four, train two of them (all four on
# data of your own), rebuild the tables, and then do what a careful reader does: check the paper's tables against each
# other.
#
# - **You will** draw the four networks, train two, rebuild the paper's tables, and check them against each other.
# - **You will learn** what a fair comparison needs, and how to audit printed results.
# - **You need** tutorials [3](03_network.ipynb) (networks) and [5](05_metrics.ipynb) (the metrics).
# - **It takes** about 60 minutes to study, and 45 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
from dataclasses import replace
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from ich_jax.models import MODELS
from ich_jax.models.ledger import ledger
from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES
from ich_jax.results import audit
from ich_jax.results.side_by_side import side_by_side
from ich_jax.show.document import Table
from ich_jax.training.config import preset
from ich_jax.training.outcome import read_outcome
from ich_jax.training.run import train
from tutorials.common import GIVEN, SMALL, empty_folder, show, start, table, trained

data = start()
SLICES = 120 if SMALL else 1200  # of the phantom's, to use
EPOCHS = 1 if SMALL else 3
NETWORKS = printed.NETWORKS if GIVEN else ("proposed", "densenet121")
if SMALL:
    NETWORKS = ("proposed", "mobilenet")

# %% [markdown]
# ## Four ways to look at a picture
#
# | network | its idea |
# |---|---|
# | proposed | a stem and four blocks, in a row |
# | DenseNet121 | every layer gets the outputs of **all** layers before it in its block |
# | MobileNet | a 3×3 convolution split in two: each channel by itself, then a 1×1 to mix them |
# | Inception v1 | 1×1, 3×3 and 5×5 convolutions and a pooling side by side, their outputs stacked |
#
# A *layer* here is a convolution or a dense layer. Each network repeats a block of its own (batch norm and ReLU, the
# cut-off at 0, are left out of the pictures):

# %%
# The boxes (across, down, text) and the arrows between them, by number.
BLOCKS = {
    "proposed: a block": (
        [(0, 0, "in"), (0, 1, "1×1"), (0, 2, "3×3"), (0, 3, "1×1, four times as wide"),
         (0, 4, "average pool")],
        [(0, 1), (1, 2), (2, 3), (3, 4)],
    ),
    "DenseNet121: the first steps of a block": (
        [(0, 0, "in"), (0, 1, "1×1, 3×3"), (0, 2, "1×1, 3×3"), (0, 3, "1×1, 3×3"),
         (0, 4, "all stacked")],
        [(i, j) for i in range(5) for j in range(i + 1, 5)],
    ),
    "MobileNet: a block": (
        [(0, 0, "in"), (0, 1.5, "3×3, each channel by itself"), (0, 3, "1×1")],
        [(0, 1), (1, 2)],
    ),
    "Inception v1: a module": (
        [(0, 0, "in"), (-1.5, 2.25, "1×1"), (-0.5, 1.5, "1×1"), (-0.5, 3, "3×3"), (0.5, 1.5, "1×1"),
         (0.5, 3, "5×5"), (1.5, 1.5, "pool"), (1.5, 3, "1×1"), (0, 4, "all stacked")],
        [(0, 1), (0, 2), (2, 3), (0, 4), (4, 5), (0, 6), (6, 7), (1, 8), (3, 8), (5, 8), (7, 8)],
    ),
}  # fmt: skip
figure = Figure(figsize=(9.5, 3.8), layout="constrained")
for axes, (title, (boxes, arrows)) in zip(figure.subplots(1, 4), BLOCKS.items(), strict=True):
    for x, y, text in boxes:
        box = {"boxstyle": "round", "facecolor": "0.92"}
        axes.text(x, -y, text, ha="center", va="center", fontsize=7.5, bbox=box)
    for i, j in arrows:
        (x, y, _), (to_x, to_y, _) = boxes[i], boxes[j]
        bend = 0.5 * (-1) ** i if x == to_x and j > i + 1 else 0  # round what lies between
        way = {"arrowstyle": "->", "shrinkA": 11, "shrinkB": 11, "color": "0.3"}
        way["connectionstyle"] = f"arc3,rad={bend}"
        axes.annotate("", (to_x, -to_y), (x, -y), arrowprops=way)
    axes.set(xlim=(-2, 2), ylim=(-4.4, 0.4))
    axes.set_title(title, fontsize=8.5)
    axes.set_axis_off()
show(figure, "The block that each network repeats, and how its outputs travel. No data.")

# %% [markdown]
# And the whole networks. `ledger`, known from [tutorial 3](03_network.ipynb), lists each layer of a network with the
# size of what it puts out. So we can draw them from the networks themselves: a square for each size that the picture
# has on its way, 112×112 to the answer.

# %%
SIDES = (112, 56, 28, 14, 7, 1)
figure = Figure(figsize=(9, 6), layout="constrained")
axes = figure.subplots()
for row, network in enumerate(MODELS.values()):
    lines = ledger(network)
    stages = groupby(lines, lambda line: line.shape[0] if len(line.shape) == 3 else 1)
    for side, stage in stages:
        stage = list(stage)
        layers = sum(line.kind != "batch norm" for line in stage)
        share = sum(line.total for line in stage) / sum(line.total for line in lines)
        column = min(range(6), key=lambda k: abs(SIDES[k] - side))
        half = 0.05 + 0.32 * (side / 112) ** 0.5
        left, right, top, bottom = column - half, column + half, row - half, row + half
        axes.fill(
            (left, right, right, left),
            (top, top, bottom, bottom),
            facecolor=str(1 - share),
            edgecolor="black",
        )
        words = f"{layers} layer{'s' if layers > 1 else ''}, {share:.0%}"
        axes.text(column, row + 0.46, words, ha="center", va="center", fontsize=8)
axes.set_yticks(range(4), [printed.NETWORK_NAMES[name] for name in MODELS])
axes.set_xticks(range(6), [*(f"{side}×{side}" for side in SIDES[:-1]), "answer"])
axes.set(xlim=(-0.5, 5.4), ylim=(3.6, -0.45), aspect="equal")
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
show(
    figure,
    "The four networks at 224×224. A square is a size of picture; below it the layers that work at "
    "it and their share of the network's parameters, which is its shade, too. Inception v1 has "
    "27×27 for 28×28.",
)

# %% [markdown]
# The picture shrinks alike in all four; what differs is the number of layers on the way: 14 in the proposed network,
# and in DenseNet121 the 121 that gave it its name. Most parameters are where the picture is small, because there the
# channels are many.
#
# Size and work can be counted without training anything. `ledger` lists each layer; its sums:

# %%
rows = []
for name, network in MODELS.items():
    lines = ledger(network)
    trainable, total = sum(line.trainable for line in lines), sum(line.total for line in lines)
    work = sum(line.multiply_adds for line in lines) / 1e9
    rows.append(
        (
            printed.NETWORK_NAMES[name],
            printed.table_3()[name]["parameters_millions"],
            trainable,
            total,
            work,
        )
    )
table(
    (
        "network",
        "paper: million parameters",
        "trainable",
        "with running statistics",
        "billion multiply-adds",
    ),
    [
        (name, f"{millions:.3f}", f"{trainable:,}", f"{total:,}", f"{work:.2f}")
        for name, millions, trainable, total, work in rows
    ],
)

# %% [markdown]
# All four printed counts are met, cut off after three decimals, but not by the same rule: *all* parameters for the
# proposed network and DenseNet121, only the *trainable* ones for MobileNet (Inception v1 has no running statistics).
# Another layout of MobileNet would have that many in all; `python -m ich_jax.models mobilenet` weighs the two.
# MobileNet is the smallest and has the least work.
#
# ## The trainings
#
# The paper trains all four with batches of 8, split by image. On the phantom and a laptop there is time for some
# two hundred steps, **enough to see two networks learn, not enough to rank anything**. Which two? The proposed network, and
# DenseNet121, the largest of the others. MobileNet and Inception v1 are left out here because they learn too slowly: in
# so few steps they say little but "none" (a run of 600 steps is in [docs/reproduction.md](../docs/reproduction.md), and
# `python -m ich_jax.reproduce` makes the full report). In the small setting it is MobileNet instead of DenseNet121,
# which takes more than a minute to compile.
#
# To save time once more, the images are halved, to 48×48. The phantom preset lets batch norm's running statistics
# follow faster than Keras's 0.99, because there are so few steps; its *augmentation* (training on slightly changed
# copies), which the paper has none of, is left out. On data of your own the trainings are the paper's, of all four
# networks and to the end.
#
# The paper compares at batch 8 because DenseNet121 could not be trained above it on a laptop GPU of 4 GB. Is that the
# network? XLA, the compiler behind JAX, can plan a training step for a GPU that is not there: DenseNet121 in float32
# would take about 0.8, 1.4 and 2.8 GiB at batch 8, 16 and 32, the proposed network 0.3, 0.5 and 0.9. (No GPU ran, and
# the scratch memory of convolutions is not in it.) A framework that runs one operation after another keeps more of what
# the gradient needs: for DenseNet121 at least 0.9, 1.8 and 3.6 GiB. By either count batch 16 needs less than half of 4
# GB, so these numbers alone do not explain the limit; by the second one 32 would hardly fit. The claim is plausible if
# scratch memory, the framework and the screen took the other half. It is about framework and network together, and only
# the laptop could tell ([docs/gpu_memory.md](../docs/gpu_memory.md)).

# %%
results = {}
if not GIVEN:
    folder, smaller = empty_folder("07_comparison"), data
    if not SMALL:
        half = data.image_size // 2
        fours = data.images.reshape(-1, half, 2, half, 2, 3)
        smaller = replace(
            data, images=(fours.sum(axis=(2, 4), dtype=np.uint16) // 4).astype("uint8")
        )
for name in NETWORKS:
    if GIVEN:
        run = trained(f"{name}-8")
    else:
        settings = preset(
            "phantom", model=name, split="image", augment=False, limit=SLICES, epochs=EPOCHS
        )
        run = train(settings, smaller, folder / name, say=lambda _: None)
    results[name] = read_outcome(run.folder, data)
    for part in ("train", "validation"):
        losses = (format(row[f"{part}_loss"], ".2f") for row in results[name].history)
        print(f"{name:<13} {part:<10} loss, epoch by epoch: {' → '.join(losses)}")

# %% [markdown]
# ## Tables 3 to 5, beside the paper's
#
# *Printed* is what the paper's table says, *audited* what its own confusion matrix gives, *measured here* what this
# notebook's trainings gave. On the phantom that is another data set and a few epochs, so it is not to be subtracted
# from the paper's. A test accuracy of about 0.4 is the phantom's baseline, answering 'none' every time: whoever has it
# answers little else, and whoever stays below has hardly begun to learn. On data of your own the difference is shown:
# measured minus audited, or minus printed where nothing can be audited.

# %%
parts = [part for part in side_by_side(data, None, results, data.title) if isinstance(part, Table)]


def show_table(part: Table, hidden: str = "") -> None:
    keep = [k for k, name in enumerate(part.header) if name != hidden]
    header = [part.header[k].replace("ours", "measured here") for k in keep]
    print(part.title.replace("ours", "measured here"))
    table(header, [[row[k] for k in keep] for row in part.rows])


for number, not_on_a_phantom in ((3, "difference"), (4, "our ratio"), (5, "difference")):
    part = next(part for part in parts if part.title.startswith(f"Table {number}."))
    show_table(part, hidden="" if GIVEN else not_on_a_phantom)

# %% [markdown]
# Table 4's last column is the median time of an epoch over the proposed network's. On the phantom the minutes differ by
# more than that, 2.1 against 0.9 for three epochs each: they contain the compiling, which falls into the first epoch and
# takes long for DenseNet121's many layers. The median leaves it out. At 48×48 an epoch costs the two about the same.
#
# In the paper DenseNet121 took 3.77 times as long, and it does have 3.2 times the multiply-adds. But MobileNet, which
# has the fewest, took twice as long: counted work does not predict time. Ratios of time belong to a machine and a
# library. How large is yours?
#
# ## Tables 6 to 9
#
# Four confusion matrices of 36 numbers each are hard to read. Their diagonals, as shares of the rows, are the recalls:

# %%
figure = Figure(figsize=(9, 3.6), layout="constrained")
axes = figure.subplots()
place = np.arange(len(CLASSES))
for k, (name, shade) in enumerate(
    zip(printed.NETWORKS, ("0.1", "0.4", "0.65", "0.85"), strict=True)
):
    axes.bar(
        place + 0.2 * (k - 1.5),
        metrics.recall(printed.confusion(name)),
        0.2,
        color=shade,
        edgecolor="black",
        linewidth=0.4,
        label=printed.NETWORK_NAMES[name],
    )
axes.set_xticks(place, CLASSES)
axes.set(ylabel="recall (share of the class found)", ylim=(0, 1))
axes.legend(fontsize=8)
show(
    figure,
    "The paper's Tables 6–9: what each network finds. Every network finds nearly all healthy "
    "slices; two find no epidural bleed at all. RSNA data, from the printed matrices.",
)
table(
    ("network", *(f"found here: {name}" for name in CLASSES[1:])),
    [
        (
            printed.NETWORK_NAMES[name],
            *(f"{one.confusion[k, k]} of {one.confusion[k].sum()}" for k in range(1, 6)),
        )
        for name, one in results.items()
    ],
)
print("found here:", data.title)

# %% [markdown]
# On data of your own the matrices can be compared cell by cell, printed / measured here.

# %%
if GIVEN:
    for part in parts:
        if part.title.startswith(tuple(f"Table {k}." for k in printed.CONFUSION_TABLES.values())):
            show_table(part)

# %% [markdown]
# ## The audit
#
# A confusion matrix contains every metric of [tutorial 5](05_metrics.ipynb). So the paper's Tables 6–9 can check its
# Tables 3 and 5. `python -m ich_jax.audit` does it; here are its two main tables and what it found.

# %%
found = audit.audit()
for part in found.tables[:2]:
    print(part.title)
    table(part.header, part.rows)

# %%
for where, what, why in found.findings:
    print(f"• {where}: {what};\n  {why}.\n")

# %% [markdown]
# The largest disagreement changes the story. By the printed accuracy DenseNet121 is last and below the always-"none"
# baseline; by its own confusion matrix it is third, above MobileNet:

# %%
figure = Figure(figsize=(9, 3), layout="constrained")
axes = figure.subplots()
for k, name in enumerate(printed.NETWORKS):
    in_table_3, value = printed.table_3()[name]["test_accuracy"], found.values[name]["accuracy"]
    axes.plot([in_table_3, value], [k, k], color="0.6", zorder=0)
    axes.plot(
        in_table_3,
        k,
        "ko",
        markerfacecolor="white",
        markersize=8,
        label="printed in Table 3" if k == 0 else None,
    )
    axes.plot(value, k, "kD", markersize=5, label="from its confusion matrix" if k == 0 else None)
baseline = found.values["proposed"]["majority_accuracy"]
axes.axvline(baseline, color="0.5", linestyle=":", label="always 'none'")
axes.set_yticks(range(4), [printed.NETWORK_NAMES[name] for name in printed.NETWORKS])
axes.invert_yaxis()
axes.set(xlabel="test accuracy", xlim=(0.875, 0.935))
axes.legend(fontsize=8, loc="lower left")
show(
    figure,
    "Three networks agree with their matrices; DenseNet121's printed accuracy is three points below "
    "its matrix's. RSNA data, from the paper's tables.",
)

# %% [markdown]
# Which of the two is wrong, the tables do not say. DenseNet121's printed *validation* accuracy, 0.8828, fits its
# printed test accuracy; so the matrix may be of another run.
#
# And which is *best*? By accuracy, the proposed network. By the share of hemorrhages seen, DenseNet121. By balanced
# accuracy, the proposed one again, but only because it finds a quarter of the epidural bleeds, of which there are 423
# in 180,180. "Best" needs a reason: what does a missed bleed cost, and what a false alarm?
#
# ## Try it
#
# 1. Change one cell of a confusion matrix and audit again: move 1,000 of DenseNet121's healthy slices from "none" to
#    "subdural". `audit.audit` takes a function that gives the matrix of a network.
# 2. How many parameters would MobileNet have if its 3×3 convolutions mixed the channels (as in an ordinary network)?
#    The ledger has lines of the kind `depthwise 3×3`; the last number of a line's `shape` is the channels.
# 3. Is a difference of 0.0060 in accuracy (proposed against Inception v1) chance? Treat all answers as independent: an
#    accuracy $p$ of $n$ slices has the standard error $\sqrt{p (1 - p) / n}$, and that of a difference is the root of
#    the sum of squares. Why is this not the right calculation?
#
# [The answers](answers/07_comparison.ipynb) are in a notebook of their own.
