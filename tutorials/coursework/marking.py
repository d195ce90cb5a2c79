"""How an assignment is marked: small checks, each worth some points, each with words for whoever loses them.

A check of the part `given` is a fixed example, which the sheet shows as well. One of the part `drawn` makes its own
cases from a seed and compares with `ich_jax`: with another seed the cases are others, so the seed is all that a
lecturer has to keep back.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from tutorials.coursework.sandbox import Answer, understood
from tutorials.coursework.worker import Foreign, is_array, perform

FAILED = "the grader could not judge"
PRACTICE_SEED = 0  # of whoever practises; lecturers take another


class Lost(Exception):
    """The points of a check are lost; its text is the reason, for the student."""


class Functions(Protocol):
    """A student's functions, wherever they run: in a sandbox, or in the notebook that asks."""

    def call(self, function: str, arguments: tuple, jit: bool = False) -> Answer: ...


class Here:
    """Functions of this process, such as a notebook's: no sandbox, and no bounds but Ctrl-C."""

    def __init__(self, namespace: dict[str, Any]):
        self._namespace = namespace

    def call(self, function: str, arguments: tuple, jit: bool = False) -> Answer:
        if not callable(self._namespace.get(function)):
            return Answer(failed=f"there is no function {function} here")
        reply = perform(self._namespace[function], list(arguments), jit, [], "")
        if reply.get("raised") == "KeyboardInterrupt":
            raise KeyboardInterrupt
        return understood(reply)


class Ask:
    """What a check holds: it calls the student's functions and compares."""

    def __init__(self, functions: Functions):
        self._functions = functions

    def __call__(self, function: str, *arguments: Any, jit: bool = False) -> Any:
        """The value of one call. Raises Lost if there is none, or if the function did what it may not."""
        called = f"{_call(function, arguments)}{' under jax.jit' if jit else ''}"
        answer = self._allowed(called, self._functions.call(function, arguments, jit))
        if answer.failed:
            own = answer.raised and answer.raised != "NotImplementedError"
            raise Lost(f"{called}: {answer.failed}" if own else answer.failed)
        return answer.value

    def expect(
        self,
        wanted: Any,
        function: str,
        *arguments: Any,
        tolerance: float = 0,
        either: np.ndarray | None = None,
        known: dict[str, Any] | None = None,
        jit: bool = False,
    ) -> None:
        """Raises Lost unless the call's value is `wanted`.

        Args:
            wanted: a number, text, None, array, or tuple, list, set or dict of these. Of a uint8 or bool array the
                dtype counts, of others its kind: integers or floats. A NumPy and a JAX array are alike. For a set, a
                list or a tuple does as well, in any order.
            tolerance: how far a float may be off, absolutely and as a share.
            either: an array like `wanted`; at each place its value is as right, such as the other level of a tie.
            known: typical mistake, in words that finish "this is what you get if …" → the value it gives.
        """
        found = self(function, *arguments, jit=jit)
        if either is not None and is_array(found) and found.shape == wanted.shape:
            wanted = np.where(np.asarray(found) == either, either, wanted)
        what = difference(found, wanted, tolerance, arguments)
        if what is None:
            return
        for mistake, value in (known or {}).items():
            if difference(found, value, tolerance) is None:
                what += f"; this is what you get if {mistake}"
                break
        raise Lost(f"{_call(function, arguments)}{' under jax.jit' if jit else ''} {what}")

    def expect_error(self, kinds: tuple[str, ...], function: str, *arguments: Any) -> None:
        """Raises Lost unless the call raises one of these exceptions, such as ("ValueError",)."""
        answer = self._allowed(_call(function, arguments), self._functions.call(function, arguments))
        if set(answer.kinds) & set(kinds):
            return
        wanted = " or ".join(kinds)
        if answer.failed:
            own = answer.raised and answer.raised != "NotImplementedError"
            raise Lost(
                f"{_call(function, arguments)} must raise {wanted}, not {answer.failed}" if own else answer.failed
            )
        raise Lost(f"{_call(function, arguments)} must raise {wanted}, and gives {_short(answer.value)}")

    @staticmethod
    def _allowed(called: str, answer: Answer) -> Answer:
        """Raises Lost if the function did what it may not, whatever it gave."""
        if answer.deeds:
            raise Lost(f"{called}: {' and '.join(answer.deeds)}; that is not allowed")
        return answer


