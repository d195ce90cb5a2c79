"""Assignment 6: metrics. The sheet is sheets/6_metrics.md. NumPy is all you need. Leave the arguments as they are.

Everywhere, confusion[i, j] is the number of slices of class i that were called class j, (C, C) integers, up to
millions. A ratio 0/0 counts as 0: no NaN, no error.
"""

import numpy as np


def confusion_matrix(actual: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the slices by actual class (row) and predicted class (column).

    Args:
        actual, predicted: (N,) integers, 0…classes − 1.
        classes: how many there are, whether or not all of them occur.

    Returns:
        (classes, classes) integers.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 3).tolist()
    [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    """
    raise NotImplementedError


def accuracy(confusion: np.ndarray) -> float:
    """Equation (1): the share of right answers.

    >>> float(accuracy(np.array([[5, 1], [2, 2]])))
    0.7
    """
    raise NotImplementedError


def precision(confusion: np.ndarray) -> np.ndarray:
    """Equation (2) for each class: of the slices called so, the share that are.

    Returns:
        (C,) floats.

    >>> [round(float(p), 4) for p in precision(np.array([[5, 1], [2, 2]]))]
    [0.7143, 0.6667]
    """
    raise NotImplementedError


def recall(confusion: np.ndarray) -> np.ndarray:
    """Equation (4) for each class: of the slices of the class, the share called so.

    Returns:
        (C,) floats.

    >>> [round(float(r), 4) for r in recall(np.array([[5, 1], [2, 2]]))]
    [0.8333, 0.5]
    """
    raise NotImplementedError


def f1(confusion: np.ndarray) -> np.ndarray:
    """Equation (6) for each class: the harmonic mean of precision and recall.

    Returns:
        (C,) floats.

    >>> [round(float(f), 4) for f in f1(np.array([[5, 1], [2, 2]]))]
    [0.7692, 0.5714]
    """
    raise NotImplementedError


def weighted(per_class: np.ndarray, confusion: np.ndarray) -> float:
    """Equations (3), (5) and (7): a mean over the classes, each weighted by its share of the slices.

    Args:
        per_class: (C,) floats, such as each class's recall.

    >>> round(float(weighted(np.array([0.9, 0.2]), np.array([[5, 1], [2, 2]]))), 4)
    0.62
    """
    raise NotImplementedError


def balanced_accuracy(confusion: np.ndarray) -> float:
    """The plain mean of recall over the classes that have slices.

    >>> round(float(balanced_accuracy(np.array([[5, 1, 0], [2, 2, 0], [0, 0, 0]]))), 4)
    0.6667
    """
    raise NotImplementedError


def matthews_correlation(confusion: np.ndarray) -> float:
    """Matthews' correlation for several classes (Gorodkin 2004).

    With s slices, c of them right, t[k] slices of class k and p[k] called so:
    (c·s − Σ t[k]·p[k]) / √((s² − Σ p[k]²) · (s² − Σ t[k]²)).

    >>> round(float(matthews_correlation(np.array([[5, 1], [2, 2]]))), 4)
    0.3563
    """
    raise NotImplementedError


def auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """The area under the ROC curve: of all pairs of a positive and a negative, the share in which the positive has
    the higher score. A tie counts as half a pair.

    Args:
        positive: (N,) bool.
        scores: (N,) floats.

    Returns:
        None if there is no positive or no negative.

    >>> float(auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4])))
    0.75
    """
    raise NotImplementedError
