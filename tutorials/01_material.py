# %% [markdown]
# # 1 · Materyal · Material
#
# The paper trains on the data of a 2019 contest of the Radiological Society of North America (RSNA): 752,803 CT slices,
# each labelled by a radiologist. Its Table 1 counts the 720,733 that it uses. In this tutorial you go from the label
# file to that table, to the digit, find four slices that are counted twice, and see what the paper's way of splitting
# lets through.
#
# - **You will** go from the label file to the paper's Table 1, and find four slices that it counts twice.
# - **You will learn** how one class a slice is made, and why it matters *how* slices are split into parts.
# - **You need** NumPy and Python's dictionaries. No network.
# - **It takes** about 45 minutes to study, and 40 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import csv
from collections import Counter, defaultdict
from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from ich_jax.data.labels import parse_labels
from ich_jax.paper import printed
from ich_jax.paper.metrics import accuracy, balanced_accuracy, confusion_matrix
from ich_jax.paper.printed import CLASSES, TYPES
from ich_jax.paper.splits import PARTS, split_by_image, split_by_patient
from tutorials.common import GIVEN, SOURCE, left_out, open_labels, show, start, table

data = start()
LABELS_ARE_THERE = not GIVEN or SOURCE is not None
WHERE = "the label file is not there; ICH_JAX_SOURCE names the Kaggle zip or folder that holds it"

# %% [markdown]
# ## The label file
#
# `stage_2_train.csv` has a row for each slice **and** type, six to a slice: the five types and `any`. The phantom is
# written in the same layout, so the same code reads both.

# %%
if LABELS_ARE_THERE:
    with open_labels() as file:
        print(*islice(file, 13), sep="", end="")
else:
    left_out(WHERE)

# %% [markdown]
# To get from rows to one class per slice, collect the types of each slice, then look at how many there are: none, one,
# or several. The paper keeps the slices with none or one. That is six classes. By hand it takes ten lines:


# %%
def classes_by_hand(file) -> dict[str, str]:
    types_of = defaultdict(set)
    for row in csv.DictReader(file):
        image_id, kind = row["ID"].rsplit("_", 1)  # the last underscore: the ID has one, too
        types = types_of[image_id]  # also makes an entry for a slice without any type
        if row["Label"] == "1" and kind != "any":
            types.add(kind)
    return {image: next(iter(types), "none") for image, types in types_of.items() if len(types) < 2}


# %% [markdown]
# The package does the same, and refuses files that contradict themselves. Both must agree.

# %%
if LABELS_ARE_THERE:
    with open_labels() as file:
        labels = parse_labels(file, "stage_2_train.csv")
    with open_labels() as file:
        assert labels.image_class == classes_by_hand(file)
    print(
        f"{len(labels.image_class):,} slices of one class, {len(labels.multi_type):,} of several "
        f"types (left out)"
    )
    print("listed more than once:", ", ".join(labels.duplicates) or "none")
    table(("class", f"slices, {data.title}"), list(labels.class_counts().items()))
else:
    left_out(WHERE)

# %% [markdown]
# ## To Table 1, to the digit
#
# The real file is RSNA's and not ours to pass on (`data/README.md` says how to get it). But a file with the same
# **counts** is enough to follow the paper's arithmetic: below, invented IDs, and as many of each class as RSNA has.
# What goes in: the totals of the five types, from Table 1; 644,870 distinct slices without hemorrhage, four of them
# listed twice, and 32,074 with several types, from the real file. What is tested: the duplicates and the split into
# parts.

# %%
DISTINCT = {
    **{name: counts["total"] for name, counts in printed.table_1().items()},
    "none": 644_870,
}
SEVERAL, LISTED_TWICE = 32_074, 4


def lines_of(first: int, count: int, types: tuple[str, ...] = ()):
    """The six rows of each of `count` slices."""
    rows = [
        f"_{kind},{int(kind in types or (kind == 'any' and bool(types)))}\n"
        for kind in (*TYPES, "any")
    ]
    for number in range(first, first + count):
        for row in rows:
            yield f"ID_{number:09x}{row}"


def label_file():
    yield "ID,Label\n"
    yield from lines_of(0, DISTINCT["none"])
    first = DISTINCT["none"]
    for name in TYPES:
        yield from lines_of(first, DISTINCT[name], (name,))
        first += DISTINCT[name]
    yield from lines_of(first, SEVERAL, ("subarachnoid", "subdural"))
    yield from lines_of(0, LISTED_TWICE)  # again


rows = Counter()


def counted(lines):
    for line in lines:
        rows["all"] += 1
        yield line


rsna = parse_labels(counted(label_file()), "a label file with RSNA's counts")
print(f"{rows['all'] - 1:,} rows = {(rows['all'] - 1) // 6:,} × 6")
print(
    f"{len(rsna.image_class) + len(rsna.multi_type):,} distinct slices, {len(rsna.duplicates)} "
    f"listed twice"
)

