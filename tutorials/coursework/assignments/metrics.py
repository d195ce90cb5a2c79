"""Marks of assignment 6, metrics. Compared with ich_jax.paper.metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ich_jax.paper import metrics as paper
from ich_jax.paper.printed import NETWORKS, confusion
from tutorials.coursework.marking import Ask, Assignment

metrics = Assignment("metrics")
EXAMPLE = np.array([[90, 2, 0], [5, 3, 0], [4, 1, 0]])  # of the sheet: the last class is never predicted
CLOSE = 1e-6


@metrics.given("confusion_matrix", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_matrix(ask, np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 2)


@metrics.drawn("confusion_matrix", 1, "any number of classes, of which some do not occur")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for classes in (3, 6):
        _expect_matrix(ask, draw.integers(0, classes, 50), draw.integers(0, classes - 1, 50), classes)
        _expect_matrix(ask, draw.integers(0, classes - 1, 7), draw.integers(0, classes - 1, 7), classes)


@metrics.drawn("accuracy", 1, "the paper's networks, and any matrix")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in (*map(confusion, NETWORKS), *_some_matrices(draw)):
        share = matrix.sum() or 1
        known = {
            "it is the balanced accuracy": paper.balanced_accuracy(matrix),
            "only the first two classes are counted": float((matrix[0, 0] + matrix[1, 1]) / share),
            "the right answers are not divided by all answers": float(np.trace(matrix)),
        }
        ask.expect(paper.accuracy(matrix), "accuracy", matrix, tolerance=CLOSE, known=known)


@metrics.drawn("precision", 1, "any matrix")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in _some_matrices(draw):
        _expect_each(ask, "precision", matrix)


@metrics.drawn("precision", 1, "a class that is never predicted: 0/0 counts as 0")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in (EXAMPLE, _some_matrix(draw, 6, column=int(draw.integers(6)))):
        _expect_each(ask, "precision", matrix)


@metrics.drawn("recall", 1, "any matrix, also one without slices of some class")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in (*_some_matrices(draw), _some_matrix(draw, 6, row=int(draw.integers(6)))):
        _expect_each(ask, "recall", matrix)


@metrics.drawn("f1", 1, "any matrix")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in _some_matrices(draw):
        _expect_each(ask, "f1", matrix)


@metrics.drawn("f1", 1, "a class that is never right: 0/0 counts as 0")
def _(ask: Ask, draw: np.random.Generator) -> None:
    k, other = (int(k) for k in draw.choice(6, 2, replace=False))
    never_right = _some_matrix(draw, 6)
    never_right[k, k] = 0
    neither = _some_matrix(draw, 6, row=k, column=k)  # it neither occurs nor is it ever called
    for matrix in (EXAMPLE, never_right, _some_matrix(draw, 6, row=k, column=other), neither):
        _expect_each(ask, "f1", matrix)


@metrics.given("weighted", 1, "precision, recall and F1 of the paper's proposed network")
def _(ask: Ask, draw: np.random.Generator) -> None:
    matrix = confusion("proposed")
    for per_class in (paper.precision(matrix), paper.recall(matrix), paper.f1(matrix)):
        _expect_weighted(ask, per_class, matrix)


@metrics.drawn("weighted", 1, "any values and matrix")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in _some_matrices(draw):
        _expect_weighted(ask, draw.uniform(0, 1, len(matrix)), matrix)


@metrics.drawn("balanced_accuracy", 1, "any matrix, also one without slices of some class")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in (*_some_matrices(draw), _some_matrix(draw, 5, row=int(draw.integers(5)))):
        known = {
            "classes without slices are counted, too": float(paper.recall(matrix).mean()),
            "it is the mean of precision": float(paper.precision(matrix).mean()),
            "it is the accuracy": paper.accuracy(matrix),
            "the mean of NaN is taken": float("nan"),
        }
        ask.expect(paper.balanced_accuracy(matrix), "balanced_accuracy", matrix, tolerance=CLOSE, known=known)


@metrics.drawn("matthews_correlation", 1, "any matrix, also with one answer to everything: 0/0 counts as 0")
def _(ask: Ask, draw: np.random.Generator) -> None:
    always = np.zeros((4, 4), int)
    always[:, draw.integers(4)] = draw.integers(1, 50, 4)
    for matrix in (*_some_matrices(draw), always):
        _expect_matthews(ask, matrix)


@metrics.drawn("matthews_correlation", 1, "as many slices as the paper has")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for network in NETWORKS:
        _expect_matthews(ask, confusion(network) + draw.integers(0, 100, (6, 6)))


@metrics.given("auc", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_auc(ask, np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))


@metrics.drawn("auc", 1, "any scores, many of them equal; None without positives or negatives")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for slices, digits in ((40, 6), (60, 1), (150, 2)):
        positive = draw.permutation(np.arange(slices) < draw.integers(5, slices // 2))
        _expect_auc(ask, positive, np.round(draw.uniform(0, 1, slices) + 0.3 * positive, digits))
    for value in (True, False):
        ask.expect(None, "auc", np.full(5, value), draw.uniform(0, 1, 5))


def _some_matrix(
    draw: np.random.Generator, classes: int, row: int | None = None, column: int | None = None
) -> np.ndarray:
    """Rows of unlike size, no cell 0 except those of `row` and `column`."""
    matrix = draw.integers(1, 30, (classes, classes)) * draw.permutation(1 + 3 * np.arange(classes))[:, None]
    matrix += np.diag(draw.integers(1, 200, classes))
    if row is not None:
        matrix[row] = 0
    if column is not None:
        matrix[:, column] = 0
    return matrix


def _some_matrices(draw: np.random.Generator) -> list[np.ndarray]:
    return [_some_matrix(draw, classes) for classes in (2, 3, 6)]


def _expect_matrix(ask: Ask, actual: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    right = paper.confusion_matrix(actual, predicted, classes)
    occurring = 1 + max(actual.max(), predicted.max())
    marks = np.zeros_like(right)
    marks[actual, predicted] += 1
    rows = np.maximum(right.sum(axis=1, keepdims=True), 1)
    known = {
        "rows and columns are exchanged: rows are the actual classes": right.T,
        "only the classes that occur have a row": right[:occurring, :occurring],
        "each cell counts once, as `matrix[actual, predicted] += 1` does": marks,
        "the rows are divided by their sums": right / rows,
    }
    ask.expect(right, "confusion_matrix", actual, predicted, classes, known=known)


def _expect_each(ask: Ask, name: str, matrix: np.ndarray) -> None:
    """One of precision, recall and f1, which give a number for each class: a list of them does, too."""
    right: Callable[[np.ndarray], np.ndarray] = getattr(paper, name)
    values = right(matrix)
    diagonal, rows, columns = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    p, r = paper.precision(matrix), paper.recall(matrix)
    with np.errstate(divide="ignore", invalid="ignore"):
        known: dict[str, Any] = {
            "rows and columns are exchanged: rows are the actual classes": right(matrix.T),
            f"0/0 is not caught{', and F1 has one where precision and recall are 0' if name == 'f1' else ''}": {
                "precision": diagonal / columns,
                "recall": diagonal / rows,
                "f1": 2 * (diagonal / columns) * (diagonal / rows) / (diagonal / columns + diagonal / rows),
            }[name],
            "0/0 counts as 1": np.where({"precision": columns, "recall": rows, "f1": p + r}[name] == 0, 1.0, values),
            "F1 is the plain mean of precision and recall": (p + r) / 2,
            "the 2 is missing in F1": values / 2,
            "they are divided by all slices": diagonal / matrix.sum(),
            "the mean over the classes is handed back": float(values.mean()),
        }
    known = {words: value.tolist() if isinstance(value, np.ndarray) else value for words, value in known.items()}
    ask.expect(values.tolist(), name, matrix, tolerance=CLOSE, known=known)


def _expect_weighted(ask: Ask, per_class: np.ndarray, matrix: np.ndarray) -> None:
    known = {
        "the weights are made of what was predicted and not of what is": paper.weighted(per_class, matrix.T),
        "nothing is weighted": float(per_class.mean()),
        "the weights are made of the right answers alone": float(per_class @ np.diag(matrix) / np.trace(matrix)),
        "the weights are not divided by all slices": float(per_class @ matrix.sum(axis=1)),
        "the weighted values are averaged once more": paper.weighted(per_class, matrix) / len(matrix),
    }
    ask.expect(paper.weighted(per_class, matrix), "weighted", per_class, matrix, tolerance=CLOSE, known=known)


def _expect_matthews(ask: Ask, matrix: np.ndarray) -> None:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        numbers = matrix.astype(np.float64)
        total, rows, columns = numbers.sum(), numbers.sum(axis=1), numbers.sum(axis=0)
        covariance = np.trace(numbers) * total - rows @ columns
        of_rows, of_columns = total**2 - rows @ rows, total**2 - columns @ columns
        whole = [matrix.sum() ** 2 - (sums @ sums) for sums in (matrix.sum(axis=0), matrix.sum(axis=1))]
        overflown = covariance / np.sqrt(whole[0] * whole[1])
        known = {
            "0/0 is not caught": covariance / np.sqrt(of_rows * of_columns),
            "the product of whole numbers overflows 64 bits: make them floats first": overflown,
            "the root is left out": covariance / (of_rows * of_columns),
            "the spread of the predicted classes is taken twice": covariance / of_columns,
            "the spread of the actual classes is taken twice": covariance / of_rows,
            "only the first two classes are looked at": _of_two(numbers),
        }
    known = {words: float(value) for words, value in known.items()}
    right = paper.matthews_correlation(matrix)
    ask.expect(right, "matthews_correlation", matrix, tolerance=CLOSE, known=known)


def _of_two(matrix: np.ndarray) -> float:
    (a, b), (c, d) = matrix[:2, :2]
    return (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))


def _expect_auc(ask: Ask, positive: np.ndarray, scores: np.ndarray) -> None:
    higher = float(np.mean(scores[positive][:, None] > scores[~positive]))
    equal = float(np.mean(scores[positive][:, None] == scores[~positive]))
    known = {
        "a tie counts as 0": higher,
        "a tie counts as a whole pair": higher + equal,
        "negatives should score higher": 1 - higher - equal / 2,
        "ties are left out of all pairs": higher / (1 - equal) if equal < 1 else 0.0,
        "it is the accuracy at a threshold of a half": float(np.mean((scores >= 0.5) == positive)),
    }
    ask.expect(paper.auc(positive, scores), "auc", positive, scores, tolerance=CLOSE, known=known)
