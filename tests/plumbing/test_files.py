import errno
import os
import shutil
import subprocess
import sys

import pytest

from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import (
    claim,
    read_json,
    require_empty,
    require_space,
    whole_folder,
    write_csv,
    write_json,
    write_whole,
)

FILL = """
import sys, time
from pathlib import Path
from ich_jax.plumbing.files import whole_folder
with whole_folder(Path(sys.argv[1])) as new:
    (new / "half").write_text("of it")
    print("held", flush=True)
    time.sleep(60)
"""
HOLD = """
import sys, time
from pathlib import Path
from ich_jax.plumbing.files import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder, how: str = HOLD) -> subprocess.Popen:
    """A process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", how, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "table.csv"
    write_whole(path, lambda file: file.write("first\n"))

    def breaks_off(file):
        file.write("half of the sec")
        file.flush()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, breaks_off)
    assert path.read_text(encoding="utf-8") == "first\n"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_json_and_csv_are_utf8(tmp_path):
    write_json(tmp_path / "a.json", {"β": 1})
    assert read_json(tmp_path / "a.json") == {"β": 1}
    write_csv(tmp_path / "a.csv", ("a", "Ş"), [(1, "x,y")])
    assert (tmp_path / "a.csv").read_bytes() == 'a,Ş\n1,"x,y"\n'.encode()
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="damaged"):
        read_json(tmp_path / "a.json")


def test_a_folder_belongs_to_one_process(tmp_path):
    folder = tmp_path / "folder"
    process = hold(folder)
    with pytest.raises(InputError, match=r"folder: another process is working in this folder"), claim(folder):
        pytest.fail("two at once")
    process.kill()
    process.wait()
    process.stdout.close()
    assert (folder / ".lock").exists(), "left by the kill"
    with claim(folder):
        (folder / "result").write_text("done", encoding="utf-8")
        with pytest.raises(InputError, match="another process"), claim(folder):
            pytest.fail("two at once")
    assert os.listdir(folder) == ["result"]


def test_a_folder_of_which_nothing_came_is_gone_and_one_that_was_there_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("new", "mine"):
        with pytest.raises(KeyboardInterrupt), claim(tmp_path / name):
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["mine"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    folder = tmp_path / "folder"
    process = hold(folder, FILL)
    assert not folder.exists()
    with pytest.raises(InputError, match="another process"), whole_folder(folder):
        pytest.fail("two at once")
    process.kill()
    process.wait()
    process.stdout.close()
    assert os.listdir(tmp_path) == [".partial-folder"], "left by the kill"
    with whole_folder(folder) as new:
        assert os.listdir(new) == []
        (new / "a").write_text("whole", encoding="utf-8")
        assert not folder.exists()
    assert os.listdir(tmp_path) == ["folder"]
    assert (folder / "a").read_text(encoding="utf-8") == "whole"


@pytest.mark.parametrize("there", [False, True])
def test_what_breaks_off_leaves_the_folder_as_it_was(tmp_path, there):
    folder = tmp_path / "folder"
    if there:
        folder.mkdir()

    def breaks_off(error: BaseException) -> None:
        with whole_folder(folder) as new:
            (new / "a").write_text("half", encoding="utf-8")
            raise error

    for error in (KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")):
        with pytest.raises(type(error)):
            breaks_off(error)
        assert os.listdir(tmp_path) == ["folder"] * there
    with whole_folder(folder) as new:
        (new / "a").write_text("whole", encoding="utf-8")
    assert os.listdir(folder) == ["a"]
    with pytest.raises(InputError, match="holds other files"), whole_folder(folder):
        pytest.fail("over another")
    with pytest.raises(InputError, match="is a file"), whole_folder(folder / "a"):
        pytest.fail("in the place of a file")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(folder) == ["a"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"), claim(tmp_path / "file"):
        pytest.fail("claimed a file")


def test_other_files_are_seen_and_leftovers_are_not(tmp_path):
    for name in (".lock", ".partial-x", "rejected.csv"):
        (tmp_path / name).write_text("", encoding="utf-8")
    require_empty(tmp_path, but="rejected.csv")
    with pytest.raises(InputError, match="holds other files"):
        require_empty(tmp_path)


def test_room_is_asked_for_in_units_that_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 5 * 10**6))
    require_space(tmp_path, 5 * 10**6)
    with pytest.raises(InputError, match=r"needs 108\.5 GB, the disk has 5 MB free; sorry"):
        require_space(tmp_path, 108_500_000_000, "; sorry")
