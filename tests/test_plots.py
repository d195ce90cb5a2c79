import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ich_jax import plots
from ich_jax.data.labels import CLASSES

HISTORY = [
    {"epoch": k, "train_loss": 1 / k, "validation_loss": 1.2 / k, "train_accuracy": 0.5, "validation_accuracy": 0.4}
    for k in (1, 2, 3)
]


def drawn(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize(("plot", "quantity"), [(plots.loss_curves, "loss"), (plots.accuracy_curves, "accuracy")])
def test_curves_show_the_history_and_the_best_epoch(plot, quantity):
    axes = plot(HISTORY, best_epoch=3, title="toy").axes[0]
    training, validation, best = axes.lines
    assert list(training.get_xdata()) == [1, 2, 3]
    assert list(training.get_ydata()) == [row[f"train_{quantity}"] for row in HISTORY]
    assert list(validation.get_ydata()) == [row[f"validation_{quantity}"] for row in HISTORY]
    assert set(best.get_xdata()) == {3}
    assert axes.get_xlabel() == "epoch"
    assert quantity in axes.get_ylabel()


def test_confusion_shows_counts_and_row_shares():
    confusion = np.diag([1234, 0, 1, 2, 3, 4])
    confusion[0, 5] = 1234
    figure = plots.confusion_figure(confusion, "toy")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 36
    assert texts[0] == texts[5] == "1,234\n50.0%"
    assert texts[6] == "0"  # no epidural slice: a count, no share
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "none\nrecall 0.50"
    assert labels[1] == f"{CLASSES[1]}\n(no slice)"


def test_windows_panel_draws_each_channel():
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 1] = 200
    panel = plots.windows_panel(image)
    shown = [axes.images[0].get_array() for axes in panel.axes]
    assert [array.shape for array in shown] == [(16, 16)] * 3 + [(16, 16, 3)]
    assert [int(array.max()) for array in shown] == [0, 200, 0, 200]


def test_every_figure_can_be_drawn():
    for figure in (
        plots.loss_curves(HISTORY, 1),
        plots.confusion_figure(np.zeros((6, 6), int)),
        plots.windows_panel(np.zeros((8, 8, 3), np.uint8)),
    ):
        assert drawn(figure).std() > 0