class Check(NamedTuple):
    function: str  # whose points they are
    points: float
    part: str  # "given" or "drawn"
    what: str  # what is looked at, in a few words
    run: Callable[[Ask, np.random.Generator], None]  # raises Lost


class Result(NamedTuple):
    check: Check
    reason: str  # "" if the points were won


class Assignment:
    """One sheet: its name (of the student's file, too) and its checks, in the order of its functions."""

    def __init__(self, name: str):
        self.name = name
        self.checks: list[Check] = []

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    def given(self, function: str, points: float, what: str) -> Callable:
        return self._check(function, points, "given", what)

    def drawn(self, function: str, points: float, what: str) -> Callable:
        return self._check(function, points, "drawn", what)

    def _check(self, function: str, points: float, part: str, what: str) -> Callable:
        def keep(run: Callable) -> Callable:
            self.checks.append(Check(function, points, part, what, run))
            return run

        return keep

    def mark(self, functions: Functions, seed: int = PRACTICE_SEED) -> list[Result]:
        """Every check's result. A check's cases depend on the seed and on its own name alone."""
        return [Result(check, reason_lost(self.name, check, functions, seed)) for check in self.checks]


def reason_lost(assignment: str, check: Check, functions: Functions, seed: int) -> str:
    """Run one check: "" if its points are won, else why they are lost."""
    draw = np.random.default_rng([seed, zlib.crc32(f"{assignment} {check.function} {check.what}".encode())])
    try:
        check.run(Ask(functions), draw)
    except Lost as lost:
        return str(lost)
    except Exception as error:  # must not end the marking of a class
        return f"{FAILED} {check.function} ({type(error).__name__}: {error}); ask your lecturer"
    return ""


def difference(found: Any, wanted: Any, tolerance: float = 0, arguments: tuple = ()) -> str | None:
    """In words how `found` differs from `wanted`, None if it does not. `arguments`: what an array was made from."""
    if isinstance(wanted, np.ndarray) and wanted.ndim:
        return _array_difference(found, wanted, tolerance, arguments)
    if isinstance(wanted, tuple | list):
        if not isinstance(found, tuple | list) and not (is_array(found) and found.ndim == 1):
            return f"gives {_short(found)}, not {_short(wanted)}"
        if len(found) != len(wanted):
            return f"gives {len(found)} values ({_short(found)}), not {len(wanted)} ({_short(wanted)})"
        parts = [difference(one, other, tolerance) for one, other in zip(found, wanted, strict=True)]
        first = next((k for k, part in enumerate(parts) if part), None)
        if first is None:
            return None
        simple = all(not is_array(one) or not one.ndim for one in (*found, *wanted))
        return f"gives {_short(found)}, not {_short(wanted)}" if simple else f"in place {first} {parts[first]}"
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"gives {_short(found)}, not a dict"
        missing, more = ([key for key in one if key not in other] for one, other in ((wanted, found), (found, wanted)))
        if missing:
            return f"lacks the keys {_short(missing)}"
        if more:
            return f"has the keys {_short(more)}, which should not be there"
        parts = {key: difference(found[key], wanted[key], tolerance) for key in wanted}
        return next((f"[{key!r}] {part}" for key, part in parts.items() if part), None)
    if isinstance(wanted, set):
        return _set_difference(found, wanted)
    if is_array(found) and not found.ndim:
        found = found[()].item()
    if isinstance(wanted, np.generic | np.ndarray):
        wanted = wanted.item()
    if _same(found, wanted, tolerance):
        return None
    if isinstance(wanted, int) and isinstance(found, float) and found == wanted:
        return f"gives the float {found}, not the integer {wanted}"
    return f"gives {_short(found)}, not {_short(wanted)}"


def _set_difference(found: Any, wanted: set) -> str | None:
    """A list or a tuple, in any order, does for a set; so do lists for the tuples in it."""
    if not isinstance(found, set | tuple | list):
        return f"gives {_short(found)}, not a set"
    found, wanted = [_plain(one) for one in found], list(wanted)
    extra, missing = [one for one in found if one not in wanted], [one for one in wanted if one not in found]
    if extra or missing:
        parts = [f"has {_short(sorted(extra, key=str))} too much"] if extra else []
        parts += [f"lacks {_short(sorted(missing, key=str))}"] if missing else []
        return " and ".join(parts)
    return None if len(found) == len(wanted) else f"names something twice: {_short(found)}"


