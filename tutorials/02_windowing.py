# %% [markdown]
# # 2 · Veri Ön İşleme · Pre-processing
#
# A CT slice knows about 4,000 shades, a screen shows 256, and the difference between healthy brain and fresh blood is
# about 30. Show all 4,000 at once and blood and brain look the same. A radiologist therefore picks a *window*: a short
# stretch of the scale, spread over all the grey levels. The paper picks three and stacks them as the red, green and
# blue of a colour image. You will derive that function, write it twice (as arithmetic and as a table), rebuild the
# paper's Fig. 3, and find two places where "obviously the same" is not.
#
# - **You will** derive windowing, write it in two ways, and rebuild the paper's Fig. 3.
# - **You will learn** what Hounsfield units and windows are, and two places where "obviously the same" is not.
# - **You need** NumPy and a straight line's equation. No network.
# - **It takes** about 45 minutes to study, and 30 more for the exercises.

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
from PIL import Image

from ich_jax.data.dicom import read_stored
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import (
    BONE,
    BRAIN,
    SUBDURAL,
    WINDOWS,
    apply_window,
    hu_to_rgb,
    look_up,
    lookup_table,
    window_limits,
)
from ich_jax.phantom.dataset import read_truth
from ich_jax.phantom.tissues import BLOOD_RANGE_HU, TISSUE_RANGES_HU
from ich_jax.show import figures
from tutorials.common import GIVEN, SMALL, SOURCE, dicom, phantom, show, start, table

data = start()
SIZE = 64 if SMALL else 224  # side of the finished image; the paper's is 224

# %% [markdown]
# ## From stored values to Hounsfield units
#
# A scanner measures how strongly each small cube of the head weakens X-rays. The **Hounsfield unit** (HU) puts water at
# 0 and air at −1000. A DICOM file stores whole numbers $s$ and, in its header, how to get to HU (DICOM standard, part
# PS3.3, section C.11.1):
#
# $$\text{HU} = \text{slope} \cdot s + \text{intercept}.$$
#
# The slice of this tutorial has a subdural hemorrhage: the largest of the phantom's slices in a certain format, or of
# data of your own the first that has one (without its DICOM files, a phantom's).

# %%
if GIVEN and SOURCE:
    subdural = np.flatnonzero(data.classes == CLASSES.index("subdural"))
    row = subdural[0] if len(subdural) else data.classes.argmax()
    path, shown = dicom(data.image_ids[row]), data.title
    what = f"{shown}: slice {data.image_ids[row]}, {CLASSES[data.classes[row]]}"
else:
    slices = phantom()
    chosen = max(
        (row for row in read_truth(slices) if row.types == "subdural" and not row.damage),
        key=lambda row: (row.format.startswith("16-bit signed -1024.0 "), row.subdural_mm2),
    )
    path, shown = slices / "stage_2_train" / f"{chosen.image_id}.dcm", "PHANTOM"
    what = "PHANTOM: a subdural hemorrhage"
raw = read_stored(path)
hu = raw.encoding.to_hu(raw.stored)
print("stored values", raw.stored.dtype, "from", raw.stored.min(), "to", raw.stored.max())
print("slope", raw.encoding.slope, "intercept", raw.encoding.intercept)
print("HU from", hu.min(), "to", hu.max())
print(f"below air, −1000 HU: {(hu < -1100).mean():.0%} of the pixels")

# %% [markdown]
# What is below air? The scanner sees a round field. Outside it, in the corners of the picture, many files hold a
# *padding* value that stands for nothing. (If the share is 0 %, this file has none.)
#
# Here is what lies where on the scale; in the phantom, and about so in a head:

# %%
table(
    ("tissue", "HU"),
    [
        (name, f"{low:,} … {high:,}")
        for name, (low, high) in {**TISSUE_RANGES_HU, "fresh blood": BLOOD_RANGE_HU}.items()
    ],
)

# %% [markdown]
# (CSF is the fluid around the brain; diploë is the spongy middle of the skull's bone.) Brain and blood are some tens of
# HU apart, bone is far away from both.
#
# ## The window, derived
#
# A window has a *level* $L$ (its middle) and a *width* $W$, both in HU. Its ends are
#
# $$\text{lo} = L - \tfrac{W}{2}, \qquad \text{hi} = L + \tfrac{W}{2}.$$
#
# The paper uses three, and gives each by its level and width:
#
# | window | level | width | from lo … to hi | it shows |
# |---|---:|---:|---:|---|
# | brain | 40 | 80 | 0 … 80 | the brain's tissues, and blood in them |
# | subdural | 80 | 200 | −20 … 180 | blood beside bone |
# | bone | 600 | 2,800 | −800 … 2,000 | the skull |
#
# In the package they are called `BRAIN`, `SUBDURAL` and `BONE`. Here is where this slice's pixels lie, and what the
# windows cover:

