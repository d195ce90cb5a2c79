"""Marks of work that is right but for what a test puts in."""

import doctest
import importlib
import re
from collections.abc import Callable

from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.marking import Here, Result, as_numbers, reason_lost
from tutorials.coursework.sandbox import HERE

SHEETS = HERE / "sheets"


def marked(name: str, **mistakes: Callable) -> dict[str, dict]:
    """The reference with some functions replaced: {function: {"points", "of", "lost"}}, of these alone if any are."""
    functions = Here(vars(importlib.import_module(f"tutorials.coursework.reference.{name}")) | mistakes)
    checks = [check for check in ASSIGNMENTS[name].checks if not mistakes or check.function in mistakes]
    return as_numbers([Result(check, reason_lost(name, check, functions, seed=7)) for check in checks])["functions"]


def points(name: str, **mistakes: Callable) -> dict[str, float]:
    """{function: points} of those that lose any."""
    return {function: own["points"] for function, own in marked(name, **mistakes).items() if own["points"] < own["of"]}


def reasons(name: str, **mistakes: Callable) -> str:
    return "\n".join(lost["reason"] for own in marked(name, **mistakes).values() for lost in own["lost"])


def untrue_examples(name: str) -> list[str]:
    """The examples of a stub's functions and of its sheet that the reference solution does not meet."""
    stub = importlib.import_module(f"tutorials.coursework.stubs.{name}")
    answers = vars(importlib.import_module(f"tutorials.coursework.reference.{name}"))
    tests = [test for test in doctest.DocTestFinder().find(stub) if test.examples]
    assert {test.name.split(".")[-1] for test in tests} == {check.function for check in ASSIGNMENTS[name].checks}
    (sheet,) = SHEETS.glob(f"*_{name}.md")
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", sheet.read_text(), re.DOTALL))
    tests.append(doctest.DocTestParser().get_doctest(blocks, vars(stub), sheet.name, None, None))
    found: list[str] = []
    for test in tests:
        test.globs = test.globs | answers
        doctest.DocTestRunner(verbose=False).run(test, out=found.append)
    return found


def points_of_the_stub(name: str) -> float:
    stub = importlib.import_module(f"tutorials.coursework.stubs.{name}")
    return as_numbers(ASSIGNMENTS[name].mark(Here(vars(stub))))["points"]
