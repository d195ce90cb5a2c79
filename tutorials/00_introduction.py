# %% [markdown]
# # 0 · Giriş · Introduction
#
# A blood vessel in the head breaks, and blood collects where there is no room for it. Every minute counts, and what to
# do depends on where the blood is. The first picture taken is nearly always a **CT** (computed tomography): it is fast,
# nearly every hospital has one, and fresh blood shows as bright against the brain. The paper this project rebuilds asks
# a *neural network*, a function with millions of numbers that are learned from examples, to look at one CT slice (one
# cross-section of the head) and say which of six things it shows: no hemorrhage, or one of five types.
#
# This first tutorial shows the five types, and then the whole way from files to a trained network in a few lines. The
# other eight take that way apart, one section of the paper each.
#
# > **As it comes, everything you see here is a phantom**: synthetic heads, drawn by code, because nobody can ship 180 GB
# > of real scans. It is for learning. Nothing that is marked PHANTOM is fit to judge a real patient by.
# >
# > **You have RSNA's data?** With `ICH_JAX_DATA=data/prepared` in the environment, all nine tutorials run on that
# > prepared folder, with the paper's own settings, and name the data wherever they show a result; `ICH_JAX_SOURCE=…`
# > names the zip or folder from Kaggle, the web site that has these data, for the cells that open DICOM files, and
# > `ICH_JAX_RUNS=…` the folder of a reproduction, whose trainings are then not made again. [README.md](README.md) says
# > more.
#
# - **You will** see the five types of hemorrhage, train a network on synthetic slices, and question it about single
#   files.
# - **You will learn** the words of the subject, and the way from files to a result.
# - **You need** some Python, and to have seen NumPy. No medicine: its terms are explained, here or in the tutorial that
#   is named. What happens inside the network is for later tutorials; here it is one call.
# - **It takes** about 40 minutes to study, and 30 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%

import numpy as np
from matplotlib.figure import Figure

from ich_jax.data.dicom import read_slice
from ich_jax.data.prepared import open_prepared
from ich_jax.paper.printed import CLASSES, TYPES
from ich_jax.paper.windowing import BRAIN, apply_window
from ich_jax.phantom.dataset import read_truth
from ich_jax.training.batches import split_rows
from ich_jax.training.config import preset
from ich_jax.training.inference import predict
from ich_jax.training.run import train
from tutorials.common import (
    GIVEN,
    SMALL,
    SOURCE,
    blood_in,
    dicom,
    empty_folder,
    left_out,
    phantom,
    show,
    start,
    table,
    trained,
)

data = start()
SLICES = 300 if SMALL else 1600  # how many to use; SMALL only checks that everything runs
EPOCHS = 2 if SMALL else 8

# %% [markdown]
# ## Five places to bleed
#
# The brain lies in fluid, wrapped in skins, inside bone. From the outside in: bone, a tough skin (*dura*), a thin one
# (*arachnoid*), fluid, then the brain's surface; and deep inside the brain, chambers of fluid, the *ventricles*. Each
# type of hemorrhage is named after the space the blood is in.
#
# | type | Turkish | where the blood is | what it looks like |
# |---|---|---|---|
# | epidural | epidural | between bone and dura | a lens, bulging inwards: the dura is glued to the bone's seams |
# | subdural | subdural | beneath the dura | a crescent along the bone, past the seams; or a streak along the fold between the halves |
# | subarachnoid | subaraknoid | in the fluid around the brain | thin, follows the furrows, fills the pools at the brain's base |
# | intraventricular | intraventriküler | in the ventricles | fills them, or sinks to their back |
# | intraparenchymal | intraparenkimal | in the brain itself | a ragged blob in a dark rim of swelling |
#
# The phantom comes with `truth.csv`, which says what was put into each slice. Here is the largest bleed of each type
# (heights are above the third ventricle, in the middle of the brain). The pictures below show them in the *brain
# window*, a choice of grey levels that makes blood stand out from brain ([tutorial 2](02_windowing.ipynb)).