# %% [markdown]
# Now the split: of each class a quarter for validation, a quarter for test, both rounded down, the rest for training.
# `split_by_image` does that; beside its counts stand the printed ones.

# %%
classes = np.array([CLASSES.index(name) for name in rsna.image_class.values()])
split = split_by_image(classes, seed=0)
table_1, comparison = printed.table_1(), []
for k, name in enumerate(CLASSES):
    ours = {part: int(np.sum(classes[split[part]] == k)) for part in PARTS}
    comparison.append(
        (
            name,
            *(f"{ours[part]:,}" for part in PARTS),
            *(f"{table_1[name][part]:,}" for part in PARTS),
        )
    )
table(
    ("class", *(f"ours: {part}" for part in PARTS), *(f"Table 1: {part}" for part in PARTS)),
    comparison,
)

# %% [markdown]
# Every number agrees, except one: 'none' in training is **four** higher in the paper, 322,440 against 322,436. Four
# slices are listed twice in the file. Did the paper count them twice? Look at a quarter of each count:

# %%
for count, what in ((644_874, "with the four counted twice"), (644_870, "distinct slices only")):
    print(f"⌊{count:,} / 4⌋ = {count // 4:,}   {what}")
print(
    f"Table 1, 'none': total {table_1['none']['total']:,}; validation and test: "
    f"{table_1['none']['validation']:,} and {table_1['none']['test']:,}"
)

# %% [markdown]
# The printed total has the duplicates; the printed quarters only come from the count without them. The paper
# seems to count both, in its training part; it does not say so. Four slices of 322,440 change nothing. But a count that
# does not add up is a thread worth pulling, and [tutorial 7](07_comparison.ipynb) pulls some longer ones.
#
# And the slices that were prepared here? Not every slice of the label file is among them, and `rejected.csv` in the
# prepared folder says why: a slice shows several types, or its file is damaged. The phantom has a damaged file on
# purpose, which holds noise from some row on; by its label it shows no hemorrhage. That is why the label file above has
# one more 'none' than the prepared folder.

# %%
with open(data.path / "rejected.csv", encoding="utf-8", newline="") as file:
    reasons = [row["reason"] for row in csv.DictReader(file)]
several = sum(reason.startswith("multi-type") for reason in reasons)
print(f"left out: {several:,} slices of several types")
for reason, count in Counter(one for one in reasons if "multi-type" not in one).most_common(5):
    print(f"left out: {count:,} × {reason}")
print(f"prepared: {len(data.classes):,} slices, {np.sum(data.classes == 0):,} of them 'none'")

# %%
split = split_by_image(data.classes, seed=0)
measured = {part: np.bincount(data.classes[split[part]], minlength=6) for part in PARTS}
table(
    ("class", *(f"{part}: printed / measured here" for part in PARTS)),
    [
        (name, *(f"{table_1[name][part]:,} / {measured[part][k]:,}" for part in PARTS))
        for k, name in enumerate(CLASSES)
    ],
)
print("measured here:", data.title)

# %% [markdown]
# ## What the split lets through
#
# A CT study is a stack of some tens of slices of **one** head. RSNA's file has about 40 for each of its 18,938
# patients. The paper says only that half of the images are for training and a quarter each for validation and test.
# But in Table 1 the quarters of all six classes are exact to the slice. Whole patients would hardly add up like that,
# so we conclude that it splits *by image*: each slice is put in a part by itself, so nearly every test slice has
# neighbours, of the same head with the same bleed, in training. A split *by patient* keeps a patient's slices together.
# `split_by_patient` takes one patient after the other and puts each where the shares of the classes then come out most
# even (scikit-learn's `StratifiedGroupKFold`).


