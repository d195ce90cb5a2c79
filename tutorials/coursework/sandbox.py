"""The grader's side of a submission's process: start it, ask it, end it in time.

What a submission prints, patches or claims cannot change a mark: it returns values, and only the grader, in another
process, knows which are right. It is bounded in time and memory and, on Linux, has no network. What it may not do is
refused and named by an audit hook (PEP 578). That keeps out accidents and classroom tricks. It does not keep out
someone who writes machine code to get past it: grade in a container or a virtual machine if you expect that.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import ich_jax
from tutorials.coursework.worker import decode, encode, receive, send

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "reference"
PACKAGE = Path(ich_jax.__file__).resolve().parent
LARGEST_FILE = 2**20  # bytes of one .py file
# Beside ich_jax: libraries in which an assignment is a single call.
FORBIDDEN = ("ich_jax", "tutorials", "flax", "keras", "optax", "pydicom", "sklearn", "tensorflow", "torch")


class Bounds(NamedTuple):
    """For one assignment of one submission."""

    call_seconds: float = 10
    load_seconds: float = 60  # to import the file, JAX included
    seconds: float = 60  # in all
    memory: int = 4 * 2**30  # bytes of address space, of which JAX takes most


USUAL = Bounds()


class Answer(NamedTuple):
    """What came of one call."""

    value: Any = None
    failed: str = ""  # why there is no value, in words
    raised: str = ""  # the exception's name, if there was one
    kinds: tuple[str, ...] = ()  # its name and those of what it derives from
    deeds: tuple[str, ...] = ()  # what it did that it may not


class Submission:
    """An assignment's file in a process of its own. Use it as a context; it leaves no process and no file behind.

    Args:
        file: the student's .py file. It and the .py files beside it are copied; the originals are never opened again.
        bounds: see Bounds.
        closed: folders, beside this project's, that it may not read.
    """

    def __init__(self, file: Path, bounds: Bounds = USUAL, closed: tuple[Path, ...] = ()):
        self._bounds, self._file = bounds, file
        self._closed = [str(path.resolve()) for path in closed]
        self._forbidden, self._path = FORBIDDEN, []
        if file.resolve().parent == REFERENCE:
            self._forbidden, self._path = (), [str(PACKAGE.parent)]  # these are the answers, made of ich_jax
        else:
            self._closed += [str(HERE.parent), str(PACKAGE)]
        self._process: subprocess.Popen | None = None
        self._given_up = ""  # why nothing more is tried
        self._endless: set[str] = set()
        self._left = bounds.seconds  # of waiting for it; what the grader needs to find the right answer is not counted
        self.functions: frozenset[str] = frozenset()
        self.remarks: list[str] = []

    def __enter__(self) -> "Submission":
        self._scratch = Path(os.path.realpath(tempfile.mkdtemp(prefix="coursework-")))
        try:
            self._copy()
            if not self._given_up:
                self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def call(self, function: str, arguments: tuple, jit: bool = False) -> Answer:
        """Call one of its functions; never raises because of what it does."""
        if self._given_up:
            return Answer(failed=self._given_up)
        if function in self._endless:
            return Answer(failed=f"{function} was not tried again, since it did not end")
        if self._left <= 0:
            return Answer(failed=f"not tried: the {self._bounds.seconds:g} seconds for this file were used up")
        if self._process is None:
            self._start()
            if self._given_up:
                return Answer(failed=self._given_up)
        if function not in self.functions:
            return Answer(failed=f"there is no function {function} in {self._file.name}")
        message = {"function": function, "arguments": encode(list(arguments)), "jit": jit}
        # By a thread: a process that does not read would keep us waiting.
        threading.Thread(target=_send, args=(self._process.stdin, message), daemon=True).start()
        answer = self._wait(self._bounds.call_seconds, function)
        if answer is None:
            self._endless.add(function)
            return Answer(failed=f"{function} did not end within {self._bounds.call_seconds:g} seconds")
        return answer

    def _copy(self) -> None:
        if self._file.is_symlink() or not self._file.is_file():
            missing = not self._file.exists() and not self._file.is_symlink()
            self._given_up = f"{self._file.name} {'was not handed in' if missing else 'is no plain file'}"
            others = sorted(str(path.relative_to(self._file.parent)) for path in self._file.parent.rglob("*.py"))
            if missing and others:
                self._given_up += f"; the folder holds {', '.join(others[:8])}"
            return
        for path in sorted(self._file.parent.glob("*.py")):
            if path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size > LARGEST_FILE:
                if path == self._file:
                    self._given_up = f"{path.name} is larger than 1 MB"
                continue
            shutil.copyfile(path, self._scratch / path.name)

    def _start(self) -> None:
        options = {
            "file": str(self._scratch / self._file.name),
            "scratch": str(self._scratch),
            "closed": self._closed,
            "forbidden": self._forbidden,
            "path": self._path,
            "memory": self._bounds.memory,
            "seconds": int(self._bounds.seconds) + 10,
        }
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL") if name in os.environ}
        here = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "USERPROFILE"), str(self._scratch))
        # One thread: each takes address space, and forty submissions share the machine.
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "worker.py"), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._scratch,
            env=kept | here | alone,
            start_new_session=True,
        )
        self._replies: queue.Queue = queue.Queue()
        threading.Thread(target=_read, args=(self._process.stdout, self._replies), daemon=True).start()
        first = self._wait(self._bounds.load_seconds, "")
        if first is None:
            self._given_up = f"importing {self._file.name} did not end within {self._bounds.load_seconds:g} seconds"
        elif first.failed:
            self._given_up = f"{self._file.name} cannot be imported: {first.failed}"
        elif first.deeds:
            self._given_up = f"{self._file.name}, when imported, {' and '.join(first.deeds)}; that is not allowed"

    def _wait(self, seconds: float, function: str) -> Answer | None:
        """The next answer; None if it does not come in time. Either of these, or its death, ends the process."""
        start = time.monotonic()
        try:
            reply = self._replies.get(timeout=max(0.1, min(seconds, self._left)))
        except queue.Empty:
            self._stop()
            return None
        finally:
            self._left -= time.monotonic() - start
        if not isinstance(reply, dict):
            code = self._stop(patience=1)
            how = f" by signal {-code}" if code and code < 0 else f" with exit code {code}" if code else ""
            return Answer(failed=reply or f"its process ended{how} before it could answer")
        try:
            return self._understood(reply, function)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            self._stop()
            return Answer(failed="its answer cannot be read")

    def _understood(self, reply: dict, function: str) -> Answer:
        if "functions" in reply:
            self.functions = frozenset(map(str, reply["functions"]))
        if reply["printed"]:
            self.remarks.append(f"{function or 'importing it'} printed {str(reply['beginning'])[:60]!r}")
        return understood(reply)

    def _stop(self, patience: float = 0) -> int | None:
        """End the process and what it started; returns its exit code if it ended by itself within `patience` s."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (AttributeError, OSError):  # Windows has no groups; a group may be gone
            process.kill()
        process.wait()
        with contextlib.suppress(OSError):  # what it never read
            process.stdin.close()
        return code


