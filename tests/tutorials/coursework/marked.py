"""Marks of work that is right but for what a test puts in."""

import importlib
from collections.abc import Callable

from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.marking import Here, as_numbers


def marked(name: str, **mistakes: Callable) -> dict[str, dict]:
    """The reference solution with some functions replaced: {function: {"points", "of", "lost"}}."""
    reference = importlib.import_module(f"tutorials.coursework.reference.{name}")
    return as_numbers(ASSIGNMENTS[name].mark(Here(vars(reference) | mistakes), seed=7))["functions"]


def points(name: str, **mistakes: Callable) -> dict[str, float]:
    """{function: points} of those that lose any."""
    return {function: own["points"] for function, own in marked(name, **mistakes).items() if own["points"] < own["of"]}


def reasons(name: str, **mistakes: Callable) -> str:
    return "\n".join(lost["reason"] for own in marked(name, **mistakes).values() for lost in own["lost"])
