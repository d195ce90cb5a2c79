"""What holds of each assignment: its stub wins nothing, stub and sheet tell the truth. References: test_grading."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import tutorials.coursework
from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.marking import Here, as_numbers

SHEETS = Path(tutorials.coursework.__file__).parent / "sheets"


def _module(part, name):
    return importlib.import_module(f"tutorials.coursework.{part}.{name}")


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_a_stub_wins_nothing_and_is_told_why(name):
    found = as_numbers(ASSIGNMENTS[name].mark(Here(vars(_module("stubs", name)))))
    assert found["points"] == 0
    assert {lost["reason"] for own in found["functions"].values() for lost in own["lost"]} == {"not written yet"}


@pytest.mark.parametrize(("number", "name"), list(enumerate(ASSIGNMENTS, start=1)))
def test_each_function_of_a_stub_has_an_example_and_all_are_true_in_the_sheet_as_well(number, name):
    answers, stub = vars(_module("reference", name)), _module("stubs", name)
    tests = [test for test in doctest.DocTestFinder().find(stub) if test.examples]
    assert {test.name.rpartition(".")[2] for test in tests} == {check.function for check in ASSIGNMENTS[name].checks}
    sheet = (SHEETS / f"{number}_{name}.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", sheet, re.DOTALL))
    tests.append(doctest.DocTestParser().get_doctest(blocks, vars(stub), "sheet", None, None))
    said = []
    for test in tests:
        test.globs = test.globs | answers
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize(("number", "name"), list(enumerate(ASSIGNMENTS, start=1)))
def test_a_sheets_table_gives_the_points_that_the_grader_gives(number, name):
    sheet = (SHEETS / f"{number}_{name}.md").read_text(encoding="utf-8")
    printed = {function: float(points) for function, points in re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", sheet, re.M)}
    checks = ASSIGNMENTS[name].checks
    assert printed == {one.function: sum(c.points for c in checks if c.function == one.function) for one in checks}
    assert f"{ASSIGNMENTS[name].points:g} points by the grader" in sheet
