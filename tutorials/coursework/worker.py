"""One submission in a process of its own: loads the file, calls its functions, sends back what they return.

Started by sandbox.py as `python -I worker.py`, with the bounds as JSON in its first argument. It imports nothing of
this project, so that a submission finds no answer beside it, and it does not know what would be right: that stays with
the grader.

A message is its length in four bytes, then JSON. Arrays travel as bytes with dtype and shape; nothing is unpickled.
"""

import base64
import contextlib
import importlib.util
import io
import json
import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_SIZED = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
DTYPES = frozenset(["bool", *_SIZED, "float16", "float32", "float64"])
LONGEST_MESSAGE = 64 * 2**20  # bytes
LARGEST_ARRAY = 16 * 2**20  # bytes
PRINTS_AT_MOST = 10_000  # characters a call; more are pages that nobody reads


class Foreign(str):
    """What stands for a value that cannot travel: its type's name."""


class Forbidden(PermissionError):
    """Something that a submission may not do."""


def encode(value: Any) -> Any:
    """A value as JSON can hold it. What is no number, text, array or collection of them becomes its type's name."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple | list | set | frozenset):
        kind = "tuple" if isinstance(value, tuple) else "list" if isinstance(value, list) else "set"
        return {kind: [encode(one) for one in value]}
    if isinstance(value, dict):
        keys = [key.item() if isinstance(key, np.generic) else key for key in value]
        return {"dict": [[encode(key), encode(one)] for key, one in zip(keys, value.values(), strict=True)]}
    if is_array(value) and value.nbytes > LARGEST_ARRAY:
        return {"foreign": f"array, of {value.nbytes / 1e6:,.0f} MB"}
    if is_array(value) and str(value.dtype) in DTYPES:
        array = np.asarray(value)
        data = base64.b64encode(array.tobytes()).decode("ascii")
        return {
            "array": data,
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "jax": is_jax(value),
        }
    return {"foreign": f"{type(value).__name__}{f' of {value.dtype}' if is_array(value) else ''}"}


def decode(value: Any) -> Any:
    """`encode`, back. Raises ValueError for what `encode` never makes."""
    if not isinstance(value, dict):
        return value
    if "array" in value:
        if value["dtype"] not in DTYPES:
            raise ValueError(f"an array of {value['dtype']}")
        array = np.frombuffer(base64.b64decode(value["array"]), value["dtype"]).reshape(value["shape"]).copy()
        if value["jax"]:
            import jax.numpy as jnp

            return jnp.asarray(array)
        return array
    if "dict" in value:
        return {decode(key): decode(one) for key, one in value["dict"]}
    if "foreign" in value:
        return Foreign(value["foreign"])
    for kind, make in (("tuple", tuple), ("list", list), ("set", set)):
        if kind in value:
            return make(decode(one) for one in value[kind])
    raise ValueError("not a value")


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or is_jax(value)


def is_jax(value: Any) -> bool:
    """Without importing JAX: where nothing has, no value can be JAX's."""
    return isinstance(value, getattr(sys.modules.get("jax"), "Array", ()))


def send(pipe: BinaryIO, message: dict) -> None:
    data = json.dumps(message).encode()
    pipe.write(len(data).to_bytes(4, "big") + data)
    pipe.flush()


def receive(pipe: BinaryIO) -> dict | None:
    """The next message, None at the end. Raises ValueError if it is none, or too long."""
    head = pipe.read(4)
    if len(head) < 4:
        return None
    length = int.from_bytes(head, "big")
    if length > LONGEST_MESSAGE:
        raise ValueError("an answer of more than 64 MB")
    data = pipe.read(length)
    if len(data) < length:
        return None
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("not a message")
    return message


class _Printed(io.TextIOBase):
    """Counts what is printed, keeps its beginning, and stops whoever prints pages."""

    def __init__(self):
        self.count, self.beginning = 0, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.beginning += text[: 60 - len(self.beginning)] if len(self.beginning) < 60 else ""
        self.count += len(text)
        if self.count > PRINTS_AT_MOST:
            raise Forbidden(f"prints more than {PRINTS_AT_MOST:,} characters")
        return len(text)


def perform(function: Callable, arguments: list, jit: bool, deeds: list[str], file: str) -> dict:
    """One call, whatever it does.

    Args:
        function: a student's.
        arguments: for it, in order.
        jit: compile it with `jax.jit` first.
        deeds: what was done meanwhile that may not be; the watch adds to it.
        file: the submission's, to name the line at which it failed.

    Returns:
        {"value"} or {"raised", "text", "line"}, with "deeds" and, of what was printed, "printed" and its beginning.
    """
    before = [encode(one) for one in arguments]
    printed, reply = _Printed(), {}
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            if jit:
                import jax

                function = jax.jit(function)
            reply["value"] = encode(function(*arguments))
        except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
            reply |= _raised(error, file)
    if [encode(one) for one in arguments] != before and not _has_nan(before):
        deeds.append("changes its input")
    if printed.count > PRINTS_AT_MOST:
        deeds.append(f"prints more than {PRINTS_AT_MOST:,} characters")
    return reply | {
        "deeds": list(dict.fromkeys(deeds)),
        "printed": printed.count,
        "beginning": printed.beginning,
    }


