"""From predictions to the paper's metrics, and to those it does not print (paper: Değerlendirme Metrikleri).

All of it is counted from one table: confusion[i, j] is the number of slices of class i that were called class j.
A ratio 0/0 is reported as 0, and `undefined` says which ones were.
"""

from typing import NamedTuple

import numpy as np

from ich_jax.paper.printed import CLASSES


def confusion_matrix(actual: np.ndarray, predicted: np.ndarray, classes: int = len(CLASSES)) -> np.ndarray:
    """(N,) actual and (N,) predicted class indices → (classes, classes) int64, rows actual.

    Raises TypeError if they are no integers, ValueError if one is no class or their lengths differ.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    actual, predicted = _class_indices(actual, classes), _class_indices(predicted, classes)
    if len(actual) != len(predicted):
        raise ValueError(f"{len(actual)} actual classes, but {len(predicted)} predicted ones")
    cells = np.bincount(actual * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def _class_indices(values: np.ndarray, classes: int) -> np.ndarray:
    """As int64, in which no product overflows."""
    values = np.asarray(values)
    if values.ndim != 1 or not (np.issubdtype(values.dtype, np.integer) or not values.size):
        raise TypeError(f"class indices must be (N,) integers, not {values.shape} {values.dtype}")
    if values.size and not 0 <= values.min() <= values.max() < classes:
        raise ValueError(f"class indices must be 0…{classes - 1}, not {values.min()}…{values.max()}")
    return values.astype(np.int64)


def accuracy(confusion: np.ndarray) -> float:
    """Equation (1). With several classes, the right answers (the diagonal) over all answers."""
    return float(_ratio(np.trace(confusion), confusion.sum()))


def precision(confusion: np.ndarray) -> np.ndarray:
    """Equation (2) per class: of the slices called i, the share that are i."""
    return _ratio(np.diag(confusion), confusion.sum(axis=0))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Equation (4) per class: of the slices that are i, the share called i."""
    return _ratio(np.diag(confusion), confusion.sum(axis=1))


def f1(confusion: np.ndarray) -> np.ndarray:
    """Equation (6) per class: the harmonic mean of precision and recall."""
    p, r = precision(confusion), recall(confusion)
    return _ratio(2 * p * r, p + r)


def weighted(per_class: np.ndarray, confusion: np.ndarray) -> float:
    """Equations (3), (5), (7): the mean over classes, each weighted by its share of the slices.

    Weighted recall is accuracy: the Nᵢ in weight and recall cancel.
    """
    return float(np.sum(per_class * _ratio(confusion.sum(axis=1), confusion.sum())))


def balanced_accuracy(confusion: np.ndarray) -> float:
    """The plain mean of recall over the classes that occur, so that 'none' counts no more than epidural."""
    occurs = confusion.sum(axis=1) > 0
    return float(recall(confusion)[occurs].mean()) if occurs.any() else 0.0


def f1_macro(confusion: np.ndarray) -> float:
    """The plain mean of F1 over the classes that occur or are predicted (as scikit-learn has it)."""
    seen = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    return float(f1(confusion)[seen].mean()) if seen.any() else 0.0


def matthews_correlation(confusion: np.ndarray) -> float:
    """Matthews correlation for several classes (Gorodkin 2004): 1 perfect, 0 no better than any constant answer."""
    confusion = confusion.astype(np.float64)
    total, actual, predicted = confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
    covariance = np.trace(confusion) * total - actual @ predicted
    spread = (total**2 - actual @ actual) * (total**2 - predicted @ predicted)
    return float(_ratio(covariance, np.sqrt(spread)))


def any_sensitivity(confusion: np.ndarray) -> float:
    """Of the slices with a hemorrhage of any type, the share not called 'none' (class 0)."""
    return float(_ratio(confusion[1:, 1:].sum(), confusion[1:].sum()))


def any_specificity(confusion: np.ndarray) -> float:
    """Of the slices without hemorrhage, the share called 'none'."""
    return float(_ratio(confusion[0, 0], confusion[0].sum()))


def majority_accuracy(confusion: np.ndarray) -> float:
    """The accuracy of answering 'none' every time: what any network must beat."""
    return float(_ratio(confusion[0].sum(), confusion.sum()))


def auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half.

    Args:
        positive: (N,) bool, or 0 and 1.
        scores: (N,) floats.

    Returns:
        None if there is no positive or no negative.

    Raises:
        ValueError: `positive` is anything else, the lengths differ, or a score is NaN.

    >>> auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4]))
    0.75
    """
    positive, scores = np.asarray(positive), np.asarray(scores)
    if positive.shape != scores.shape or positive.ndim != 1 or not np.isin(positive, (0, 1)).all():
        raise ValueError("auc needs (N,) bool, or 0 and 1, and (N,) scores")
    if np.isnan(scores).any():
        raise ValueError("auc cannot rank a score that is NaN")
    positive = positive.astype(bool)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]  # tied scores share their mean rank
    wins = rank[positive].sum() - positives * (positives + 1) / 2  # Mann and Whitney's U
    return float(wins / (positives * negatives))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(N, C) logits → log-probabilities, float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(actual: np.ndarray, logits: np.ndarray) -> float:
    """The mean of −log p(actual class), the log-loss: the paper's loss. (N,) classes, (N, C) logits.

    Raises TypeError if the classes are no integers, ValueError if one is none of the C or the lengths differ.
    """
    actual = _class_indices(actual, logits.shape[1])
    if len(actual) != len(logits):
        raise ValueError(f"{len(actual)} classes, but logits of {len(logits)} slices")
    return float(-log_softmax(logits)[np.arange(len(actual)), actual].mean())


def from_confusion(confusion: np.ndarray) -> dict[str, float]:
    """The metrics that a (classes, classes) confusion matrix is enough for, by their names in `metrics.json`."""
    return {
        "accuracy": accuracy(confusion),
        "precision_weighted": weighted(precision(confusion), confusion),
        "recall_weighted": weighted(recall(confusion), confusion),
        "f1_weighted": weighted(f1(confusion), confusion),
        "balanced_accuracy": balanced_accuracy(confusion),
        "f1_macro": f1_macro(confusion),
        "mcc": matthews_correlation(confusion),
        "any_sensitivity": any_sensitivity(confusion),
        "any_specificity": any_specificity(confusion),
        "majority_accuracy": majority_accuracy(confusion),
    }


class Calibration(NamedTuple):
    """Answers sorted into bins of equal width by the probability of the class that was named; all (bins,)."""

    counts: np.ndarray
    confidence: np.ndarray  # mean probability of the named class, 0 in an empty bin
    accuracy: np.ndarray  # share that was right, 0 in an empty bin


def calibration(actual: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Calibration:
    """What a reliability diagram shows: whether answers given with p percent are right p percent of the time.

    Args:
        actual: (N,) class indices.
        probabilities: (N, C).

    Raises TypeError or ValueError as `cross_entropy` does.
    """
    actual = _class_indices(actual, probabilities.shape[1])
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == actual
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    means = [_ratio(np.bincount(place, weights=values, minlength=bins), counts) for values in (confidence, right)]
    return Calibration(counts, *means)


def expected_calibration_error(found: Calibration) -> float:
    """The mean gap between confidence and accuracy, bins weighted by their answers (Guo et al. 2017, equation 3)."""
    return float(_ratio(np.sum(found.counts * np.abs(found.accuracy - found.confidence)), found.counts.sum()))


def summarise(actual: np.ndarray, logits: np.ndarray) -> dict:
    """Every metric of `metrics.json`.

    Args:
        actual: (N,) class indices, N ≥ 1.
        logits: (N, 6) the network's answers.
    """
    confusion = confusion_matrix(actual, logits.argmax(axis=1))
    p, r, f = precision(confusion), recall(confusion), f1(confusion)
    probabilities = np.exp(log_softmax(logits))
    support, called = confusion.sum(axis=1), confusion.sum(axis=0)
    undefined = {
        "recall (no such slice)": [name for name, n in zip(CLASSES, support, strict=True) if not n],
        "precision (never predicted)": [name for name, n in zip(CLASSES, called, strict=True) if not n],
        "sensitivity (no slice with a hemorrhage)": [] if support[1:].any() else ["any hemorrhage"],
        "specificity (no slice without)": [] if support[0] else ["any hemorrhage"],
        "Matthews correlation (one class only)": ["all"] if (support > 0).sum() == 1 or (called > 0).sum() == 1 else [],
    }
    return {
        "loss": cross_entropy(actual, logits),
        **from_confusion(confusion),
        "per_class": {
            name: {
                "support": int(support[k]),
                "precision": float(p[k]),
                "recall": float(r[k]),
                "f1": float(f[k]),
                "auc": auc(actual == k, probabilities[:, k]),
            }
            for k, name in enumerate(CLASSES)
        },
        "undefined": {ratio: names for ratio, names in undefined.items() if names},
    }


def _ratio(above, below) -> np.ndarray:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)
