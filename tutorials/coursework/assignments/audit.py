"""Marks of assignment 7, the audit. Compared with ich_jax.paper.metrics and ich_jax.results.audit.

Beside the paper's tables, the functions get tables with figures altered at places that the seed draws.
"""

import math
from collections.abc import Callable

import numpy as np

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES, NETWORKS
from ich_jax.results.audit import disagrees
from tutorials.coursework.marking import Ask, Assignment

audit = Assignment("audit")
Matrices = dict[str, np.ndarray]
Figures = dict[str, dict[str, float]]
ROUNDED = 6e-5  # where the stub leaves open whether to round


@audit.given("recompute", 1, "the paper's four networks")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in _papers().values():
        _expect_figures(ask, matrix)


@audit.drawn("recompute", 1, "matrices with an altered cell")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for network in draw.permutation(NETWORKS)[:3]:
        _expect_figures(ask, _altered(draw, printed.confusion(str(network))))


@audit.drawn("recompute", 1, "a class that is never predicted, and one that does not occur")
def _(ask: Ask, draw: np.random.Generator) -> None:
    never, missing = (int(k) for k in draw.choice(np.arange(1, 6), 2, replace=False))

    def emptied() -> np.ndarray:
        matrix = _altered(draw, printed.confusion(str(draw.choice(NETWORKS))))
        matrix[:, 0] += matrix[:, never]
        matrix[:, never] = 0
        return matrix

    def absent() -> np.ndarray:
        matrix = emptied()
        matrix[missing] = 0
        return matrix

    _expect_figures(ask, _clear(emptied))
    _expect_figures(ask, _clear(absent))


@audit.given("disagreeing", 1, "the paper's tables")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_disagreeing(ask, papers_figures(), _papers())


@audit.drawn("disagreeing", 1, "tables that agree but for a few printed figures")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for most in (1, 30, 300):  # ten-thousandths
        matrices = {network: _altered(draw, matrix) for network, matrix in _papers().items()}
        figures = _agreeing(draw, matrices)
        for network in draw.permutation(NETWORKS)[:3]:
            name = str(draw.choice(list(figures[network])))
            by = int(draw.integers(1, most + 1)) * (-1) ** int(draw.integers(2))
            figures[str(network)][name] = round(figures[network][name] + by / 1e4, 4)
        _expect_disagreeing(ask, figures, matrices)


@audit.drawn("disagreeing", 1, "tables that agree but for a cell of a matrix")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for _ in range(3):
        matrices = _papers()
        figures = _agreeing(draw, matrices)
        network = str(draw.choice(NETWORKS))
        matrices[network] = _altered(draw, matrices[network])
        shuffled = {str(name): matrices[name] for name in draw.permutation(NETWORKS)}
        _expect_disagreeing(ask, figures, shuffled)


@audit.drawn("always_none", 1, "matrices with an altered row")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for network in NETWORKS:
        matrix = printed.confusion(network)
        row = int(draw.integers(6))
        matrix[row] = matrix[row] * int(draw.integers(2, 5)) // 5
        known = {
            "the slices called 'none' are counted, not those that are": float(matrix[:, 0].sum() / matrix.sum()),
            "only the 'none' that the network finds are counted": float(matrix[0, 0] / matrix.sum()),
            "it is the network's accuracy": metrics.accuracy(matrix),
            "it is the network's recall of 'none'": metrics.any_specificity(matrix),
            "all classes are taken to be of one size": 1 / 6,
        }
        ask.expect(metrics.majority_accuracy(matrix), "always_none", matrix, tolerance=ROUNDED, known=known)


@audit.given("never_found", 1, "the paper's four networks")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_never_found(ask, _papers())


@audit.drawn("never_found", 1, "altered: other classes never right, a class that does not occur")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for _ in range(3):
        matrices = {str(network): printed.confusion(str(network)) for network in draw.permutation(NETWORKS)}
        never, absent, uncalled, *_ = matrices.values()
        k = int(draw.integers(1, 6))
        never[k, 0] += never[k, k]
        never[k, k] = 0
        absent[int(draw.integers(1, 6))] = 0
        j = int(draw.integers(1, 6))
        uncalled[:, 0] += uncalled[:, j]
        uncalled[:, j] = 0
        _expect_never_found(ask, matrices)