# %%
def both_splits(classes: np.ndarray, patient_ids: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    splits = {"by image": split_by_image(classes, seed=0)}
    try:
        splits["by patient"] = split_by_patient(classes, patient_ids, seed=0)
    except ValueError as error:
        left_out(str(error))
    return splits


parts, rows = both_splits(data.classes, data.patient_ids), []
for name, split in parts.items():
    met = np.isin(data.patient_ids[split["test"]], data.patient_ids[split["train"]]).mean()
    rows.append((name, *(len(split[part]) for part in PARTS), f"{met:.1%}"))
table(("split", *PARTS, "test slices whose patient is in training"), rows)

# %% [markdown]
# Does that help? Take the simplest classifier there is, which learns nothing at all: to name a test slice, find the
# **most similar training slice** and repeat its label. If it does well, the answers were lying around in the training
# part.
#
# Similar means: shrunk to about 24×24 pixels, with a small distance

# $$d(a, b)^2 = \sum_i (a_i - b_i)^2 = \lVert a \rVert^2 + \lVert b \rVert^2 - 2\, a \cdot b .$$

# That compares every test slice with every training slice: for all of RSNA, 65 billion pairs. So it is done for the
# slices of at most 200 patients, drawn at random, which are split anew.
# And the images are shrunk a hundred at a time, so that they need not fit into memory.

# %%
PATIENTS = 200
everybody = np.unique(data.patient_ids)
if len(everybody) > PATIENTS:
    drawn = np.random.default_rng(0).choice(everybody, PATIENTS, replace=False)
    rows_used = np.flatnonzero(np.isin(data.patient_ids, drawn))
    print(f"a sample: {len(rows_used):,} slices of {PATIENTS} of {len(everybody):,} patients")
else:
    rows_used = np.arange(len(data.classes))
used_classes, used_patients = data.classes[rows_used], data.patient_ids[rows_used]
parts_used = both_splits(used_classes, used_patients)


def shrunk(rows: np.ndarray) -> np.ndarray:
    """The images of these rows, about 24×24 pixels each, as vectors: (M, side²·3) float32."""
    side = data.image_size
    step = side // 24 or 1
    cut = side // step * step
    images = data.images[rows, :cut, :cut].astype(np.float32)
    images = images.reshape(len(rows), cut // step, step, cut // step, step, 3)
    return images.mean(axis=(2, 4)).reshape(len(rows), -1)


small = np.concatenate([shrunk(rows_used[at : at + 100]) for at in range(0, len(rows_used), 100)])


def nearest(test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """For each test row, the training row that is most similar."""
    a, b = small[test], small[train]
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return train[squared.argmin(axis=1)]


found, rows = {}, []
for name, split in parts_used.items():
    found[name] = nearest(split["test"], split["train"])
    confusion = confusion_matrix(used_classes[split["test"]], used_classes[found[name]])
    same = np.mean(used_patients[found[name]] == used_patients[split["test"]])
    rows.append((name, f"{same:.1%}", accuracy(confusion), balanced_accuracy(confusion)))
header = ("split", "nearest is of the same patient", "accuracy", "balanced accuracy (chance 0.17)")
table(header, rows)
patients = len(np.unique(used_patients))
print(f"a patient drawn blindly would be the same one in {1 / patients:.1%} of the cases")

# %% [markdown]
# The same slices, the same rule. Is looking up the neighbour worth more where it can be of the same patient? On the
# phantom it is. (*Balanced* accuracy is the mean over the six classes of the share found of each; [tutorial
# 5](05_metrics.ipynb) explains it.) Even so crude a likeness, mostly of skulls, finds the same head many times more
# often there than chance. Without that head the rule is worth less than nothing: on the phantom the accuracy, 0.25, is
# below always answering "none" (about 0.41), and the balanced accuracy, 0.15, is about that of chance. The most similar
# skull says nothing about a bleed. A network has a finer eye. Here are some of the cases: on the left test slices with
# hemorrhage that were answered with a slice of their own head, on the right the same rule when that is not possible.

# %%
rng = np.random.default_rng(3)
figure = Figure(figsize=(9, 3.9), layout="constrained")
for block, name in zip(figure.subfigures(1, 2), parts_used, strict=False):
    test, answer = parts_used[name]["test"], found[name]
    same = used_patients[test] == used_patients[answer]
    wanted = np.flatnonzero((used_classes[test] > 0) & (same if name == "by image" else ~same))
    wanted = rng.permutation(wanted)
    _, first = np.unique(used_classes[test[wanted]], return_index=True)  # one of each type
    chosen = wanted[np.sort(first)][:3]
    panels = block.subplots(2, 3)
    for column, k in enumerate(chosen):
        for axes, k_row in zip(panels[:, column], (test[k], answer[k]), strict=True):
            axes.imshow(data.images[rows_used[k_row], ..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set_title(CLASSES[used_classes[k_row]], fontsize=8)
    for axes in panels.ravel():
        axes.set_axis_off()
    block.suptitle(f"split {name}", fontsize=10)
show(
    figure,
    "Above, test slices; below, the training slice most similar to each. Left, by image: chosen "
    "among those whose nearest is of the same patient. Right, by patient: never the same. "
    f"{data.title}, brain window.",
)

# %% [markdown]
# A hospital will bring patients that no network has met. So a split by patient is the fair test, and a result under a
# split by image tends to be too good, by an unknown margin. Does a real network profit, too? `python -m
# benchmarks.leakage` trains the paper's under both splits; [docs/phantom.md](../docs/phantom.md) has its figures.
#
# ## Try it
#
# 1. In the phantom, too, four slices are listed twice. How many rows has its label file, and how many distinct slices?
# 2. Does a split by patient give each part the same share of every class? Compare the three parts.
# 3. Write a split by patient yourself: shuffle the patients, give half of them to training. Check that no patient is in
#    two parts. What is worse about it than `split_by_patient`?
#
# [The answers](answers/01_material.ipynb) are in a notebook of their own.
