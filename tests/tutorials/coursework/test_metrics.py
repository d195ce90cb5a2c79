"""Typical mistakes of assignment 6, at the marks that they are meant to get."""

import numpy as np
import pytest

from ich_jax.paper import metrics
from tests.tutorials.coursework.marked import points, reasons

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the mistakes


def test_right_work_of_another_style_loses_nothing():
    def counted(actual, predicted, classes):
        matrix = np.zeros((classes, classes), np.int32)
        for a, p in zip(actual, predicted, strict=True):
            matrix[a, p] += 1
        return matrix

    def shares(confusion):
        return tuple(confusion[k, k] / n if (n := confusion[k].sum()) else 0 for k in range(len(confusion)))

    def singles(confusion):
        return metrics.precision(confusion).astype(np.float32)

    def from_counts(confusion):
        both = confusion.sum(axis=0) + confusion.sum(axis=1)
        return [float(2 * confusion[k, k] / both[k]) if both[k] else 0.0 for k in range(len(confusion))]

    def mean(per_class, confusion):
        return np.average(per_class, weights=confusion.sum(axis=1))

    def balanced(confusion):
        return np.mean([row[k] / row.sum() for k, row in enumerate(confusion) if row.any()])

    def whole(confusion):  # Python's integers do not overflow
        s, c = int(confusion.sum()), int(np.trace(confusion))
        t, p = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
        spread = (s * s - sum(x * x for x in p)) * (s * s - sum(x * x for x in t))
        return (c * s - sum(x * y for x, y in zip(t, p, strict=True))) / spread**0.5 if spread else 0

    def pairs(positive, scores):
        a, b = scores[positive][:, None], scores[~positive][None]
        return ((a > b).mean() + (a == b).mean() / 2) if a.size and b.size else None

    right = {
        "confusion_matrix": counted,
        "accuracy": lambda confusion: np.float64(confusion.trace() / confusion.sum()),
        "precision": singles,
        "recall": shares,
        "f1": from_counts,
        "weighted": mean,
        "balanced_accuracy": balanced,
        "matthews_correlation": whole,
        "auc": pairs,
    }
    assert points("metrics", **right) == {}


def test_rows_and_columns_exchanged():
    def exchanged(actual, predicted, classes):
        return metrics.confusion_matrix(predicted, actual, classes)

    mistakes = {"confusion_matrix": exchanged, "precision": metrics.recall, "recall": metrics.precision}
    assert points("metrics", confusion_matrix=exchanged)["confusion_matrix"] == 1  # the sheet's is symmetric
    assert points("metrics", **mistakes) == {"confusion_matrix": 1, "precision": 0, "recall": 0}
    assert reasons("metrics", **mistakes).count("if rows and columns are exchanged") == 4


def test_only_classes_that_occur():
    def occurring(actual, predicted, classes):
        return metrics.confusion_matrix(actual, predicted, 1 + max(actual.max(), predicted.max()))

    assert points("metrics", confusion_matrix=occurring) == {"confusion_matrix": 1}
    assert "if only the classes that occur have a row" in reasons("metrics", confusion_matrix=occurring)


def test_floats_for_counts():
    def floats(actual, predicted, classes):
        return metrics.confusion_matrix(actual, predicted, classes).astype(float)

    assert points("metrics", confusion_matrix=floats) == {"confusion_matrix": 0}
    assert "gives the dtype float64, not integers" in reasons("metrics", confusion_matrix=floats)


def test_nan_for_0_over_0():
    def nan(confusion):
        return np.diag(confusion) / confusion.sum(axis=0)

    assert points("metrics", precision=nan) == {"precision": 1}
    assert "if 0/0 is not caught" in reasons("metrics", precision=nan)


def test_f1_of_a_class_that_is_never_right():
    def nan(confusion):
        p, r = metrics.precision(confusion), metrics.recall(confusion)
        return 2 * p * r / (p + r)

    assert points("metrics", f1=nan) == {"f1": 1}
    assert "if 0/0 is not caught, and F1 has one" in reasons("metrics", f1=nan)


def test_f1_as_a_plain_mean():
    def plain(confusion):
        return (metrics.precision(confusion) + metrics.recall(confusion)) / 2

    assert points("metrics", f1=plain) == {"f1": 0}
    assert "if F1 is the plain mean" in reasons("metrics", f1=plain)


def test_weights_of_what_was_predicted():
    def predicted(per_class, confusion):
        return metrics.weighted(per_class, confusion.T)

    assert points("metrics", weighted=predicted) == {"weighted": 0}
    assert "if the weights are made of what was predicted" in reasons("metrics", weighted=predicted)


def test_macro_for_weighted():
    def macro(per_class, confusion):
        return per_class.mean()

    assert points("metrics", weighted=macro) == {"weighted": 0}
    assert "if nothing is weighted" in reasons("metrics", weighted=macro)


def test_classes_without_slices_in_the_balanced_accuracy():
    def all_classes(confusion):
        return metrics.recall(confusion).mean()

    assert points("metrics", balanced_accuracy=all_classes) == {"balanced_accuracy": 0}
    assert "if classes without slices are counted" in reasons("metrics", balanced_accuracy=all_classes)


def test_a_product_that_overflows():
    def whole(confusion):
        t, p = confusion.sum(axis=1), confusion.sum(axis=0)
        s, c = confusion.sum(), np.trace(confusion)
        spread = (s**2 - p @ p) * (s**2 - t @ t)
        return (c * s - t @ p) / np.sqrt(spread) if spread else 0.0

    assert points("metrics", matthews_correlation=whole) == {"matthews_correlation": 1}
    assert "overflows 64 bits" in reasons("metrics", matthews_correlation=whole)


@pytest.mark.parametrize(("worth", "said"), [(0, "a tie counts as 0"), (1, "a tie counts as a whole pair")])
def test_ties(worth, said):
    def tied(positive, scores):
        a, b = scores[positive][:, None], scores[~positive]
        return float((a > b).mean() + worth * (a == b).mean()) if a.size and b.size else None

    assert points("metrics", auc=tied) == {"auc": 0}
    assert f"if {said}" in reasons("metrics", auc=tied)


def test_an_area_where_there_are_no_pairs():
    def half(positive, scores):
        return metrics.auc(positive, scores) or 0.5

    assert points("metrics", auc=half) == {"auc": 1}
    assert "gives 0.5, not None" in reasons("metrics", auc=half)


def test_the_examples_answers_alone():
    def learned(positive, scores):
        return 0.875

    assert points("metrics", auc=learned) == {"auc": 1}
