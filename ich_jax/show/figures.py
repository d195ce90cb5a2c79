"""Every figure. The only file that imports matplotlib; each function returns a Figure and shows or saves nothing."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ich_jax.paper.metrics import Calibration, recall
from ich_jax.paper.printed import CLASSES

History = Sequence[dict[str, float]]


def loss_curves(history: History, best_epoch: int, title: str = "") -> Figure:
    """Training and validation loss per epoch, the best epoch marked (paper: Fig. 5)."""
    return _curves(history, best_epoch, "loss", "cross-entropy loss (nats)", title)


def accuracy_curves(history: History, best_epoch: int, title: str = "") -> Figure:
    """Training and validation accuracy per epoch, the best epoch marked (paper: Fig. 6)."""
    return _curves(history, best_epoch, "accuracy", "accuracy (share of slices)", title)


def _curves(history: History, best_epoch: int, quantity: str, label: str, title: str) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in history]
    axes.plot(epochs, [row[f"train_{quantity}"] for row in history], "o--", color="tab:blue", label="training")
    axes.plot(
        epochs,
        [row[f"validation_{quantity}"] for row in history],
        "s-",
        color="tab:orange",
        label="validation",
    )
    axes.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch ({best_epoch}, lowest validation loss)")
    axes.set(xlabel="epoch", ylabel=label, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


def confusion_figure(confusion: np.ndarray, title: str = "") -> Figure:
    """Counts, and below each its share of the row; the shade is the share, so the diagonal's shade is recall.

    Args:
        confusion: (6, 6) counts, rows actual.
    """
    rows = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, rows, out=np.zeros(confusion.shape), where=rows > 0)
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    shade = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shade, label="share of the row", shrink=0.8)
    for (row, column), count in np.ndenumerate(confusion):
        share = f"\n{shares[row, column]:.1%}" if rows[row] else ""
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}{share}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=30, ha="right")
    labels = [f"{name}\nrecall {r:.2f}" if n else f"{name}\n(no slice)" for name, r, n in _rows(confusion)]
    axes.set_yticks(range(len(CLASSES)), labels)
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    return figure


def _rows(confusion: np.ndarray) -> zip:
    return zip(CLASSES, recall(confusion), confusion.sum(axis=1), strict=True)


def windows_panel(image: np.ndarray, title: str = "") -> Figure:
    """The three windows in grey and their RGB stack (paper: Fig. 3).

    Args:
        image: (size, size, 3) uint8, as in a prepared folder.
    """
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    names = ("brain (red)\nlevel 40, width 80 HU", "subdural (green)\nlevel 80, width 200 HU")
    names += ("bone (blue)\nlevel 600, width 2800 HU", "stacked as RGB\n")
    panels: np.ndarray[Axes] = figure.subplots(1, 4)
    for channel, axes in enumerate(panels):
        axes.imshow(image[..., channel] if channel < 3 else image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(names[channel], fontsize=9)
        axes.set_axis_off()
    figure.suptitle(f"{title}\n", fontsize=11)
    return figure


def montage(images: np.ndarray, title: str = "") -> Figure:
    """A row for each class; in it several slices, each in the three windows side by side.

    Args:
        images: (6, slices, side, side, 3) uint8, the classes in the order of CLASSES.
    """
    classes, slices, side, _, _ = images.shape
    gap = side // 12
    canvas = np.full((classes * side, slices, 3 * side + gap), 255, np.uint8)
    canvas[:, :, : 3 * side] = images.transpose(0, 2, 1, 4, 3).reshape(classes * side, slices, 3 * side)
    figure = Figure(figsize=(12, 11 * classes / (3.1 * slices) + 0.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(canvas.reshape(classes * side, -1)[:, :-gap], cmap="gray", vmin=0, vmax=255)
    axes.set_yticks((np.arange(classes) + 0.5) * side, CLASSES)
    axes.set_xticks(
        [s * (3 * side + gap) + (w + 0.5) * side for s in range(slices) for w in range(3)],
        ["brain", "subdural", "bone"] * slices,
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    return figure


def grey_slices(images: Sequence[np.ndarray], titles: Sequence[str], title: str = "") -> Figure:
    """Slices in one window, at most six in a row, each below its own title.

    Args:
        images: uint8, each of its own size.
        titles: as many.
    """
    columns = min(6, max(3, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(13 * columns / 6, 2.7 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, its_title in zip(panels, images, titles, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(its_title, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def reliability_diagram(found: Mapping[str, Calibration], title: str = "") -> Figure:
    """Accuracy against confidence, one line a network; on the diagonal a network is as sure as it should be."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="0.5", label="as sure as it should be")
    for (name, bins), marker in zip(found.items(), itertools.cycle("osD^vP")):
        some = bins.counts > 0
        axes.plot(bins.confidence[some], bins.accuracy[some], f"{marker}-", markersize=4, label=name)
    axes.set(
        xlabel="mean probability of the named class",
        ylabel="share of right answers",
        xlim=(0, 1),
        ylim=(0, 1),
        title=title,
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def explanation_panels(
    image: np.ndarray, maps: Mapping[str, Mapping[str, np.ndarray]], blood: np.ndarray | None, title: str = ""
) -> Figure:
    """A slice in the brain window, and its maps; a line of them for each network.

    Args:
        image: (size, size, 3) uint8.
        maps: network → name → (size, size), not negative.
        blood: (size, size) bool, to be outlined, or None.
    """
    columns = 1 + len(next(iter(maps.values())))
    figure = Figure(figsize=(2.4 * columns, 2.5 * len(maps) + 0.7), layout="constrained")
    panels = figure.subplots(len(maps), columns, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    panels[0, 0].imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    panels[0, 0].set_title("brain window" if blood is None else "brain window, blood outlined", fontsize=8)
    for line, (network, of_network) in zip(panels, maps.items(), strict=True):
        for axes, (name, values) in zip(line[1:], of_network.items(), strict=True):
            axes.imshow(values, cmap="gray_r", vmin=0, vmax=np.quantile(values, 0.99) or None)
            axes.set_title(f"{name}, {network}{'' if values.any() else ': empty'}", fontsize=8)
    if blood is not None:
        for axes in (panels[0, 0], *panels[:, 1:].ravel()):
            axes.contour(blood, [0.5], colors="tab:red", linewidths=0.8)
    figure.suptitle(f"{title}\nDark is high; each map has a scale of its own.", fontsize=9)
    return figure


def realism_panels(x: Mapping[str, np.ndarray], sides: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Synthetic beside real slices in four panels: HU of the brain, noise, the skull's inner edge, the head's place.

    Args:
        x: of "histogram" HU, of "spectrum" cycles/mm, of "profile" mm; each (points,).
        sides: name → for each of the three, if known, (3, points), 10th, 50th and 90th percentile over slices; and
            "pose", (slices, 3): degrees turned clockwise, width and length as shares of the picture, or NaN.
    """
    labels = {
        "histogram": ("HU in the brain", "share of the brain's pixels in 2 HU (%)"),
        "spectrum": ("cycles / mm", "noise power in the brain (HU² mm²)"),
        "profile": ("mm outwards from where bone begins", "HU across the skull"),
    }
    figure = Figure(figsize=(11, 8), layout="constrained")
    *panels, place = figure.subplots(2, 2).ravel()
    for (name, side), colour in zip(sides.items(), ("tab:orange", "tab:blue"), strict=True):
        for axes, (key, (across, up)) in zip(panels, labels.items(), strict=True):
            axes.set(xlabel=across, ylabel=up, yscale="log" if key == "spectrum" else "linear")
            if key in side:
                low, middle, high = side[key]
                axes.plot(x[key], middle, color=colour, label=name)
                axes.fill_between(x[key], low, high, color=colour, alpha=0.2, linewidth=0)
        rotation, width, length = side["pose"].T
        place.scatter(rotation, np.sqrt(width * length), s=12, color=colour, alpha=0.6, label=name)
    place.set(xlabel="head turned clockwise (degrees)", ylabel="√(width × length), share of the picture")
    for axes in (*panels, place):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle("synthetic and real slices: median over slices, and the band from the 10th to the 90th percentile")
    return figure