def understood(reply: dict) -> Answer:
    """What `perform` in worker.py sends. Raises KeyError, TypeError, ValueError … if it is anything else."""
    deeds = tuple(str(deed) for deed in reply["deeds"])
    if "raised" not in reply:
        return Answer(value=decode(reply["value"]), deeds=deeds)
    raised = str(reply["raised"])
    words = in_words(raised, str(reply["text"]), reply["line"])
    return Answer(failed=words, raised=raised, kinds=tuple(map(str, reply["kinds"])), deeds=deeds)


def in_words(raised: str, text: str, line: int | None) -> str:
    """An exception as a student can act on it."""
    if raised == "NotImplementedError":
        return "not written yet"
    if raised == "SystemExit":
        return "it calls sys.exit()"
    if raised == "Forbidden":
        return f"{text}; that is not allowed"
    if raised == "MemoryError":
        return "it needs more memory than is allowed"
    where = f" (line {line})" if line else ""
    if raised == "TracerArrayConversionError":
        return f"NumPy cannot work on an array that jax.jit traces: take the function of jax.numpy{where}"
    if raised in ("TracerBoolConversionError", "TracerIntegerConversionError", "ConcretizationTypeError"):
        return f"while jax.jit traces, an array has a shape but no values to ask for{where}"
    return f"{raised}{f': {text}' if text else ''}{where}"


def _send(pipe: Any, message: dict) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended: the answer, which never comes, says so
        send(pipe, message)


def _read(pipe: Any, replies: queue.Queue) -> None:
    """Hand on each reply, then None, or words for one that is none."""
    try:
        while (reply := receive(pipe)) is not None:
            replies.put(reply)
        replies.put(None)
    except (OSError, ValueError, RecursionError):
        replies.put("its answer cannot be read, or is longer than 64 MB")
    finally:
        pipe.close()
