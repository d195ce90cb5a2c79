"""How far a figure might have come out otherwise: a bootstrap over patients.

Slices of one patient resemble each other, so whole patients are drawn, with replacement, as many as there are; a metric
of each such draw is worked out from the sum of its patients' confusion matrices. Networks that are compared answer the
same draws, so what they share cancels.
"""

from collections.abc import Callable

import numpy as np

from ich_jax.paper.printed import CLASSES

DRAWS = 1000


def patient_confusions(actual: np.ndarray, predicted: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """One confusion matrix for each patient: (P, 6, 6) int64, patients in sorted order.

    Args:
        actual, predicted: (N,) class indices.
        patients: (N,) identifiers.
    """
    names, place = np.unique(patients, return_inverse=True)
    cells = len(CLASSES) ** 2
    flat = np.bincount(place * cells + actual * len(CLASSES) + predicted, minlength=len(names) * cells)
    return flat.reshape(len(names), len(CLASSES), len(CLASSES))


def draws(patients: int, seed: int, count: int = DRAWS) -> np.ndarray:
    """How often each patient is in each draw: (count, patients) uint16; each row sums to `patients`."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [np.bincount(rng.integers(0, patients, patients), minlength=patients).astype(np.uint16) for _ in range(count)]
    )


def metric_of_draws(metric: Callable[[np.ndarray], float], confusions: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """A metric of a confusion matrix, for each draw: (draws,) float64, from (P, 6, 6) and (draws, P).

    The draws' confusion matrices are one product. They are counts, which float64 adds exactly in any order.
    """
    flat = confusions.reshape(len(confusions), -1).astype(np.float64)
    totals = (drawn @ flat).reshape(len(drawn), *confusions.shape[1:])
    return np.array([metric(total) for total in totals])


def auc_of_draws(positive: np.ndarray, scores: np.ndarray, patients: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """`metrics.auc` of the slices of each draw's patients: (draws,) float64, NaN where one of the two kinds is missing.

    The scores are sorted once. A draw then costs a running sum: how many drawn negatives lie below each positive.

    Args:
        positive: (N,) bool.
        scores: (N,) floats.
        patients: (N,) places in a row of `drawn`.
        drawn: (draws, P), see `draws`.

    >>> positive, scores, patients = np.array([True, True, False]), np.array([0.9, 0.4, 0.4]), np.array([0, 1, 2])
    >>> auc_of_draws(positive, scores, patients, np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2]])).tolist()
    [0.75, nan, 0.5]
    """
    order = np.argsort(scores)
    positive, scores, patients = positive[order], scores[order], patients[order]
    below = np.searchsorted(scores[~positive], scores[positive], "left")  # of all negatives, how many are lower
    not_above = np.searchsorted(scores[~positive], scores[positive], "right")
    of_positives, of_negatives = patients[positive], patients[~positive]
    found = np.full(len(drawn), np.nan)
    for k, times in enumerate(drawn):
        among = np.concatenate([[0], np.cumsum(times[of_negatives], dtype=np.int64)])  # [n]: drawn of the lowest n
        weight = times[of_positives].astype(np.float64)
        pairs = weight.sum() * among[-1]
        if pairs:
            found[k] = weight @ (among[below] + among[not_above]) / (2 * pairs)
    return found


def interval(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The middle `share` of the values, (low, high): the percentile interval. NaN, for 0/0, is left out.

    >>> [round(end, 6) for end in interval(np.arange(1001))]
    [25.0, 975.0]
    """
    low, high = np.nanquantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
