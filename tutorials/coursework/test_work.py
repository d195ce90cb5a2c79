"""The student's work, check by check; conftest.py says how it is called."""

import pytest


def test_points(reason: str) -> None:
    if reason:
        pytest.fail(reason, pytrace=False)
