# %% [markdown]
# # Answers to tutorial 0, Introduction
#
# Three exercises stand at the end of [the tutorial](../00_introduction.ipynb), and here again with their answers. Read
# them when you have tried.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
from collections import Counter

from matplotlib.figure import Figure

from ich_jax.data.dicom import read_slice
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import BRAIN, apply_window
from ich_jax.phantom.dataset import read_truth
from ich_jax.training.outcome import read_outcome
from ich_jax.training.run import evaluate
from tutorials.common import (
    blood_in,
    phantom,
    practice_run,
    show,
    start,
    table,
)

data = start()

# %% [markdown]
# ## 1
#
# > How many slices of each class are in `data`? What share of them shows no hemorrhage?
#
# `data.classes` holds one number per slice, its place in `CLASSES`.

# %%
counts = Counter(CLASSES[k] for k in data.classes)
table(
    ("class", "slices", "share"),
    [(name, counts[name], f"{counts[name] / len(data.classes):.1%}") for name in CLASSES],
)

# %% [markdown]
# ## 2
#
# > Outline the phantom's smallest subarachnoid bleed, as in the first picture.
#
# `blood_in` is true where at least half of a pixel is blood. The faint edge of a bleed, mixed with brain, stays outside
# the line.

# %%
slices = phantom()
rows = [row for row in read_truth(slices) if row.types == "subarachnoid" and not row.damage]
row = min(rows, key=lambda row: row.subarachnoid_mm2)
figure = Figure(figsize=(4, 4), layout="constrained")
axes = figure.subplots()
axes.imshow(
    apply_window(read_slice(slices / "stage_2_train" / f"{row.image_id}.dcm").hu, *BRAIN),
    cmap="gray",
)
axes.contour(blood_in(row.image_id), [0.5], colors="white", linewidths=1.2)
axes.set_axis_off()
show(figure, f"The smallest subarachnoid bleed, {row.subarachnoid_mm2:.0f} mm², outlined. PHANTOM.")

# %% [markdown]
# ## 3
#
# > The training above reports on the *test* part. Evaluate the same run on the *validation* part:
# > `evaluate(run.folder, "validation")` (from `ich_jax.training.run`) prints a page like the one above and returns its
# > metrics as a dictionary. Is it better there? Why could one expect that?
#
# One could expect it to be a little better on the validation part, because the epoch that is kept was *chosen* by the
# loss there. On parts this small chance can outweigh that. It is why a third part, the test part, is held back.
#
# In the tutorial's training, on the phantom, the accuracy of the kept epoch is 0.645 on the validation part and 0.628
# on the test part; the losses, 1.068 and 1.048, are the other way round. The code below then asks a smaller training (6
# epochs, 200 slices in each of the two parts), so that it takes seconds; there the accuracy is clearly better on the
# validation part.

# %%
run = practice_run()
on_validation = evaluate(run.folder, "validation", data.path, say=lambda _: None)
on_test = read_outcome(run.folder, data).metrics
table(
    ("part", "slices", "accuracy", "balanced accuracy"),
    [
        (m["part"], m["slices"], m["accuracy"], m["balanced_accuracy"])
        for m in (on_validation, on_test)
    ],
)