# %%
assert WINDOWS == (BRAIN, SUBDURAL, BONE) == ((40, 80), (80, 200), (600, 2800))
lowest = min(hu.min(), -1050) // 50 * 50
figure = Figure(figsize=(9, 3.4), layout="constrained")
axes = figure.subplots()
axes.hist(hu.ravel(), bins=np.arange(lowest, 2050, 10), color="0.35")
axes.set_yscale("log")
axes.set(xlabel="Hounsfield units (HU)", ylabel="pixels (logarithmic)", ylim=(None, 3e7))
axes.text(-1000, 2e5, "air", ha="center", fontsize=9)
if lowest < -1100:
    axes.text(hu.min() + 15, 2e5, "padding", fontsize=9)
for height, (name, window) in zip(
    (0.94, 0.86, 0.78), (("brain", BRAIN), ("subdural", SUBDURAL), ("bone", BONE)), strict=True
):
    low, high = window_limits(*window)
    axes.plot([low, high], [height] * 2, "k|-", transform=axes.get_xaxis_transform(), markersize=8)
    place = (high + 20, height - 0.02) if high < 1000 else (1400, height + 0.02)
    axes.text(*place, f"{name} window", transform=axes.get_xaxis_transform(), fontsize=9)
show(
    figure,
    "Where a slice's pixels lie, and what the three windows cover. All of the brain is in the "
    f"narrow brain window. {shown}.",
)

# %% [markdown]
# What lies below lo shall be black (0), above hi white (255), and in between the grey shall rise in a straight line. A
# line through (lo, 0) and (hi, 255) has the slope $255 / W$, so
#
# $$g(h) = \mathrm{round}\left( \frac{\min(\max(h, \text{lo}), \text{hi}) - \text{lo}}{W} \cdot 255 \right).$$
#
# Padding is far below every lo, so it becomes black and does no harm.


# %%
def window_by_hand(hu: np.ndarray, level: float, width: float) -> np.ndarray:
    low, high = level - width / 2, level + width / 2
    return np.round((np.clip(hu, low, high) - low) * 255 / width).astype(np.uint8)


for window in WINDOWS:
    assert np.array_equal(window_by_hand(hu, *window), apply_window(hu, *window))
print("the same as ich_jax.paper.windowing.apply_window in all three windows")

# %% [markdown]
# Three windows of one slice, and the three stacked as red, green and blue: that is the paper's Fig. 3. Here they are
# drawn shrunk to 224×224, because that is all the network will ever see.

# %%
show(
    figures.windows_panel(slice_to_image(raw, SIZE), what),
    "Fig. 3 rebuilt. The brain window shows the tissue, the subdural window blood against bone,"
    f" the bone window the skull. {shown}.",
)

# %% [markdown]
# ## The same as a table
#
# A 16-bit pixel has only 65,536 possible values, and a slice has 262,144 pixels. It is less work to window every
# *possible* value once, and then look each pixel up. `stored` may be signed: −1 has the same sixteen bits as 65,535, so
# it is found in the last row.

# %%
every_value = np.arange(65536, dtype=np.uint16).view(raw.stored.dtype)
table_by_hand = hu_to_rgb(raw.encoding.to_hu(every_value))
assert np.array_equal(table_by_hand, lookup_table(raw.encoding.to_hu, raw.stored.dtype))
rgb = table_by_hand[raw.stored.view(np.uint16)]
assert np.array_equal(rgb, look_up(raw.stored, table_by_hand))
assert np.array_equal(rgb, hu_to_rgb(hu))
print("looked up:", rgb.shape, rgb.dtype, "— the same as by arithmetic, to the bit")

# %% [markdown]
# ## Not the same, 1: DICOM's own window
#
# DICOM viewers have a window function named LINEAR (PS3.3 C.11.2.1.2). It looks alike, but subtracts one half from the
# level and one from the width:
#
# $$g(h) = \left( \frac{h - (L - 0.5)}{W - 1} + 0.5 \right) \cdot 255, \quad\text{cut off at } 0 \text{ and } 255.$$
#
# The paper's formula is DICOM's other linear one, LINEAR_EXACT (C.11.2.1.3.2). How much does it matter?

