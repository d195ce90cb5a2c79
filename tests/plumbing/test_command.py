import errno
import os
import signal
import subprocess
import sys

import pytest

from ich_jax.plumbing.command import InputError, run_command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("file.csv: row 3\nis odd"), 2, "error: file.csv: row 3 is odd\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/images.npy"), 2, "error: out/images.npy: No space left"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_user_sees(capsys, monkeypatch, error, code, message):
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_command(main)
    assert caught.value.code == code
    assert message in capsys.readouterr().err


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


@pytest.mark.parametrize("block", ["nullcontext()", "_one_ctrl_c()"])  # the second ignores what comes after the first
def test_a_ctrl_c_that_falls_into_a_callback_is_not_lost(block):
    code = f"""
import gc, signal, time
from contextlib import nullcontext
from ich_jax.plumbing.command import run_command
from ich_jax.plumbing.parallel import _one_ctrl_c

def callback(phase, info):
    gc.callbacks.remove(callback)
    signal.raise_signal(signal.SIGINT)

def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.callbacks.append(callback)
    with {block}:
        gc.collect()
        for _ in range(600):
            time.sleep(0.1)

run_command(main)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.strip()) == (130, "stopped")


@pytest.mark.parametrize("encoding", ["cp1254", "ascii", "utf-8"])
def test_any_terminal_gets_utf8_and_no_command_dies_of_it(encoding):
    code = "from ich_jax.plumbing.command import run_command; run_command(lambda: print('≤ β → Ş \\udcff'))"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert (done.returncode, done.stdout.decode().strip()) == (0, "≤ β → Ş \\udcff")


def test_a_line_is_in_the_pipe_as_soon_as_it_is_printed():
    code = "from ich_jax.plumbing.command import run_command; run_command(lambda: (print('first'), input()))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "first\n"
        process.stdin.write("\n")