def _has_nan(encoded: list) -> bool:
    """NaN is unlike itself; in arrays, which travel as bytes, it does no harm."""
    return any(isinstance(one, float) and math.isnan(one) for one in encoded)


def _raised(error: BaseException, file: str) -> dict:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    try:
        text = str(error)[:200]
    except BaseException:  # its author's own __str__
        text = ""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return {"raised": kinds[0], "kinds": kinds, "text": text, "line": lines[-1] if lines else None}


# What Python reports to an audit hook (PEP 578), and what it is called in the list of lost points.
DEEDS = {
    "starts another program": "os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn pty.spawn subprocess.Popen",
    "uses the network": "socket.connect socket.bind socket.sendto socket.sendmsg socket.getaddrinfo",
    "sends a signal to a process": "os.kill os.killpg signal.pthread_kill",
}
DEED_OF = {event: deed for deed, events in DEEDS.items() for event in events.split()}
_CHANGING = ("remove", "rename", "rmdir", "mkdir", "link", "symlink", "truncate", "chmod", "chown", "utime")
CHANGES = frozenset(f"os.{what}" for what in _CHANGING)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(scratch: str, closed: list[str], forbidden: list[str], deeds: list[str]) -> None:
    """From here on, refuse what a submission may not do, and note it in `deeds`, whether or not it catches the error.

    Args:
        scratch: the only folder that may be written to.
        closed: folders that may not be read, such as the one with the answers.
        forbidden: modules that may not be imported.
        deeds: what is found, a few words each.
    """

    def refuse(deed: str) -> None:
        deeds.append(deed)
        raise Forbidden(deed)

    def inside(path: Any, folders: list[str]) -> bool:
        where = os.path.realpath(os.fsdecode(path))
        return any(where == folder or where.startswith(folder + os.sep) for folder in folders)

    def hook(event: str, arguments: tuple) -> None:
        if event in DEED_OF:
            refuse(DEED_OF[event])
        elif event == "import":
            if arguments[0].split(".")[0] in forbidden:
                refuse(f"imports {arguments[0]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            if flags & WRITES and not inside(path, [scratch, os.devnull]):
                refuse(f"writes to {os.fsdecode(path)[:80]}")
            if inside(path, closed) and not inside(path, [os.path.realpath(__file__)]):  # a traceback quotes this file
                refuse(f"reads {os.path.basename(os.fsdecode(path))[:80]}, which is the grader's")
            process = os.fsdecode(path).removeprefix("/proc/").split("/")[0]
            if os.fsdecode(path).startswith("/proc/") and process.isdigit() and int(process) != os.getpid():
                refuse("reads about another process")
        elif event in CHANGES:
            for path in arguments:
                if isinstance(path, str | bytes | os.PathLike) and not inside(path, [scratch]):
                    refuse(f"changes {os.fsdecode(path)[:80]}")

    class Refuse:
        """importlib.import_module, of which the hook hears nothing, asks the finders."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            hook("import", (name,))

    sys.meta_path.insert(0, Refuse())
    sys.addaudithook(hook)


def cut_network() -> None:
    """On Linux, where the system lets us, a network of its own without any device; elsewhere only the watch refuses."""
    if sys.platform == "linux":
        import ctypes

        new_user, new_network = 0x10000000, 0x40000000  # clone(2)
        libc = ctypes.CDLL(None)
        if libc.unshare(new_network):
            libc.unshare(new_user | new_network)


def bound(memory: int, seconds: int) -> None:
    """At most `memory` bytes and `seconds` of a processor. Windows has no such bounds."""
    try:
        import resource
    except ModuleNotFoundError:
        return
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 2**24),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def main() -> None:
    options = json.loads(sys.argv[1])
    # The grader's pipes move away from where print() and input() would reach them.
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.dont_write_bytecode = True
    file, deeds = options["file"], []
    bound(options["memory"], options["seconds"])
    cut_network()
    sys.path[:0] = [str(Path(file).parent), *options["path"]]
    watch(options["scratch"], options["closed"], options["forbidden"], deeds)
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    reply = perform(lambda: spec.loader.exec_module(module), [], False, deeds, file)
    names = [name for name in dir(module) if callable(getattr(module, name, None))]
    send(replies, reply | {"functions": names})
    while (request := receive(requests)) is not None:
        deeds.clear()
        function = getattr(module, request["function"])
        send(replies, perform(function, decode(request["arguments"]), request["jit"], deeds, file))
    os._exit(0)  # threads that a submission left behind do not keep it alive


if __name__ == "__main__":
    main()
