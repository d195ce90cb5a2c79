import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ich_jax import prepare
from ich_jax.data import preparing, unfinished
from ich_jax.data.dicom import read_stored
from ich_jax.data.prepared import open_prepared
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import open_source
from ich_jax.plumbing.command import InputError
from tests.make import make_dicom, make_kaggle, make_zip, write_labels

FILES = ("images.npy", "prepare.json", "rejected.csv", "slices.csv")


def contents(folder: Path) -> dict[str, bytes]:
    assert sorted(os.listdir(folder)) == sorted(FILES)
    return {name: (folder / name).read_bytes() for name in FILES}


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory) -> Path:
    return make_kaggle(tmp_path_factory.mktemp("kaggle") / "source")


@pytest.fixture(scope="module")
def reference(kaggle, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference") / "out"
    prepare.main([str(kaggle), "--out", str(out), "--size", "24", "--workers", "1"])
    return contents(out)


def test_the_real_sample(rsna_sample, tmp_path, capsys):
    result = prepare.main([str(rsna_sample), "--out", str(tmp_path / "p")])
    assert result.info["counts"]["per_class"] == {
        "none": 17,
        "epidural": 0,
        "intraparenchymal": 1,
        "intraventricular": 2,
        "subarachnoid": 1,
        "subdural": 1,
    }
    reasons = [row["reason"].split(":")[0] for row in table(tmp_path / "p" / "rejected.csv")]
    assert (len(reasons), reasons.count("multi-type"), reasons.count("unlabelled")) == (16, 4, 12)
    assert "22 slices" in capsys.readouterr().out
    for row, image in zip(table(tmp_path / "p" / "slices.csv"), result.images, strict=True):
        path = rsna_sample / "stage_2_train" / f"{row['image_id']}.dcm"
        np.testing.assert_array_equal(image, slice_to_image(read_stored(path)))
        assert row["patient_id"] == read_stored(path).patient_id
        assert row["pixel_hash"] == hashlib.sha256(image.tobytes()).hexdigest()
    archive = make_zip(rsna_sample, tmp_path / "kaggle.zip")
    prepare.main([str(archive), "--out", str(tmp_path / "z"), "--workers", "1"])
    assert contents(tmp_path / "z") == contents(tmp_path / "p")


def test_every_slice_ends_in_one_table(kaggle, reference, tmp_path):
    out = tmp_path / "out"
    result = prepare.main([str(kaggle), "--out", str(out), "--size", "24"])
    assert contents(out) == reference  # whatever the number of workers
    kept = [row["image_id"] for row in table(out / "slices.csv")]
    rejected = {row["image_id"]: row["reason"] for row in table(out / "rejected.csv")}
    everything = {path.stem for path in kaggle.glob("stage_2_train/*.dcm")} | {"ID_multi", "ID_gone"}
    assert len(kept) + len(rejected) == len(everything)
    assert set(kept) | set(rejected) == everything
    assert rejected.pop("ID_multi") == "multi-type: epidural+subdural"
    assert rejected.pop("ID_gone").startswith("missing")
    assert rejected.pop("ID_unlabelled").startswith("unlabelled")
    assert set(rejected) == {f"ID_{k:09x}" for k in (3, 14, 25, 36)}
    assert all(reason.startswith("unreadable: pixel data cut off") for reason in rejected.values())
    for image_id, image in zip(kept, result.images, strict=True):
        raw = read_stored(kaggle / "stage_2_train" / f"{image_id}.dcm")
        np.testing.assert_array_equal(image, slice_to_image(raw, 24))
    assert result.info["counts"]["padded_to_square"] == 7  # of 8, one is cut off


@pytest.mark.parametrize("root", ["rsna-intracranial-hemorrhage-detection/", ""])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_zip_is_read_in_place(kaggle, reference, tmp_path, root, workers):
    archive = make_zip(kaggle, tmp_path / "kaggle.zip", root)
    prepare.main([str(archive), "--out", str(tmp_path / "out"), "--size", "24", "--workers", workers])
    assert contents(tmp_path / "out") == reference


@pytest.mark.parametrize("name", ["stage_2_train_images", "stage_1_train_images"])
def test_older_folder_names(kaggle, reference, tmp_path, name):
    source = tmp_path / "download" / "rsna-intracranial-hemorrhage-detection"
    shutil.copytree(kaggle / "stage_2_train", source / name)
    shutil.copy(kaggle / "stage_2_train.csv", source / f"{name.removesuffix('_images')}.csv")
    prepare.main([str(source.parent), "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"])
    assert contents(tmp_path / "out") == reference


def test_labels_from_elsewhere(kaggle, reference, tmp_path):
    source = shutil.copytree(kaggle / "stage_2_train", tmp_path / "slices")
    with pytest.raises(InputError, match="--labels"):
        prepare.main([str(source), "--out", str(tmp_path / "out")])
    labels = str(kaggle / "stage_2_train.csv")
    prepare.main([str(source), "--labels", labels, "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"])
    assert contents(tmp_path / "out") == reference


def test_a_damaged_zip_entry_is_rejected(kaggle, tmp_path):
    archive = make_zip(kaggle, tmp_path / "kaggle.zip")
    data = bytearray(archive.read_bytes())
    start = data.index(b"ID_000000001.dcm") + 200  # inside the first entry of that name
    data[start : start + 40] = bytes(40)
    archive.write_bytes(data)
    prepare.main([str(archive), "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"])
    rejected = {row["image_id"]: row["reason"] for row in table(tmp_path / "out" / "rejected.csv")}
    assert rejected["ID_000000001"].startswith("unreadable: damaged in the zip")


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.mark.parametrize("source_kind", ["folder", "zip"])
def test_killed_at_every_file_operation_it_goes_on(kaggle, reference, tmp_path, monkeypatch, source_kind):
    """Die before and after the k-th write, rename, cut, sync or removal, then go on, for every k there is."""
    source = kaggle if source_kind == "folder" else make_zip(kaggle, tmp_path / "kaggle.zip")
    command = [str(source), "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"]
    monkeypatch.setattr(preparing, "JOURNAL_SECONDS", 0)
    countdown = [0]

    def deadly(function):
        def wrapped(*args, **kwargs):
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Killed
            result = function(*args, **kwargs)
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Killed
            return result

        return wrapped

    for owner, name in [
        (os, "replace"),
        (os, "truncate"),
        (os, "fsync"),
        (shutil, "rmtree"),
        (np.lib.format, "write_array_header_1_0"),
        (unfinished.Unfinished, "_reserve"),
        (preparing.Worker, "_prepare"),
    ]:
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    deaths = 0
    for moment in range(1, 400):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        countdown[0] = moment
        try:
            prepare.main(command)
        except Killed:
            deaths += 1
            countdown[0] = 0
            if not (tmp_path / "out" / "prepare.json").exists():
                with pytest.raises(InputError):
                    open_prepared(tmp_path / "out")
            prepare.main(command)
        assert contents(tmp_path / "out") == reference
        if countdown[0] > 0:  # the command ended before the moment came
            break
    assert deaths > 100
    assert countdown[0] > 0


def test_killed_for_real_it_goes_on(tmp_path):
    source = make_kaggle(tmp_path / "source", count=400, side=256)
    command = [sys.executable, "-m", "ich_jax.prepare", str(source), "--out", str(tmp_path / "out"), "--size", "64"]
    deaths = 0
    for delay in (0.5, 0.7, 0.9, 1.1, 1.3):
        process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        deaths += process.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run([*command[:5], str(tmp_path / "whole"), "--size", "64"], check=True, capture_output=True)
    assert deaths > 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("delay", [0.25, 0.6])  # while the workers import, and while they work
def test_ctrl_c_is_one_line_and_keeps_what_is_done(tmp_path, delay):
    source = make_kaggle(tmp_path / "source", count=600, side=512)
    command = [sys.executable, "-m", "ich_jax.prepare", str(source), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "out" / "unfinished" / "journal.csv").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "stopped; what is done is kept, and running the same command again goes on from there"
    with pytest.raises(InputError, match="not complete yet"):
        open_prepared(tmp_path / "out")


def test_a_torn_journal_line_is_done_again(kaggle, reference, tmp_path, monkeypatch):
    command = [str(kaggle), "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(unfinished.Unfinished, "finish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            prepare.main(command)
    journal = tmp_path / "out" / "unfinished" / "journal.csv"
    lines = journal.read_bytes()
    journal.write_bytes(lines[:-20])
    prepare.main(command)
    assert contents(tmp_path / "out") == reference


def test_a_folder_is_one_processes_and_a_kill_does_not_block_it(tmp_path):
    source = make_kaggle(tmp_path / "source", count=400, side=256)
    command = [sys.executable, "-m", "ich_jax.prepare", str(source), "--out", str(tmp_path / "out"), "--size", "64"]
    first = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out" / "unfinished" / "journal.csv").exists():
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)
    second = subprocess.run(command, capture_output=True, text=True)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "another process is working in this folder" in second.stderr
    first.kill()
    first.wait()
    subprocess.run(command, check=True, capture_output=True)
    contents(tmp_path / "out")


def test_somebody_elses_folder_is_refused(kaggle, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        prepare.main([str(kaggle), "--out", str(tmp_path), "--size", "24", "--workers", "1"])
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_another_job_in_the_folder_is_refused(kaggle, tmp_path, monkeypatch):
    out = ["--out", str(tmp_path / "out"), "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(unfinished.Unfinished, "finish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            prepare.main([str(kaggle), *out, "--size", "24"])
    with pytest.raises(InputError, match="other settings"):
        prepare.main([str(kaggle), *out, "--size", "25"])
    prepare.main([str(kaggle), *out, "--size", "24"])
    with pytest.raises(InputError, match="other settings"):
        prepare.main([str(kaggle), *out, "--size", "25"])
    assert len(prepare.main([str(kaggle), *out, "--size", "24"]).images) == 36  # again is no work and no harm


def test_a_full_disk_is_one_line(kaggle, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "images.npy")

    command = [str(kaggle), "--out", str(tmp_path / "out"), "--size", "24", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            prepare.main(command)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(InputError, match=r"needs \d+ MB, the disk has 0 kB free"):
            prepare.main([*command[:2], str(tmp_path / "other"), *command[3:]])
    assert len(prepare.main(command).images) == 36


def test_nothing_usable(tmp_path):
    (tmp_path / "stage_2_train").mkdir()
    (tmp_path / "stage_2_train" / "ID_1.dcm").write_bytes(make_dicom()[:300])
    write_labels(tmp_path / "stage_2_train.csv", {"ID_1": ()})
    with pytest.raises(InputError, match=r"none of 1 slices can be used.*rejected\.csv"):
        prepare.main([str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "1"])
    assert "unreadable" in (tmp_path / "out" / "rejected.csv").read_text(encoding="utf-8")


def zip_with_labels(folder: Path, kaggle: Path, labels: bytes) -> Path:
    """The zip of a Kaggle-shaped folder, but with other bytes in its label file."""
    shutil.copytree(kaggle, folder / "source")
    (folder / "source" / "stage_2_train.csv").write_bytes(labels)
    return make_zip(folder / "source", folder / "kaggle.zip")


def test_labels_in_a_zip_are_read_as_those_in_a_folder(kaggle, reference, tmp_path):
    text = (kaggle / "stage_2_train.csv").read_text(encoding="utf-8")
    labels = text.replace("\n", "\r\n").encode("utf-8-sig")  # as a spreadsheet saves it
    archive = zip_with_labels(tmp_path, kaggle, labels)
    for source in (archive, tmp_path / "source"):
        out = tmp_path / source.stem
        prepare.main([str(source), "--out", str(out / "out"), "--size", "24", "--workers", "1"])
        assert contents(out / "out") == reference


def test_labels_in_a_zip_that_are_no_text_or_damaged(kaggle, tmp_path):
    archive = zip_with_labels(tmp_path, kaggle, b"ID,Label\n\xff\xfe\x00")
    with pytest.raises(InputError, match=r"stage_2_train\.csv: not a text file"):
        open_source(archive)
    labels = (kaggle / "stage_2_train.csv").read_bytes()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr("stage_2_train/ID_1.dcm", b"")
        file.writestr("stage_2_train.csv", labels)
    whole = archive.read_bytes()
    archive.write_bytes(whole.replace(b"_epidural,0", b"_epidural,1", 1))
    with pytest.raises(InputError, match=r"kaggle\.zip/stage_2_train\.csv: damaged or incomplete: Bad CRC-32"):
        open_source(archive)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path / "absent", "no such file"),
        (lambda path: path, r"no DICOM file; left out: 2 not DICOM, 1 zip file"),
        (lambda path: path / "text.zip", "neither a folder nor"),
        (lambda path: path / "other.zip", "no DICOM file; left out: 1 not DICOM"),
    ],
)
def test_a_wrong_source_is_one_line(tmp_path, make, words):
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_text("a", encoding="utf-8")
    make_zip(tmp_path / "inner", tmp_path / "other.zip")
    done = subprocess.run(
        [sys.executable, "-m", "ich_jax.prepare", str(make(tmp_path)), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert re.search(words, done.stderr)
    assert not (tmp_path / "out").exists()


def test_prepare_json_says_how(reference):
    info = json.loads(reference["prepare.json"])
    assert info["image_size"] == 24
    assert info["windows_level_width_hu"] == [[40, 80], [80, 200], [600, 2800]]
    assert info["counts"]["slices"] == 36
