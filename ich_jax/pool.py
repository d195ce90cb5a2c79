"""Work spread over processes: results in order, no orphans, and one that answers Ctrl-C."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from ich_jax.ahead import map_ahead
from ich_jax.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

# glibc gives the memory of every large array back to the kernel and asks for it again, page by page; told to keep it,
# array code like the phantom's takes half the time. Other systems ignore these.
KEEP_MEMORY = {"MALLOC_TOP_PAD_": str(2**26), "MALLOC_MMAP_THRESHOLD_": str(2**26)}


def map_in_processes(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    start: Callable[..., object] | None = None,
    arguments: tuple = (),
) -> Iterator[Result]:
    """`function` of each task, in order, from `workers` processes; each of them first calls `start(*arguments)`.

    Raises InputError if a process dies.
    """
    # "spawn" and not "fork": whoever calls main() may have JAX's threads running, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    try:
        with ExitStack() as stack:
            stack.enter_context(_one_ctrl_c())
            with _deaf_to_ctrl_c(), _environment(KEEP_MEMORY):
                pool = ProcessPoolExecutor(workers, context, _start, (start, arguments))
                stack.enter_context(pool)
                for _ in range(workers):
                    pool.submit(int)  # each of these starts a process
            yield from map_ahead(pool, function, tasks, ahead=4 * workers)
    except BrokenProcessPool:
        raise InputError(
            "a worker process died, perhaps for lack of memory; run the command again to go on, with fewer --workers"
        ) from None


def _start(start: Callable[..., object] | None, arguments: tuple) -> None:
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()  # no orphans after a kill
    if start:
        start(*arguments)


@contextmanager
def _one_ctrl_c() -> Iterator[None]:
    """Answer the first Ctrl-C in the block and ignore others: a cut-off winding up would hang for ever."""
    if threading.current_thread() is not threading.main_thread():  # Python lets only the main thread do this
        yield
        return

    def stop(*_) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ignore Ctrl-C for the block, and in the processes that start in it for good: ignored signals are inherited.

    Ctrl-C goes to every process of the group; only the parent should answer, so that it winds up in order.
    """
    if threading.current_thread() is not threading.main_thread():  # Python lets only the main thread do this
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    added = {name: value for name, value in extra.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
