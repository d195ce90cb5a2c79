"""What counts as right: the same value in another type, and nothing else."""

import numpy as np
import pytest

from tutorials.coursework.marking import Ask, Here, Lost, difference

PAIRS = {("a", "x"), ("b", "y")}


@pytest.mark.parametrize("found", [PAIRS, [("b", "y"), ("a", "x")], (["a", "x"], ["b", "y"])])
def test_a_set_in_any_order_and_type(found):
    assert difference(found, PAIRS) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([("a", "x")], "lacks [('b', 'y')]"),
        ([("a", "x"), ("b", "y"), ("c", "z")], "has [('c', 'z')] too much"),
        ([("a", "x"), ("a", "x"), ("b", "y")], "names something twice"),
        ([[["a"]], 7], "too much and lacks"),
        ([("a", np.zeros(2)), {}], "too much and lacks"),
        (None, "gives None, not a set"),
        ({"a": "x"}, "not a set"),
    ],
)
def test_another_set(found, reason):
    assert reason in difference(found, PAIRS)


def test_an_empty_set():
    assert difference([], set()) is None
    assert "too much" in difference(["a"], set())


def test_a_float_for_a_count_is_named():
    assert difference(6.0, 6) == "gives the float 6.0, not the integer 6"
    assert difference(np.int32(6), 6) is None


def test_a_number_beyond_all_floats_is_only_wrong():
    assert "not 1" in difference(10**400, 1.0)
    assert "not 1" in difference(float("nan"), 1.0)


def test_a_reason_names_large_arguments_in_short():
    given = {"large": np.zeros((6, 6), int), "many": dict.fromkeys("abcde", 1)}
    said = r"f\({'large': <array \(6, 6\) int64>, 'many': {'a': 1, 'b': 1, …}}\) gives 1, not 2"
    with pytest.raises(Lost, match=said):
        Ask(Here({"f": lambda one: 1})).expect(2, "f", given)
