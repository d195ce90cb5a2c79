"""Submissions of assignment 1 that do what a submission should not, each with the words that must be said of it."""

from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

GOOD = """
import numpy as np

def window_limits(level_hu, width_hu):
    if width_hu <= 0:
        raise ValueError("too narrow")
    return level_hu - width_hu / 2, level_hu + width_hu / 2

def apply_window(hu, level_hu, width_hu):
    low, high = window_limits(level_hu, width_hu)
    return np.round((np.clip(hu.astype(np.float32), low, high) - low) * 255 / width_hu).astype(np.uint8)

def hu_to_rgb(hu, windows):
    return np.stack([apply_window(hu, *window) for window in windows], axis=-1)

def lookup_table(slope, intercept, signed):
    stored = np.arange(65536, dtype=np.uint16).view(np.int16 if signed else np.uint16)
    return hu_to_rgb(stored * np.float32(slope) + np.float32(intercept), [(40, 80), (80, 200), (600, 2800)])
"""


class Hostile(NamedTuple):
    source: str
    words: str  # that are in a reason, or in a remark
    points: float  # of 12


def in_the_table(body: str, words: str) -> Hostile:
    """`lookup_table` misbehaves: its three points are lost and no others."""
    return Hostile(f"{GOOD}\ndef lookup_table(slope, intercept, signed):\n{_indented(body)}", words, 9)


def in_the_limits(body: str, words: str) -> Hostile:
    """`window_limits` misbehaves; apply_window, which calls it, has one of its own."""
    own = GOOD.replace("def window_limits", "def _limits").replace("= window_limits(", "= _limits(")
    return Hostile(f"{own}\ndef window_limits(level_hu, width_hu):\n{_indented(body)}", words, 9)


def at_import(body: str, words: str) -> Hostile:
    return Hostile(f"{GOOD}\n{dedent(body)}", words, 0)


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())


