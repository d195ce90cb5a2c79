"""Seven assignments that grade themselves. README.md beside this file says how to work on them, LECTURERS.md how to
give them to a class.

In a notebook, `check("windowing")` marks the functions that its cells define.
"""

import sys
from typing import Any


def check(name: str, namespace: dict[str, Any] | None = None, seed: int | None = None) -> None:
    """Mark an assignment's functions where they are, without a sandbox; prints the table.

    Args:
        name: of the assignment, such as "windowing".
        namespace: where the functions are (default: the notebook's or script's own).
        seed: for the drawn cases (default: the one for practice).

    Raises KeyError if there is no assignment of that name.
    """
    from tutorials.coursework.assignments import ASSIGNMENTS
    from tutorials.coursework.marking import PRACTICE_SEED, Here, as_numbers, as_text

    if name not in ASSIGNMENTS:
        raise KeyError(f"no assignment {name!r}; there are {', '.join(ASSIGNMENTS)}")
    functions = Here(vars(sys.modules["__main__"]) if namespace is None else namespace)
    found = as_numbers(ASSIGNMENTS[name].mark(functions, PRACTICE_SEED if seed is None else seed))
    print(as_text(name, found))