def _plain(value: Any) -> Any:
    """Lists and arrays as tuples, so that they compare as a whole."""
    if is_array(value):
        value = np.asarray(value).tolist()
    return tuple(map(_plain, value)) if isinstance(value, tuple | list) else value


def _same(found: Any, wanted: Any, tolerance: float) -> bool:
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if isinstance(wanted, float):
        if not number or (isinstance(found, int) and found.bit_length() > 1000):  # too large for a float
            return False
        return bool(np.isclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return number and isinstance(found, int) and found == wanted
    return type(found) is type(wanted) and found == wanted


def _array_difference(found: Any, wanted: np.ndarray, tolerance: float, arguments: tuple) -> str | None:
    if not is_array(found):
        return f"gives {_short(found)}, not an array {wanted.shape} of {wanted.dtype}"
    found = np.asarray(found)
    if found.shape != wanted.shape:
        return f"gives the shape {found.shape}, not {wanted.shape}"
    exact = wanted.dtype in (np.dtype(bool), np.dtype(np.uint8))
    kinds = {"i": "integers", "u": "integers", "f": "floats", "b": "bool"}
    kind = kinds[wanted.dtype.kind]
    if found.dtype != wanted.dtype if exact else kinds[found.dtype.kind] != kind:
        return f"gives the dtype {found.dtype}, not {wanted.dtype if exact else kind}"
    if wanted.dtype.kind == "f":
        off = ~np.isclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        off = found != wanted
    if not off.any():
        return None
    place = tuple(int(k) for k in np.argwhere(off)[0])
    source = ""
    first = arguments[0] if arguments else None
    if is_array(first) and first.ndim and first.shape == wanted.shape[: first.ndim]:
        source = f" {_short(np.asarray(first)[place[: first.ndim]])} becomes"
    at = ", ".join(map(str, place))
    how = f"{off.sum():,} of {off.size:,} values differ"
    return f"{how}: at [{at}]{source or ' is'} {_short(found[place])}, not {_short(wanted[place])}"


def _call(function: str, arguments: tuple) -> str:
    return f"{function}({', '.join(map(_short, arguments))})"


def _short(value: Any) -> str:
    if isinstance(value, Foreign):
        return f"a value of the type {value}"
    if is_array(value):
        if value.size > 16:
            return f"<array {tuple(value.shape)} {value.dtype}>"
        value = np.asarray(value)
        return f"{_short(value.tolist())}{f' ({value.dtype})' if value.ndim else ''}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list | set):
        inside = ", ".join(_short(one) for one in list(value)[:6]) + (", …" if len(value) > 6 else "")
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_short(key)}: {_short(one)}" for key, one in list(value.items())[:2])
        return f"{{{inside}{', …' if len(value) > 2 else ''}}}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def as_numbers(results: list[Result]) -> dict:
    """For JSON: {"points", "of", "functions": {name: {"points", "of", "lost": […]}}}; of each lost check "points",
    "part", "check" and "reason"."""
    functions: dict[str, dict] = {}
    for check, reason in results:
        own = functions.setdefault(check.function, {"points": 0, "of": 0, "lost": []})
        own["of"] += check.points
        if reason:
            own["lost"].append({"points": check.points, "part": check.part, "check": check.what, "reason": reason})
        else:
            own["points"] += check.points
    total = {key: sum(own[key] for own in functions.values()) for key in ("points", "of")}
    return total | {"functions": functions}


def as_text(name: str, found: dict) -> str:
    """For the terminal: points a function and, below, each lost one with its reason."""
    width = max(len(function) for function in found["functions"])
    lines = [f"{name}: {found['points']:g} of {found['of']:g} points"]
    for function, own in found["functions"].items():
        lines.append(f"  {function:<{width}}  {own['points']:g} of {own['of']:g}")
        reasons: dict[str, list[dict]] = {}
        for lost in own["lost"]:
            reasons.setdefault(lost["reason"], []).append(lost)
        for reason, lost in reasons.items():
            points = sum(one["points"] for one in lost)
            lines.append(f"    −{points:g}  {'; '.join(one['check'] for one in lost)}: {reason}")
    return "\n".join(lines)
