# %% [markdown]
# # Answers to tutorial 1, Material
#
# Three exercises stand at the end of [the tutorial](../01_material.ipynb), and here again with their answers. Read them
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

from ich_jax.data.labels import parse_labels
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.splits import PARTS, split_by_image, split_by_patient
from tutorials.common import GIVEN, SOURCE, left_out, open_labels, start, table

data = start()
LABELS_ARE_THERE = not GIVEN or SOURCE is not None

# %% [markdown]
# ## 1
#
# > In the phantom, too, four slices are listed twice. How many rows has its label file, and how many distinct slices?
#
# Six rows for each distinct slice, and six more for each of the four that are listed twice.

# %%
if LABELS_ARE_THERE:
    with open_labels() as file:
        labels = parse_labels(file, "stage_2_train.csv")
    with open_labels() as file:
        count = sum(1 for _ in file) - 1
    distinct = len(labels.image_class) + len(labels.multi_type)
    assert count == 6 * (distinct + len(labels.duplicates))
    print(f"{count:,} rows, {distinct:,} distinct slices")
else:
    left_out("the label file is not there; ICH_JAX_SOURCE names the folder or zip that holds it")

# %% [markdown]
# ## 2
#
# > Does a split by patient give each part the same share of every class? Compare the three parts.
#
# Nearly. Whole patients cannot be cut, and yet on the phantom the shares of a class differ by at most 0.3 percentage
# points between the parts. Split by image it is at most 0.2, from rounding the quarters down; for "none" the split by
# patient is even closer.

# %%
parts = {"by image": split_by_image(data.classes, seed=0)}
try:
    parts["by patient"] = split_by_patient(data.classes, data.patient_ids, seed=0)
except ValueError as error:
    left_out(str(error))
for name, split in parts.items():
    shares = {
        part: np.bincount(data.classes[split[part]], minlength=6) / len(split[part])
        for part in PARTS
    }
    print(name)
    table(
        ("class", *PARTS),
        [(label, *(f"{shares[part][k]:.1%}" for part in PARTS)) for k, label in enumerate(CLASSES)],
    )

# %% [markdown]
# ## 3
#
# > Write a split by patient yourself: shuffle the patients, give half of them to training. Check that no patient is in
# > two parts. What is worse about it than `split_by_patient`?
#
# It is fair, but blind to the classes: their shares differ more between the parts than above, and the fewer the
# patients, the more. On the phantom 15.3 % of the training part are epidural, and 6.6 % of the validation part.
# `split_by_patient` chooses whose slices go where so that every part gets its share of each class.

# %%
patients = np.random.default_rng(0).permutation(np.unique(data.patient_ids))
half, quarter = len(patients) // 2, len(patients) // 4
groups = {
    "train": patients[:half],
    "validation": patients[half : half + quarter],
    "test": patients[half + quarter :],
}
mine = {part: np.flatnonzero(np.isin(data.patient_ids, group)) for part, group in groups.items()}
assert len(np.unique(np.concatenate([*mine.values()]))) == len(data.classes)
for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
    assert not np.isin(data.patient_ids[mine[first]], data.patient_ids[mine[second]]).any()
shares = {
    part: np.bincount(data.classes[mine[part]], minlength=6) / len(mine[part]) for part in PARTS
}
table(
    ("class", *PARTS),
    [(label, *(f"{shares[part][k]:.1%}" for part in PARTS)) for k, label in enumerate(CLASSES)],
)
