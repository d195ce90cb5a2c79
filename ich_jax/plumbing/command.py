"""What goes wrong outside the code: one exception type, and how a command reports it."""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any


class InputError(Exception):
    """Bad data, settings or surroundings that the user can put right. The message is one line that says how.

    `at_once`: a command leaves without clearing up, which would wait for something that does not come any more.
    """

    def __init__(self, message: str, at_once: bool = False):
        super().__init__(message)
        self.at_once = at_once


def run_command(main: Callable[[], object], interrupted: str = "stopped", *, at_once: bool = False) -> None:
    """Run a command's `main`; on trouble print one line to stderr and exit.

    Exit code 2 for bad input, an unreadable or unwritable file or a full disk; 130 for Ctrl-C, with the sentence
    `interrupted`.
    Anything else is a bug in ich_jax and keeps its traceback.

    Args:
        main: the command.
        interrupted: what to say after Ctrl-C.
        at_once: leave without Python's clearing up after Ctrl-C: for libraries whose own threads crash under it.
    """
    speak_utf8()
    sys.unraisablehook = _interrupt_again
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        _leave(str(error), 2, error.at_once)
    except BrokenPipeError:  # the reader of our output has left, as in `predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"{where}{error.strerror or error}", 2)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the leaving off
        print(f"\n{interrupted}", file=sys.stderr, flush=True)
        if at_once:
            os._exit(130)
        sys.exit(130)


def _interrupt_again(unraisable: Any) -> None:
    """Python drops exceptions in callbacks, JAX's at a garbage collection for one. A Ctrl-C that falls into one comes
    again a moment later."""
    if unraisable.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever meant to answer one only has not
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def speak_utf8() -> None:
    """Print UTF-8, whatever the terminal's old code page is: it may lack × and ≤, and what UTF-8 lacks is escaped.

    Line by line, into a pipe or a file as well: a training's log is to be read while it runs.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _leave(message: str, code: int, at_once: bool = False) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    if at_once:
        os._exit(code)
    sys.exit(code)