# %%
scale = np.arange(-20, 101)
figure = Figure(figsize=(9, 3.2), layout="constrained")
left, right = figure.subplots(1, 2)
for name, (level, width), line in (
    ("brain", BRAIN, "-"),
    ("subdural", SUBDURAL, "--"),
    ("bone", BONE, ":"),
):
    exact = np.clip((scale - (level - width / 2)) * 255 / width, 0, 255)
    linear = np.clip(((scale - (level - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    if name == "brain":
        left.plot(scale, exact, "k-", label="LINEAR_EXACT (the paper's)")
        left.plot(scale, linear, color="0.5", linestyle="--", label="LINEAR")
    right.plot(scale, linear - exact, "k" + line, label=name)
    print(
        f"{name:<9} largest difference from −20 to 100 HU: {np.abs(linear - exact).max():.1f} "
        f"grey levels"
    )
left.set(xlabel="Hounsfield units", ylabel="grey level", title="the brain window, both ways")
right.set(
    xlabel="Hounsfield units", ylabel="difference (grey levels)", title="LINEAR − LINEAR_EXACT"
)
left.legend(fontsize=8)
right.legend(fontsize=8)
show(
    figure,
    "Two windows of the same name and numbers. In the brain window they differ by up to 3.2 grey "
    "levels before rounding, and 4 after: about one HU.",
)

# %% [markdown]
# Small, but a network trained on one and used on the other sees a shifted brain. "40/80" alone does not say which.
#
# ## Not the same, 2: resizing first
#
# The paper windows at 512×512 and resizes *afterwards*. Resizing means averaging neighbours. Why not average the HU and
# window the result, which would be less work? Because the window bends at its ends, and the average of a bent curve is
# not the curve of the average. Two neighbouring pixels suffice, one of air and one of bone:

# %%
pair = np.array([-1000.0, 1200.0])
print("window, then average:", apply_window(pair, *BRAIN).mean())
print("average, then window:", apply_window(np.array([pair.mean()]), *BRAIN)[0])


# %%
def shrink(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


window_first = shrink(apply_window(hu, *BRAIN)).astype(int)
resize_first = apply_window(shrink(hu.astype(np.float32)), *BRAIN).astype(int)
difference = np.abs(window_first - resize_first)
figure = Figure(figsize=(9, 3.4), layout="constrained")
for axes, image, title in zip(
    figure.subplots(1, 3),
    (window_first, resize_first, difference),
    ("window, then resize (paper)", "resize, then window", "absolute difference"),
    strict=True,
):
    shade = axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
figure.colorbar(shade, ax=axes, label="grey levels", shrink=0.8)
show(
    figure,
    "The order matters where the window bends within a few pixels: most at the outside of the skull "
    "and at the headrest, less at the inside of the bone, where epidural and subdural blood lies. "
    f"{shown}, brain window.",
)
table(
    ("where", "share of pixels", "mean difference, grey levels"),
    [
        (
            "differs by more than 10",
            f"{(difference > 10).mean():.1%}",
            f"{difference[difference > 10].mean():.0f}",
        ),
        (
            "the rest",
            f"{(difference <= 10).mean():.1%}",
            f"{difference[difference <= 10].mean():.2f}",
        ),
    ],
)

# %% [markdown]
# ## Drag it yourself
#
# [docs/view.html](../docs/view.html) is a page with slices of a phantom: download it and open it in a browser, no
# network needed. Drag in the picture for level and width; its last part shows both differences of this tutorial, LINEAR
# and the order of resizing, in grey levels. `python -m ich_jax.view FILE.dcm --out page.html` makes such a page of any
# slices ([docs/view.md](../docs/view.md)).
#
# ![A synthetic slice in the subdural window, on that page](../docs/view.png)
#
# ## Try it
#
# 1. A *stroke window* has level 32 and width 8. Which HU become black and white? Show the slice in it. Why is it noisy?
# 2. How many of the 256 grey levels can a whole-numbered HU reach in the brain window? And in the bone window?
# 3. Go back: given a grey level of the brain window strictly between 0 and 255, which HU could it have been? Check that
#    windowing your answer returns the level.
#
# [The answers](answers/02_windowing.ipynb) are in a notebook of their own.
