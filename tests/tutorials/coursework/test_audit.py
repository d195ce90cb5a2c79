"""Typical mistakes of assignment 7, at the marks that they are meant to get."""

import numpy as np
import pytest

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES
from ich_jax.results import audit
from tests.tutorials.coursework.marked import points, reasons
from tutorials.coursework.assignments.audit import agrees, figures_of, papers_figures
from tutorials.coursework.reference.audit import disagreeing, never_found, recompute, rows_off

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the mistakes


def _papers():
    return {network: printed.confusion(network) for network in printed.NETWORKS}


def _named(wrong):
    """`disagreeing` with another rule for when a figure and a value do not agree."""

    def found(figures, matrices):
        return [
            [network, name]
            for network, matrix in matrices.items()
            for name, value in figures_of(matrix).items()
            if wrong(figures[network][name], value)
        ]

    return found


def test_right_work_of_another_style_loses_nothing():
    def figures(confusion):
        t, p = confusion.sum(axis=1), confusion.sum(axis=0)
        d, total = np.diag(confusion), confusion.sum()
        each_p = np.where(p > 0, d / np.maximum(p, 1), 0)
        each_f = np.where(d > 0, 2 * d / np.maximum(p + t, 1), 0)
        share = d.sum() / total
        values = {"f1": each_f @ t / total, "recall": share, "precision": each_p @ t / total, "accuracy": share}
        return {name: np.round(value, 4) for name, value in values.items()}

    def both(figure, value):
        return figure not in (round(value, 4), int(value * 10000) / 10000)

    def classes(matrices):
        return [(n, CLASSES[k]) for n, one in matrices.items() for k in range(6) if one[k, k] == 0 < one[k].sum()]

    def sensitivity(confusion):
        return np.float32(1 - confusion[1:, 0].sum() / confusion[1:].sum())

    def rows(matrices, counts):
        wanted = [counts[name] for name in CLASSES]
        return tuple((n, CLASSES[k]) for n, one in matrices.items() for k in np.flatnonzero(one.sum(1) != wanted))

    right = {
        "recompute": figures,
        "disagreeing": _named(both),
        "always_none": lambda confusion: round(float(confusion[0].sum() / confusion.sum()), 4),
        "never_found": classes,
        "any_sensitivity": sensitivity,
        "most_sensitive": lambda matrices: sorted(matrices, key=lambda name: sensitivity(matrices[name]))[-1],
        "rows_off": rows,
    }
    assert points("audit", **right) == {}


def test_what_the_papers_tables_contradict():
    """As the package's findings, but for figures that are cut off, which here agree."""
    found = disagreeing(papers_figures(), _papers())
    assert {("densenet121", "accuracy"), ("inception_v1", "recall"), ("mobilenet", "f1")} < found
    stricter = set(map(tuple, _named(audit.disagrees)(papers_figures(), _papers())))
    assert stricter - found == {("proposed", "f1"), ("densenet121", "f1")}
    assert never_found(_papers()) == {("densenet121", "epidural"), ("inception_v1", "epidural")}
    assert rows_off(_papers(), {name: row["test"] for name, row in printed.table_1().items()}) == set()


@pytest.mark.parametrize(
    ("figure", "right"), [(0.9143, True), (0.9142, False), (0.9144, False), (0.9145, False), (0.9243, False)]
)
def test_when_a_figure_agrees(figure, right):
    assert agrees(figure, 0.91433) == right


def test_a_value_that_may_be_rounded_up_or_cut_off():
    assert [agrees(figure, 0.91438) for figure in (0.9142, 0.9143, 0.9144, 0.9145)] == [False, True, True, False]


def test_metrics_that_are_not_weighted():
    def plain(confusion):
        each = {"precision": metrics.precision, "recall": metrics.recall, "f1": metrics.f1}
        values = {name: round(float(measure(confusion).mean()), 4) for name, measure in each.items()}
        return {"accuracy": round(metrics.accuracy(confusion), 4)} | values

    assert points("audit", recompute=plain) == {"recompute": 0}
    assert "if precision, recall and F1 are not weighted" in reasons("audit", recompute=plain)


def test_figures_that_are_not_rounded():
    assert points("audit", recompute=figures_of) == {"recompute": 0}
    assert "if the figures are not rounded" in reasons("audit", recompute=figures_of)


