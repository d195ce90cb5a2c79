"""What goes wrong outside the code: one exception type, and how a command reports it."""

import os
import signal
import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad data, settings or surroundings that the user can put right. The message is one line that says how."""


def run_command(main: Callable[[], object], interrupted: str = "stopped") -> None:
    """Run a command's `main`; on trouble print one line to stderr and exit.

    Exit code 2 for bad input, an unreadable or unwritable file or a full disk; 130 for Ctrl-C, with the sentence
    `interrupted`.
    Anything else is a bug in ich_jax and keeps its traceback.
    """
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        _leave(str(error), 2)
    except BrokenPipeError:  # the reader of our output has left, as in `predict … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"{where}{error.strerror or error}", 2)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the leaving off
        print(f"\n{interrupted}", file=sys.stderr, flush=True)
        if "jax" in sys.modules:
            os._exit(130)  # XLA may be compiling on its own threads, and crashes when Python clears up under them
        sys.exit(130)


def _leave(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
