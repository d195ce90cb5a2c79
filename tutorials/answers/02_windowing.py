# %% [markdown]
# # Answers to tutorial 2, Pre-processing
#
# Three exercises stand at the end of [the tutorial](../02_windowing.ipynb), and here again with their answers. Read
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
from matplotlib.figure import Figure

from ich_jax.data.dicom import read_slice
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import (
    AIR_HU,
    BONE,
    BRAIN,
    apply_window,
    window_limits,
)
from ich_jax.phantom.dataset import read_truth
from tutorials.common import GIVEN, SOURCE, dicom, phantom, show, start

data = start()

# The tutorial's slice, in HU.
if GIVEN and SOURCE:
    subdural = np.flatnonzero(data.classes == CLASSES.index("subdural"))
    row = subdural[0] if len(subdural) else data.classes.argmax()
    path, shown = dicom(data.image_ids[row]), data.title
else:
    slices = phantom()
    chosen = max(
        (row for row in read_truth(slices) if row.types == "subdural" and not row.damage),
        key=lambda row: (row.format.startswith("16-bit signed -1024.0 "), row.subdural_mm2),
    )
    path, shown = slices / "stage_2_train" / f"{chosen.image_id}.dcm", "PHANTOM"
hu = read_slice(path).hu

# %% [markdown]
# ## 1
#
# > A *stroke window* has level 32 and width 8. Which HU become black and white? Show the slice in it. Why is it noisy?
#
# 28 HU and less is black, 36 HU and more white. It spreads the few HU between grey and white matter, and early signs of
# a stroke, over the whole screen; blood and bone are both white. Neighbouring pixels of brain
# differ by a good part of the window, as the number below says: that is the noise.

# %%
print(window_limits(32, 8))
brain = (hu[:, 1:] > 20) & (hu[:, 1:] < 45) & (hu[:, :-1] > 20) & (hu[:, :-1] < 45)
print(
    f"neighbouring pixels of brain differ by {np.abs(np.diff(hu, axis=1))[brain].mean():.1f} HU on average"
)
figure = Figure(figsize=(4, 4), layout="constrained")
axes = figure.subplots()
axes.imshow(apply_window(hu, 32, 8), cmap="gray")
axes.set_axis_off()
show(figure, f"A window of 8 HU: grey and white matter fall apart, and the noise shows. {shown}.")

# %% [markdown]
# ## 2
#
# > How many of the 256 grey levels can a whole-numbered HU reach in the brain window? And in the bone window?
#
# The brain window has 81 whole HU from 0 to 80, each its own level: 81 of 256 levels, the others stay empty. The bone
# window has 2,801 HU for 256 levels: all are used, and about eleven HU share one.

# %%
whole = np.arange(AIR_HU, 3000)
for name, window in (("brain", BRAIN), ("bone", BONE)):
    print(name, len(np.unique(apply_window(whole, *window))), "levels")

# %% [markdown]
# ## 3
#
# > Go back: given a grey level of the brain window strictly between 0 and 255, which HU could it have been? Check that
# > windowing your answer returns the level.
#
# Solve $g = (h - \text{lo}) \cdot 255 / W$ for $h$: $h = \text{lo} + g\,W / 255$ is the middle of all HU that give $g$,
# which reach half a level, $W / 510$, to both sides. In the brain window that is ±0.16 HU: at most one whole number
# lies in it, and for most levels none does.

# %%
level, width = BRAIN
grey = np.arange(1, 255)
back = (level - width / 2) + grey * width / 255
assert np.array_equal(apply_window(back, *BRAIN), grey)
print(
    "back and forth:",
    grey[100],
    "→",
    round(back[100], 2),
    "HU →",
    apply_window(back[100:101], *BRAIN)[0],
)