def test_nan_for_a_class_that_is_never_predicted():
    def nan(confusion):
        d, p, t = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
        shares = t / t.sum()
        values = {"precision": d / p, "recall": d / t, "f1": 2 * d / (p + t)}
        rounded = {name: round(float(np.sum(value * shares)), 4) for name, value in values.items()}
        return {"accuracy": round(float(d.sum() / t.sum()), 4)} | rounded

    assert points("audit", recompute=nan) == {"recompute": 2}
    assert "'precision'] gives nan" in reasons("audit", recompute=nan)


def test_rows_for_columns():
    def exchanged(confusion):
        return recompute(confusion.T)

    assert points("audit", recompute=exchanged) == {"recompute": 0}
    assert "if rows and columns are exchanged" in reasons("audit", recompute=exchanged)


def test_figures_that_are_cut_off_do_not_agree():
    rounding_only = _named(audit.disagrees)
    assert points("audit", disagreeing=rounding_only) == {"disagreeing": 0}
    assert "if a figure that is cut off counts as disagreeing" in reasons("audit", disagreeing=rounding_only)


def test_figures_that_are_only_nearly_right_agree():
    near = _named(lambda figure, value: abs(figure - value) >= 1e-4)
    assert points("audit", disagreeing=near)["disagreeing"] < 3
    assert "if all that is less than 0.0001 apart counts as agreeing" in reasons("audit", disagreeing=near)


def test_the_papers_own_answers_alone():
    """Written down beforehand, they get the points of the given parts and no others."""
    own_pairs, own_never = disagreeing(papers_figures(), _papers()), never_found(_papers())
    learned = {
        "disagreeing": lambda figures, matrices: own_pairs,
        "never_found": lambda matrices: own_never,
        "always_none": lambda confusion: 161217 / 180180,
        "most_sensitive": lambda matrices: "densenet121",
        "rows_off": lambda matrices, counts: [],
    }
    given = {"disagreeing": 1, "never_found": 1, "always_none": 0, "most_sensitive": 0, "rows_off": 0}
    assert points("audit", **learned) == given


def test_what_is_called_none_for_what_is_none():
    def called(confusion):
        return confusion[:, 0].sum() / confusion.sum()

    assert points("audit", always_none=called) == {"always_none": 0}
    assert "if the slices called 'none' are counted" in reasons("audit", always_none=called)


def test_never_called_for_never_found():
    def called(matrices):
        return {(n, CLASSES[k]) for n, one in matrices.items() for k in range(6) if not one[:, k].any()}

    assert points("audit", never_found=called) == {"never_found": 0}
    assert "if only classes that are never called count" in reasons("audit", never_found=called)


def test_classes_without_slices_as_never_found():
    def without(matrices):
        return {(n, CLASSES[k]) for n, one in matrices.items() for k in range(6) if not one[k, k]}

    assert points("audit", never_found=without) == {"never_found": 1}
    assert "if classes without slices count, too" in reasons("audit", never_found=without)


def test_the_right_type_for_any_hemorrhage():
    def right_type(confusion):
        return np.trace(confusion[1:, 1:]) / confusion[1:].sum()

    assert points("audit", any_sensitivity=right_type) == {"any_sensitivity": 0}
    assert "if a hemorrhage of which another type is named counts as missed" in reasons(
        "audit", any_sensitivity=right_type
    )


def test_the_most_accurate_for_the_most_sensitive():
    def accurate(matrices):
        return max(matrices, key=lambda name: metrics.accuracy(matrices[name]))

    assert points("audit", most_sensitive=accurate) == {"most_sensitive": 0}
    assert "if the network with the best accuracy is named" in reasons("audit", most_sensitive=accurate)


def test_the_classes_in_table_1s_order():
    def in_order(matrices, counts):
        return {
            (network, name)
            for network, matrix in matrices.items()
            for (name, count), slices in zip(counts.items(), matrix.sum(axis=1), strict=True)
            if slices != count
        }

    assert points("audit", rows_off=in_order) == {"rows_off": 0}
    assert "if the rows are taken in Table 1's order" in reasons("audit", rows_off=in_order)


def test_columns_that_are_added_up():
    def columns(matrices, counts):
        return rows_off({network: matrix.T for network, matrix in matrices.items()}, counts)

    assert points("audit", rows_off=columns) == {"rows_off": 0}
    assert "if the columns are added up" in reasons("audit", rows_off=columns)
