import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ich_jax.paper.metrics import Calibration
from ich_jax.paper.printed import CLASSES
from ich_jax.show import figures

HISTORY = [
    {"epoch": k, "train_loss": 1 / k, "validation_loss": 1.2 / k, "train_accuracy": 0.5, "validation_accuracy": 0.4}
    for k in (1, 2, 3)
]


def drawn(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize(("plot", "quantity"), [(figures.loss_curves, "loss"), (figures.accuracy_curves, "accuracy")])
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
    figure = figures.confusion_figure(confusion, "toy")
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
    panel = figures.windows_panel(image)
    shown = [axes.images[0].get_array() for axes in panel.axes]
    assert [array.shape for array in shown] == [(16, 16)] * 3 + [(16, 16, 3)]
    assert [int(array.max()) for array in shown] == [0, 200, 0, 200]


def test_every_figure_can_be_drawn():
    for figure in (
        figures.loss_curves(HISTORY, 1),
        figures.confusion_figure(np.zeros((6, 6), int)),
        figures.windows_panel(np.zeros((8, 8, 3), np.uint8)),
    ):
        assert drawn(figure).std() > 0


def test_reliability_shows_every_network():
    bins = Calibration(np.array([0, 4]), np.array([0.0, 0.8]), np.array([0.0, 0.75]))
    axes = figures.reliability_diagram({str(k): bins for k in range(8)}, "toy").axes[0]
    assert len(axes.get_legend().get_texts()) == 9
    assert axes.lines[8].get_xydata().tolist() == [[0.8, 0.75]], "an empty bin has no point"


def test_montage_puts_each_window_of_each_slice_in_its_place():
    images = np.zeros((6, 2, 24, 24, 3), np.uint8)
    images[4, 1, :, :, 2] = 200  # subarachnoid, second slice, bone window
    axes = figures.montage(images, "toy").axes[0]
    canvas = np.asarray(axes.images[0].get_array())
    assert canvas.shape == (6 * 24, 2 * 3 * 24 + 2)
    bright = np.argwhere(canvas == 200)
    assert bright.min(axis=0).tolist() == [4 * 24, 3 * 24 + 2 + 2 * 24]
    assert len(bright) == 24 * 24
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)


def test_grey_slices_stand_below_their_titles():
    figure = figures.grey_slices(
        [np.full((8 + k, 8), 10 * k, np.uint8) for k in range(7)], [f"no. {k}" for k in range(7)]
    )
    shown = {axes.get_title(): int(axes.images[0].get_array().max()) for axes in figure.axes if axes.images}
    assert shown == {f"no. {k}": 10 * k for k in range(7)}
    assert drawn(figure).std() > 0
    assert drawn(figures.grey_slices([], [], "nothing")).std() > 0


def test_realism_shows_both_sides_even_without_a_curve():
    x = {"histogram": np.arange(4), "spectrum": np.arange(1, 5), "profile": np.arange(3)}
    curves = {name: np.array([points, points + 1, points + 2]) for name, points in x.items()}
    pose = np.array([[3, 0.25, 0.64], [np.nan, 0.5, 0.5]])
    some = {"histogram": curves["histogram"], "pose": pose}
    figure = figures.realism_panels(x, {"PHANTOM": curves | {"pose": pose}, "real": some})
    histogram, spectrum, _, place = figure.axes
    assert [line.get_label() for line in histogram.lines] == ["PHANTOM", "real"]
    assert [line.get_label() for line in spectrum.lines] == ["PHANTOM"]
    np.testing.assert_array_equal(spectrum.lines[0].get_ydata(), curves["spectrum"][1])
    assert [points.get_label() for points in place.collections] == ["PHANTOM", "real"]
    np.testing.assert_allclose(place.collections[0].get_offsets()[0], (3, 0.4))
    assert drawn(figure).std() > 0


def test_each_map_has_its_own_scale_and_the_blood_is_outlined_in_all():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    maps = {network: {"gradient": rng.random((16, 16)), "empty": np.zeros((16, 16))} for network in ("a", "b")}
    blood = np.zeros((16, 16), bool)
    blood[4:8, 4:8] = True
    for outline in (blood, None):
        axes = figures.explanation_panels(image, maps, outline, "PHANTOM").axes
        assert len(axes) == 6
        np.testing.assert_array_equal(axes[0].images[0].get_array(), image[..., 0])
        drawn_maps = [one for one in axes[1:] if one.images]
        assert [one.get_title() for one in drawn_maps] == [
            "gradient, a",
            "empty, a: empty",
            "gradient, b",
            "empty, b: empty",
        ]
        assert drawn_maps[0].images[0].get_clim() == (0, np.quantile(maps["a"]["gradient"], 0.99))
        assert [bool(one.collections) for one in (axes[0], *drawn_maps)] == [outline is not None] * 5
