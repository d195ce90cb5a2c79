import csv
import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ich_jax.data.prepared import SLICE_COLUMNS, open_prepared
from ich_jax.plumbing.command import InputError


def test_an_open_folder_says_what_is_in_it(toy):
    prepared = open_prepared(str(toy))
    with open(toy / "slices.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == SLICE_COLUMNS
    assert prepared.image_ids.tolist() == [row["image_id"] for row in rows]
    assert prepared.patient_ids.tolist() == [row["patient_id"] for row in rows]
    assert prepared.images.shape == (96, 32, 32, 3)
    assert isinstance(prepared.images, np.memmap)
    assert prepared.fingerprint == hashlib.sha256((toy / "slices.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("images.npy", lambda data: data[:-100], "damaged"),
        ("images.npy", lambda data: b"\x80\x04\x95" + data, "damaged"),  # a pickle's first bytes
        ("slices.csv", lambda data: data[: data.rindex(b"\n", 0, -1) + 1], "does not fit"),
        ("slices.csv", lambda data: data.replace(b"epidural", b"stroke"), "row 3: unknown class 'stroke'"),
        ("slices.csv", lambda data: data.replace(b"image_id", b"image"), "expected rows"),
        ("slices.csv", lambda data: data.replace(b",epidural,", b","), "damaged"),
        ("slices.csv", lambda data: b"", "expected rows"),
        ("slices.csv", lambda data: b"\xff\xfe" + data, "damaged"),
        ("prepare.json", lambda data: data[:10], "damaged"),
    ],
)
def test_a_damaged_folder_is_refused(toy, tmp_path, name, damage, words):
    with pytest.raises(InputError, match="not a prepared folder"):
        open_prepared(tmp_path)
    copy = shutil.copytree(toy, tmp_path / "copy")
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    with pytest.raises(InputError, match=words):
        open_prepared(copy)


def test_opening_takes_little_memory_at_rsnas_size(tmp_path):
    """720,729 rows; the images are a file with a hole, which takes no room on the disk."""
    rows, side = 720_729, 4
    with open(tmp_path / "slices.csv", "w", encoding="utf-8") as file:
        file.write(",".join(SLICE_COLUMNS) + "\n")
        file.writelines(f"ID_{k:09x},none,ID_{k // 38:08x},ID_{k // 35:010x},{k:064x}\n" for k in range(rows))
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, side, side, 3)}
    with open(tmp_path / "images.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + rows * side * side * 3)
    (tmp_path / "prepare.json").write_text('{"image_size": 4}', encoding="utf-8")
    code = """
import resource, sys
from ich_jax.data.prepared import open_prepared
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepared = open_prepared(sys.argv[1])
assert len(prepared.classes) == len(prepared.patient_ids) == 720_729
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) * (1024 if sys.platform != "darwin" else 1) < 400e6