@audit.drawn("any_sensitivity", 1, "the paper's networks, and matrices with an altered cell")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for matrix in _papers().values():
        for one in (matrix, _altered(draw, matrix)):
            types = one[1:, 1:]
            known = {
                "a hemorrhage of which another type is named counts as missed": np.trace(types) / one[1:].sum(),
                "it is the share of false alarms": one[0, 1:].sum() / one[0].sum(),
                "it is the specificity": metrics.any_specificity(one),
                "it is the share of the alarms that are right": types.sum() / one[:, 1:].sum(),
                "it is the mean of the types' recalls": metrics.recall(one)[1:].mean(),
                "it is the share of the missed hemorrhages": one[1:, 0].sum() / one[1:].sum(),
                "the slices without hemorrhage are counted, too": types.sum() / one.sum(),
            }
            known = {words: float(value) for words, value in known.items()}
            ask.expect(metrics.any_sensitivity(one), "any_sensitivity", one, tolerance=ROUNDED, known=known)


@audit.drawn("most_sensitive", 1, "altered: each time another network finds the most")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for best in map(str, draw.permutation(NETWORKS)[:3]):
        matrices = {str(network): printed.confusion(str(network)) for network in draw.permutation(NETWORKS)}
        matrix = matrices[best]
        found = matrix[1:, 0] * int(draw.integers(6, 9)) // 10  # called another type: no more of them is right
        matrix[1:, 0] -= found
        matrix[np.arange(1, 6), 1 + np.arange(1, 6) % 5] += found
        matrix[0] += [-4000, 0, 0, 0, 0, 4000]  # so that it is not the most accurate
        known = {
            f"the network with the best {words} is named": max(matrices, key=lambda name: measure(matrices[name]))
            for words, measure in RIVALS.items()
        }
        ask.expect(best, "most_sensitive", matrices, known=known)


@audit.drawn("rows_off", 1, "the paper's tables, and altered cells")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_rows_off(ask, _papers(), _counts())
    for _ in range(3):
        matrices = _papers()
        for network in map(str, draw.permutation(NETWORKS)[:2]):
            cell = tuple(int(k) for k in draw.integers(6, size=2))
            matrices[network][cell] += int(draw.integers(1, 50))
        _expect_rows_off(ask, matrices, _counts())


@audit.drawn("rows_off", 1, "an altered count of Table 1; cells altered so that the row's sum is the same")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for _ in range(3):
        matrices, counts = _papers(), _counts()
        row, one, other = int(draw.integers(6)), *(int(k) for k in draw.choice(6, 2, replace=False))
        matrix = matrices[str(draw.choice(NETWORKS))]
        matrix[row, one] += 9
        matrix[row, other] -= 9
        counts[str(draw.choice(CLASSES))] += int(draw.integers(1, 20))
        shuffled = {str(name): counts[name] for name in draw.permutation(CLASSES)}
        _expect_rows_off(ask, matrices, shuffled)


RIVALS: dict[str, Callable[[np.ndarray], float]] = {
    "accuracy": metrics.accuracy,
    "specificity": metrics.any_specificity,
    "balanced accuracy": metrics.balanced_accuracy,
    "share of types named rightly": lambda matrix: float(np.trace(matrix[1:, 1:]) / matrix[1:].sum()),
}


def papers_figures() -> Figures:
    """What Tables 3 and 5 print on the test part."""
    three, five = printed.table_3(), printed.table_5()
    return {network: {"accuracy": three[network]["test_accuracy"]} | five[network] for network in NETWORKS}


def figures_of(matrix: np.ndarray) -> dict[str, float]:
    """Not rounded."""
    values = metrics.from_confusion(matrix)
    return {"accuracy": values["accuracy"]} | {
        name: values[f"{name}_weighted"] for name in ("precision", "recall", "f1")
    }


def agrees(figure: float, value: float) -> bool:
    """Rounded as ich_jax.results.audit asks, or cut off."""
    return not disagrees(figure, value) or 0 <= value - figure < 1e-4


def _papers() -> Matrices:
    return {network: printed.confusion(network) for network in NETWORKS}


def _counts() -> dict[str, int]:
    """In Table 1's order, 'none' last."""
    return {name: row["test"] for name, row in printed.table_1().items()}


def _altered(draw: np.random.Generator, matrix: np.ndarray) -> np.ndarray:
    """A copy with one cell far enough from what it was to move the figures."""

    def one() -> np.ndarray:
        copy = matrix.copy()
        copy[tuple(draw.integers(6, size=2))] += int(draw.integers(200, 4000))
        return copy

    return _clear(one)


def _clear(make: Callable[[], np.ndarray]) -> np.ndarray:
    """Made again until no figure is so near to where rounding or cutting off turns that float32 could miss it."""
    while True:
        matrix = make()
        places = [2e4 * value for value in figures_of(matrix).values()]
        if all(abs(place - round(place)) > 0.02 for place in places):
            return matrix


def _cut_off(value: float) -> float:
    return math.floor(value * 1e4) / 1e4


def _agreeing(draw: np.random.Generator, matrices: Matrices) -> Figures:
    """Each figure rounded or cut off, as it falls."""
    return {
        network: {
            name: _cut_off(value) if draw.random() < 0.5 else round(value, 4)
            for name, value in figures_of(matrix).items()
        }
        for network, matrix in matrices.items()
    }