def hostile(outside: Path, neighbour: Path) -> dict[str, Hostile]:
    """
    Args:
        outside: a folder that nobody may write to.
        neighbour: another student's windowing.py.
    """
    right = "(level_hu - width_hu / 2, level_hu + width_hu / 2)"
    return {
        # never ends
        "loops": in_the_table("while True: pass", "lookup_table did not end within"),
        "sleeps": in_the_table("import time; time.sleep(10**6)", "lookup_table did not end within"),
        "catches_all": in_the_table(
            """
            while True:
                try:
                    while True: pass
                except BaseException: pass
            """,
            "lookup_table did not end within",
        ),
        "waits_in_c": in_the_table(
            "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()", "did not"
        ),
        "loops_at_import": at_import("while True: pass", "importing windowing.py did not end within"),
        "never_says_why": in_the_table(
            """
            class Endless(Exception):
                def __str__(self):
                    while True: pass
            raise Endless
            """,
            "lookup_table did not end within",
        ),
        "leaves_a_thread": in_the_table(
            """
            import threading, time
            threading.Thread(target=time.sleep, args=(10**6,)).start()
            return 1
            """,
            "gives 1, not an array",
        ),
        "recurses": in_the_table("return lookup_table(slope, intercept, signed)", "RecursionError"),
        # eats memory
        "wants_100_gb": in_the_table("return np.ones(10**11, np.uint8)", "more memory than is allowed"),
        "grows": in_the_table("return b''.join(bytes(2**26) for _ in range(10**4))", "more memory than is allowed"),
        "answers_with_a_gigabyte": in_the_table("return np.zeros(2**27, np.uint8)", "the type array, of 134 MB"),
        # ends the process
        "exits": in_the_table("import sys; sys.exit(0)", "sys.exit()"),
        "quits": in_the_table("raise SystemExit('12 of 12')", "sys.exit()"),
        "exits_at_import": at_import("import sys; sys.exit()", "cannot be imported: it calls sys.exit()"),
        "exits_at_once": in_the_table("import os; os._exit(0)", "process ended"),
        "exits_at_once_at_import": at_import("import os; os._exit(0)", "process ended"),
        "aborts": in_the_table("import os; os.abort()", "process ended by signal 6"),
        "crashes": in_the_table("import ctypes; ctypes.string_at(0)", "process ended by signal 11"),
        "interrupts": in_the_table("raise KeyboardInterrupt", "KeyboardInterrupt"),
        # does not even start
        "raises_at_import": at_import("raise RuntimeError('not today')", "RuntimeError: not today (line"),
        "no_python": at_import("def def", "SyntaxError"),
        "nothing": Hostile("", "there is no function apply_window", 0),
        "a_null_byte": at_import("x = '\0'", "cannot be imported"),
        "a_novel": at_import("#" * 2**21, "larger than 1 MB"),
        # returns what it should not
        "none": in_the_limits("pass", "gives None"),
        "transposed": in_the_table("return np.zeros((3, 65536), np.uint8)", "the shape (3, 65536), not (65536, 3)"),
        "floats": in_the_table("return np.zeros((65536, 3))", "the dtype float64, not uint8"),
        "objects": in_the_table("return np.full((65536, 3), None)", "of the type ndarray of object"),
        "always_equal": in_the_limits(
            """
            class Equal:
                def __eq__(self, other): return True
                def __len__(self): return 2
                def __iter__(self): return iter((self, self))
            return Equal()
            """,
            "of the type Equal",
        ),
        "always_equal_array": in_the_table(
            """
            class Equal(np.ndarray):
                def __ne__(self, other): return np.zeros(1, bool)
                __eq__ = __ne__
            return np.zeros((65536, 3), np.uint8).view(Equal)
            """,
            "values differ",
        ),
        "contains_itself": in_the_limits("found = []; found.append(found); return found", "RecursionError"),
        "a_generator": in_the_limits(f"yield from {right}", "of the type generator"),
        "not_a_number": in_the_limits("return float('nan'), float('nan')", "gives (nan, nan)"),
        "no_text": in_the_limits(
            """
            class Silent(Exception):
                def __str__(self): raise SystemExit
            raise Silent
            """,
            "Silent",
        ),
        # prints
        "prints_pages": in_the_limits(f"print('page ' * 10**6); return {right}", "prints more than 10,000 characters"),
        "prints_a_result": in_the_table("print('windowing: 12 of 12 points')", "printed 'windowing: 12 of 12 points"),
        "prints_a_message": in_the_table(
            """
            import os
            for stream in range(20):
                try: os.write(stream, b'\\0\\0\\0\\2{}')
                except OSError: pass
            """,
            "cannot be read",
        ),
        "forges_its_answers": in_the_table(
            """
            import json, os
            message = json.dumps({'value': 12, 'deeds': [], 'printed': 0}).encode()
            for stream in range(20):
                try: os.write(stream, (len(message).to_bytes(4, 'big') + message) * 5)
                except OSError: pass
            while True: pass
            """,
            "gives 12, not an array",
        ),
        # writes where it should not
        "writes": in_the_table(f"open({str(outside / 'mine.txt')!r}, 'w')", "writes to"),
        "hides_that_it_writes": in_the_limits(
            f"""
            try: open({str(outside / "mine.txt")!r}, 'w')
            except OSError: pass
            return {right}
            """,
            "writes to",
        ),
        "writes_through_a_link": in_the_table(
            f"import os; os.symlink({str(outside)!r}, 'here'); open('here/mine.txt', 'w')", "changes"
        ),
        "makes_a_folder": in_the_table(f"import os; os.mkdir({str(outside / 'mine')!r})", "changes"),
        "removes_a_neighbour": in_the_table(f"import os; os.remove({str(neighbour)!r})", "changes"),
        "overwrites_a_neighbour": in_the_table(f"open({str(neighbour)!r}, 'w')", "writes to"),
        # cheats
        "changes_its_input": Hostile(
            GOOD.replace("return np.stack", "hu[...] = hu + 0.0 if False else hu + 1; return np.stack"),
            "changes its input",
            7,
        ),
        "imports_the_answer": at_import("from ich_jax.paper.windowing import *", "cannot be imported: imports ich_jax"),
        "imports_it_later": in_the_table(
            "import importlib; importlib.import_module('ich_jax.paper')", "imports ich_jax"
        ),
        "hides_the_import": at_import("try: import ich_jax\nexcept Exception: pass", "imports ich_jax"),
        "imports_the_reference": at_import("import tutorials.coursework.reference.windowing", "imports tutorials"),
        "reads_the_answer": in_the_table(f"open({_answer()!r}).read()", "reads windowing.py"),
        "reads_a_neighbour": in_the_table(f"open({str(neighbour)!r}).read()", "reads windowing.py"),
        "reads_the_command_line": in_the_table(
            "import os; open(f'/proc/{os.getppid()}/cmdline').read()", "reads about another process"
        ),
        "patches_numpy": in_the_table(
            "np.array_equal = np.isclose = np.allclose = lambda *a, **k: True\nreturn np.zeros((65536, 3), np.uint8)",
            "values differ",
        ),
        "patches_the_worker": in_the_table(
            "import __main__; __main__.encode = lambda value: {'points': 12}\nreturn 0", "cannot be read"
        ),
        # reaches out
        "forks": in_the_table("import os\nwhile True: os.fork()", "starts another program"),
        "starts_a_program": in_the_table("import subprocess; subprocess.run(['true'])", "starts another program"),
        "starts_a_shell": in_the_table("import os; os.system('true')", "starts another program"),
        "kills_the_grader": in_the_table("import os; os.kill(os.getppid(), 9)", "sends a signal"),
        "calls_home": in_the_table("import socket; socket.create_connection(('127.0.0.1', 9))", "uses the network"),
        "=1+1": in_the_table("return 0", "gives 0, not an array"),
    }


def _answer() -> str:
    from ich_jax.paper import windowing

    return windowing.__file__