# %%
truth = read_truth(phantom())
largest = {}
for name in TYPES:
    rows = [row for row in truth if row.types == name and not row.damage]
    largest[name] = max(rows, key=lambda row: getattr(row, f"{name}_mm2"))
table(
    ("type", "slice", "height, mm", "area of blood, mm²"),
    [
        (name, row.image_id, f"{row.height_mm:.0f}", f"{getattr(row, f'{name}_mm2'):.0f}")
        for name, row in largest.items()
    ],
)


# %% [markdown]
# Where exactly is the blood? On real scans a radiologist has to draw its outline. A phantom can simply be drawn twice,
# the second time with far brighter blood, and the difference is the answer;
# [phantom/blood](../ich_jax/phantom/blood.py) does that.

# %%
slices = phantom()
figure = Figure(figsize=(9, 4.2), layout="constrained")
panels = figure.subplots(2, 5)
for column, (name, row) in enumerate(largest.items()):
    hu = read_slice(slices / "stage_2_train" / f"{row.image_id}.dcm").hu
    for axes in panels[:, column]:
        axes.imshow(apply_window(hu, *BRAIN), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
    panels[1, column].contour(blood_in(row.image_id), [0.5], colors="white", linewidths=1.2)
    panels[0, column].set_title(name, fontsize=10)
show(
    figure,
    "The five types in the brain window, PHANTOM slices. Below, the same slices with the bleed "
    "outlined: cover the lower row and try to find each one.",
)

# %% [markdown]
# With data of your own, here is one real slice of each class, drawn at random. Nobody has outlined the blood in them.

# %%
if GIVEN:
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(data.classes == k))[:1] for k in range(len(CLASSES))]
    figure = Figure(figsize=(9, 2), layout="constrained")
    for axes, row, name in zip(figure.subplots(1, len(CLASSES)), rows, CLASSES, strict=True):
        if len(row):
            axes.imshow(data.images[row[0], ..., 0], cmap="gray", vmin=0, vmax=255)
        axes.set_title(name if len(row) else f"no {name}", fontsize=8)
        axes.set_axis_off()
    show(figure, f"A slice of each class in the brain window. {data.title}.")

# %% [markdown]
# ## Why it is hard
#
# Bright is not the same as blood. Bone is far brighter; calcium in healthy brains is bright, too; and a bleed can be
# tiny. The next picture has the phantom's **smallest** bleed of each type. Of the slices of RSNA's that the paper uses
# nine in ten show no hemorrhage at all, and a network has to find the few that do.

# %%
slices = phantom()
smallest = {}
for name in TYPES:
    rows = [row for row in truth if row.types == name and not row.damage]
    smallest[name] = min(rows, key=lambda row: getattr(row, f"{name}_mm2"))
figure = Figure(figsize=(9, 2.3), layout="constrained")
for axes, (name, row) in zip(figure.subplots(1, 5), smallest.items(), strict=True):
    hu = read_slice(slices / "stage_2_train" / f"{row.image_id}.dcm").hu
    axes.imshow(apply_window(hu, *BRAIN), cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"{name}\n{getattr(row, f'{name}_mm2'):.0f} mm²", fontsize=9)
    axes.set_axis_off()
show(
    figure, "The smallest bleed of each type, PHANTOM. Exercise 2 asks you to outline one of them."
)

# %% [markdown]
# ## The whole way, in a few lines
#
# `python -m ich_jax.prepare` has turned the DICOM files (*Digital Imaging and Communications in Medicine*, the format
# in which hospitals keep scans) into one array of small colour images (the phantom's have 96×96 pixels, so the network
# below has fewer parameters there than the paper's), and left out damaged files and those that show several types. An
# image's three colours are three windows on the same slice. A *prepared folder* is four plain files, `images.npy` and
# three smaller ones; this is how to open one. A class is a number, its place in `CLASSES`.

# %%
data = open_prepared(data.path)
print(data.title)
print("images ", data.images.shape, data.images.dtype)
print("CLASSES", CLASSES)
print("classes", data.classes[:10], "…  patients", len(set(data.patient_ids.tolist())))

