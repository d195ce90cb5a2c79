"""Assignment 7: the audit. The sheet is sheets/7_audit.md. NumPy is all you need. Leave the arguments as they are.

A confusion matrix is (6, 6) integers: confusion[i, j] slices of class i were called class j, in the order of CLASSES.
`confusions` holds one for each network, by its name. Where pairs are handed back, a list does as well as a set, in any
order. A ratio 0/0 counts as 0.
"""

import numpy as np

CLASSES = ("none", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def recompute(confusion: np.ndarray) -> dict[str, float]:
    """What Tables 3 and 5 print of a network, from its confusion matrix.

    Returns:
        {"accuracy", "precision", "recall", "f1"}: the last three weighted by the classes' shares of the slices, as in
        the paper's equations (3), (5), (7); all rounded to four decimals.

    >>> confusion = np.diag([90, 1, 2, 3, 2, 2])
    >>> confusion[5] = [1, 0, 0, 0, 0, 1]
    >>> {name: float(value) for name, value in recompute(confusion).items()}
    {'accuracy': 0.99, 'precision': 0.9901, 'recall': 0.99, 'f1': 0.9884}
    """
    raise NotImplementedError


def disagreeing(printed: dict[str, dict[str, float]], confusions: dict[str, np.ndarray]) -> set[tuple[str, str]]:
    """The printed figures that cannot come from the confusion matrices.

    A printed figure agrees if it is the recomputed value rounded to four decimals, or cut off after four.

    Args:
        printed: network → {"accuracy", "precision", "recall", "f1"}, with four decimals.

    Returns:
        Pairs of network and figure.

    >>> printed = {"tiny": {"accuracy": 0.99, "precision": 0.99, "recall": 0.9900, "f1": 0.9883}}
    >>> confusion = np.diag([90, 1, 2, 3, 2, 2])
    >>> confusion[5] = [1, 0, 0, 0, 0, 1]
    >>> sorted(disagreeing(printed, {"tiny": confusion}))
    [('tiny', 'precision')]
    """
    raise NotImplementedError


def always_none(confusion: np.ndarray) -> float:
    """The accuracy of answering 'none' to every slice of this test part.

    >>> float(always_none(np.diag([90, 1, 2, 3, 2, 2])))
    0.9
    """
    raise NotImplementedError


def never_found(confusions: dict[str, np.ndarray]) -> set[tuple[str, str]]:
    """The classes of which there are slices, and of which a network names not one rightly.

    Returns:
        Pairs of network and class.

    >>> confusion = np.diag([90, 1, 2, 3, 2, 2])
    >>> confusion[1] = [1, 0, 0, 0, 0, 0]
    >>> sorted(never_found({"tiny": confusion}))
    [('tiny', 'epidural')]
    """
    raise NotImplementedError


def any_sensitivity(confusion: np.ndarray) -> float:
    """Of the slices with a hemorrhage, the share called a hemorrhage, of whatever type.

    >>> confusion = np.diag([90, 1, 2, 3, 2, 2])
    >>> confusion[5] = [1, 1, 0, 0, 0, 0]
    >>> float(any_sensitivity(confusion))
    0.9
    """
    raise NotImplementedError


def most_sensitive(confusions: dict[str, np.ndarray]) -> str:
    """The network that you would prefer if nothing but `any_sensitivity` counted.

    >>> alarm = np.zeros((6, 6), int)
    >>> alarm[:, 5] = [90, 1, 2, 3, 2, 2]
    >>> most_sensitive({"calm": alarm[:, ::-1], "alarmed": alarm})
    'alarmed'
    """
    raise NotImplementedError


def rows_off(confusions: dict[str, np.ndarray], counts: dict[str, int]) -> set[tuple[str, str]]:
    """The rows that do not add up to the test part's slices.

    Args:
        counts: class → its slices in the test part. They stand in the order of Table 1, which is not that of CLASSES.

    Returns:
        Pairs of network and class.

    >>> counts = {"epidural": 1, "intraparenchymal": 2, "intraventricular": 3, "subarachnoid": 2, "subdural": 2}
    >>> sorted(rows_off({"tiny": np.diag([90, 1, 2, 4, 2, 2])}, counts | {"none": 90}))
    [('tiny', 'intraventricular')]
    """
    raise NotImplementedError
