"""Work done ahead of the one who needs it, or spread over processes: in order, no orphans, and one answers Ctrl-C."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.memory import keep_memory

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_ahead(
    pool: Executor, function: Callable[[Task], Result], items: Iterable[Task], ahead: int
) -> Iterator[Result]:
    """Like `pool.map`, but with at most `ahead` results under way, so memory does not grow with the work.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as pool:
    ...     list(map_ahead(pool, str, range(4), ahead=2))
    ['0', '1', '2', '3']
    """
    pending = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


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
            with _deaf_to_ctrl_c():
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
    keep_memory()
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
