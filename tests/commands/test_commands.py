"""The commands from outside: what a shell sees."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from ich_jax.__main__ import COMMANDS
from ich_jax.paper import printed
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import write_whole


def shell(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)


def test_the_package_lists_its_commands():
    done = shell("ich_jax")
    assert done.returncode == 0
    assert all(f"python -m ich_jax.{name}" in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = shell(f"ich_jax.{name}", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: python -m ich_jax.{name}")


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_bad_input_is_one_line_and_exit_code_2(name, tmp_path):
    arguments = {"train": ["--data", "absent"], "evaluate": ["absent"], "predict": ["absent", str(tmp_path / "x.dcm")]}
    done = shell(f"ich_jax.{name}", *arguments[name])
    assert done.returncode == 2
    assert done.stderr.startswith("error: absent: ")
    assert done.stderr.count("\n") == 1


def test_importing_does_nothing(tmp_path):
    modules = "ich_jax.prepare, ich_jax.windowing, ich_jax.data.labels"
    code = f"import sys, {modules}; sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("file.csv: row 3\nis odd"), 2, "error: file.csv: row 3 is odd\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/images.npy"), 2, "error: out/images.npy: No space left"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_user_sees(capsys, monkeypatch, error, code, message):
    monkeypatch.setattr(os, "_exit", sys.exit)
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


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "table.csv"
    write_whole(path, lambda file: file.write("first\n"))

    def breaks_off(file):
        file.write("half of the sec")
        file.flush()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, breaks_off)
    assert path.read_text() == "first\n"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_table_1_adds_up():
    table = printed.table_1()
    assert len(table) == 6
    for row in table.values():
        assert row["train"] + row["validation"] + row["test"] == row["total"]
    assert sum(row["total"] for row in table.values()) == 720_733
