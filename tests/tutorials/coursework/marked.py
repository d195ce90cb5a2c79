"""Marks of work that is right but for what a test puts in."""

import importlib
from collections.abc import Callable

from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.marking import Here, Result, as_numbers, reason_lost


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