# %% [markdown]
# Training is one call, the same that `python -m ich_jax.train` makes: settings, data, and a folder for what comes out.
# It splits the data into three parts, *training*, *validation* and *test*. The paper's network goes through the
# training part several times, each time an **epoch**, and changes its numbers so that its answers get better. After
# each epoch it is tried on the validation part; the epoch with the lowest **loss** there (how wrong the answers are: 0
# is perfect) is kept, and it reports on the test part, which it has never seen. `preset("phantom")` holds settings that
# suit the phantom; what else is given replaces single ones. (On data of your own `trained`, in `common.py`, makes the
# same call with the paper's settings, unless that training is there already; stopped, it goes on.)

# %%
if GIVEN:
    run = trained("proposed-32")
else:
    folder = empty_folder("00_introduction") / "run"
    run = train(preset("phantom", limit=SLICES, epochs=EPOCHS), data, folder)

# %% [markdown]
# Your figures will not be the ones of somebody with another processor: rounding differs, and a training multiplies the
# difference up. On one machine the same seed gives the same figures. That holds for every training in these tutorials,
# so read *how* to judge a result, not the third digit.
#
# The first lines list the settings; [tutorial 4](04_training.ipynb) explains them, one by one. In the lines of the
# epochs the training loss falls steadily. The validation figures jump at first: on the phantom the accuracy of the
# first epochs is about that of answering "none" to everything, and the first loss is above 1.79, which is what a
# network scores that gives all six classes the same probability. Nothing is broken. The first steps of a training throw
# the network's numbers about, and what it finds out first is that "none" is the most frequent class. Tutorial 4 looks
# at this more closely.
#
# Read the last table from the top: **accuracy** is the share of right answers, and the number in brackets is what you
# would get by answering "none" every time, without looking. A network has to beat that to be worth anything by this
# count. **Sensitivity** is the share of slices with a hemorrhage in which it saw one, whichever type it named. The
# other figures are the subject of tutorials 4 and 5.
#
# Now ask it about single files, as one would in use: the largest bleeds of the phantom, or of data of your own the
# first slice of each class in the test part. `train` has returned the network and its state at the best epoch;
# `predict` gives one answer a file, with the probabilities of the six classes.

# %%
if not GIVEN:
    asked = {name: row.image_id for name, row in largest.items()}
else:
    test = split_rows(data, run.settings)["test"]
    present, first = np.unique(data.classes[test], return_index=True)
    asked = {CLASSES[k]: data.image_ids[test[at]] for k, at in zip(present, first, strict=True)}
if GIVEN and not SOURCE:
    left_out("the DICOM files are not there; ICH_JAX_SOURCE names them")
else:
    files = [dicom(image_id) for image_id in asked.values()]
    answers = predict(run.network, run.state, data.image_size, files)
    table(
        ("the slice shows", "the network says", "with probability", "probability of 'none'"),
        [
            (
                name,
                answer["predicted"],
                answer["probabilities"][answer["predicted"]],
                answer["probabilities"]["none"],
            )
            for name, answer in zip(asked, answers, strict=True)
        ],
    )

# %% [markdown]
# Even of the phantom's largest bleeds it may miss one. And some of those slices were in its training part: this table
# says little. How to measure a network honestly takes the rest of the tutorials: which slices to hold back
# ([1](01_material.ipynb)), what the network sees ([2](02_windowing.ipynb)), what it is made of ([3](03_network.ipynb)),
# how it learns ([4](04_training.ipynb)), what to count ([5](05_metrics.ipynb)), and what came out, here and in the
# paper ([6](06_results.ipynb), [7](07_comparison.ipynb), [8](08_conclusion.ipynb)).
#
# ## Try it
#
# 1. How many slices of each class are in `data`? What share of them shows no hemorrhage?
# 2. Outline the phantom's smallest subarachnoid bleed, as in the first picture.
# 3. The training above reports on the *test* part. Evaluate the same run on the *validation* part:
#    `evaluate(run.folder, "validation")` (from `ich_jax.training.run`) prints a page like the one above and returns its
#    metrics as a dictionary. Is it better there? Why could one expect that?
#
# [The answers](answers/00_introduction.ipynb) are in a notebook of their own.
