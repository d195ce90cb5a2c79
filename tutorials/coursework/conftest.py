"""`python -m pytest tutorials/coursework --work my_folder [--seed N]`: each check of an assignment is a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ich_jax.plumbing.command import InputError
from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.grade import handed_in
from tutorials.coursework.marking import PRACTICE_SEED, Result, as_numbers, as_text, reason_lost
from tutorials.coursework.sandbox import Submission

collect_ignore = ["stubs", "reference", "assignments"]  # their doctests are the students'
NAMES = pytest.StashKey[list[str]]()
RESULTS = pytest.StashKey[dict[str, list[Result]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--work", type=Path, help="folder with windowing.py and the other assignments")
    parser.addoption("--only", help="assignments that count, handed in or not, with commas between them")
    parser.addoption(
        "--seed",
        type=int,
        default=PRACTICE_SEED,
        help="for the drawn cases (default: for practice)",
    )


def pytest_configure(config: pytest.Config) -> None:
    work = config.getoption("--work", None)
    if work is None:
        raise pytest.UsageError("give the folder with your files: --work my_folder")
    try:
        config.stash[NAMES] = _chosen(config.getoption("--only")) or handed_in([work])
    except InputError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[RESULTS] = {}


def _chosen(only: str | None) -> list[str]:
    names = only.split(",") if only else []
    for name in names:
        if name not in ASSIGNMENTS:
            raise InputError(f"--only {name}: there are {', '.join(ASSIGNMENTS)}")
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.config.stash[NAMES]
    checks = [(name, check) for name in names for check in ASSIGNMENTS[name].checks]
    ids = [f"{name}-{check.function}: {check.what}" for name, check in checks]
    metafunc.parametrize(("submission", "check"), checks, ids=ids, indirect=["submission"], scope="module")


@pytest.fixture(scope="module")
def submission(request: pytest.FixtureRequest) -> Iterator[tuple[str, Submission]]:
    with Submission(request.config.getoption("--work") / f"{request.param}.py") as running:
        yield request.param, running


@pytest.fixture
def reason(request: pytest.FixtureRequest, submission: tuple, check) -> str:
    name, functions = submission
    found = reason_lost(name, check, functions, request.config.getoption("--seed"))
    request.config.stash[RESULTS].setdefault(name, []).append(Result(check, found))
    return found


def pytest_terminal_summary(terminalreporter) -> None:
    results = terminalreporter.config.stash[RESULTS]
    for name, found in results.items():
        terminalreporter.write_line(f"\n{as_text(name, as_numbers(found))}")