def _expect_figures(ask: Ask, matrix: np.ndarray) -> None:
    values = figures_of(matrix)
    p, r, f = metrics.precision(matrix), metrics.recall(matrix), metrics.f1(matrix)
    plain = {"accuracy": values["accuracy"], "precision": p.mean(), "recall": r.mean(), "f1": f.mean()}
    by_predicted = {name: metrics.weighted(one, matrix.T) for name, one in (("precision", p), ("recall", r), ("f1", f))}
    p, r = values["precision"], values["recall"]
    wrong = {
        "precision, recall and F1 are not weighted": plain,
        "the weights are made of what was predicted and not of what is": values | by_predicted,
        "rows and columns are exchanged: rows are the actual classes": figures_of(matrix.T),
        "F1 is made of the weighted precision and recall, and not weighted itself": values
        | {"f1": 2 * p * r / (p + r)},
    }
    known = {words: {name: round(float(value), 4) for name, value in one.items()} for words, one in wrong.items()}
    rounded = {name: round(value, 4) for name, value in values.items()}
    undefined = {
        "precision": not matrix.sum(axis=0).all(),
        "recall": not matrix.sum(axis=1).all(),
        "f1": not np.diag(matrix).all(),
    }
    known["0/0 is not caught"] = rounded | {name: math.nan for name, is_so in undefined.items() if is_so}
    known["the figures are not rounded"] = values
    known["the figures are cut off and not rounded"] = {name: _cut_off(value) for name, value in values.items()}
    ask.expect(rounded, "recompute", matrix, tolerance=1e-6, known=known)


def _expect_disagreeing(ask: Ask, figures: Figures, matrices: Matrices) -> None:
    values = {network: figures_of(matrix) for network, matrix in matrices.items()}
    cells = [(network, name) for network in figures for name in figures[network]]

    def those(wrong: Callable[[float, float], bool]) -> set[tuple[str, str]]:
        return {(network, name) for network, name in cells if wrong(figures[network][name], values[network][name])}

    right = those(lambda figure, value: not agrees(figure, value))
    known = {
        "a figure that is cut off counts as disagreeing": those(disagrees),
        "a figure that is rounded up counts as disagreeing": those(lambda one, value: one != _cut_off(value)),
        "all that is less than 0.0001 apart counts as agreeing": those(lambda one, value: abs(one - value) >= 1e-4),
        "nothing is rounded": those(lambda one, value: one != value),
        "the figures that agree are named": set(cells) - right,
        "the names of the pairs are exchanged": {(name, network) for network, name in right},
        "only the networks are named": {network for network, _ in right},
    }
    ask.expect(right, "disagreeing", figures, matrices, known=known)


def _expect_never_found(ask: Ask, matrices: Matrices) -> None:
    def those(looks: Callable[[np.ndarray, int], bool]) -> set[tuple[str, str]]:
        return {(network, CLASSES[k]) for network, one in matrices.items() for k in range(6) if looks(one, k)}

    right = those(lambda one, k: one[k].any() and not one[k, k])
    known = {
        "only classes that are never called count: whoever is called, but never rightly, is not found either": those(
            lambda one, k: not one[:, k].any()
        ),
        "classes without slices count, too": those(lambda one, k: not one[k, k]),
        "the names of the pairs are exchanged": {(name, network) for network, name in right},
        "only the networks are named": {network for network, _ in right},
        "the places of the classes are given and not their names": {(one, CLASSES.index(name)) for one, name in right},
    }
    ask.expect(right, "never_found", matrices, known=known)


def _expect_rows_off(ask: Ask, matrices: Matrices, counts: dict[str, int]) -> None:
    def those(sums: Callable[[np.ndarray], np.ndarray], classes: tuple[str, ...] = CLASSES) -> set[tuple[str, str]]:
        return {
            (network, name)
            for network, matrix in matrices.items()
            for name, count in zip(classes, sums(matrix), strict=True)
            if count != counts[name]
        }

    right = those(lambda matrix: matrix.sum(axis=1))
    columns = those(lambda matrix: matrix.sum(axis=0))
    in_order = those(lambda matrix: matrix.sum(axis=1), tuple(counts))
    by_order = "the rows are taken in Table 1's order: the matrices have that of CLASSES"
    known = {
        f"{by_order}; or if the columns are added up" if columns == in_order else by_order: in_order,
        "the columns are added up": columns,
        "the names of the pairs are exchanged": {(name, network) for network, name in right},
        "only the classes are named": {name for _, name in right},
        "only the networks are named": {network for network, _ in right},
    }
    ask.expect(right, "rows_off", matrices, counts, known=known)
