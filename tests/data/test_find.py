import os
import socket
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ich_jax.data.dicom import SliceError, read_stored
from ich_jax.data.find import Entry, find_slices, in_words, list_files, only_slices, read_member
from ich_jax.data.source import open_source
from ich_jax.plumbing.command import InputError
from tests.make import make_dicom

NAMES = (
    "patient/study/series/IM000001",
    "patient/study/series/IM000002.DCM",
    "patient/study/other/IM000001",
    "I0000003.IMA",
    "a/b.dicom",
    "1.2.840.113",
    "ID_1.dcm",
)


@pytest.fixture
def hospital(tmp_path) -> Path:
    """A folder as it comes from a hospital's CD and a Mac."""
    folder = tmp_path / "cd"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_dicom(np.array([[number, 7], [8, 9]], np.int16)))
    without_preamble = make_dicom()[132:]
    (folder / "old").write_bytes(without_preamble)
    (folder / "DICOMDIR").write_bytes(make_dicom())
    (folder / "a" / "._b.dicom").write_bytes(b"\0\5\x16\7Mac OS X")
    (folder / "__MACOSX" / "a").mkdir(parents=True)
    (folder / "__MACOSX" / "a" / "b.dcm").write_bytes(b"x")
    (folder / "readme.txt").write_text("Insert the CD", encoding="utf-8")
    (folder / "empty").write_bytes(b"")
    return folder


LEFT_OUT = Counter({"DICOMDIR": 1, "not DICOM": 2, "of macOS (._*, __MACOSX)": 2})


def as_zip(folder: Path, path: Path, spell=lambda name: name, compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                # A ZipInfo made by hand: the name given to write() would be put right.
                info = zipfile.ZipInfo("x")
                info.filename, info.compress_type = spell(file.relative_to(folder).as_posix()), compression
                archive.writestr(info, file.read_bytes())
    return path


def test_slices_are_found_by_what_they_hold(hospital):
    found = only_slices(list_files(hospital))
    assert list(found.files) == sorted([*NAMES, "old"])
    assert found.left_out == LEFT_OUT
    for number, name in enumerate(NAMES):
        assert read_member(found.files[name]).stored[0, 0] == number


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "spell", [str, "./{}".format, "/{}".format, lambda name: name.replace("/", "\\"), "ürün/{}".format]
)
def test_a_zip_is_read_as_the_folder(hospital, tmp_path, spell, compression):
    found = only_slices(list_files(as_zip(hospital, tmp_path / "a.zip", spell, compression)))
    root = "ürün/" if spell("") == "ürün/" else ""
    assert list(found.files) == [root + name for name in sorted([*NAMES, "old"])]
    assert found.left_out == LEFT_OUT
    for name, entry in found.files.items():
        expected = read_stored(hospital / name.removeprefix(root))
        np.testing.assert_array_equal(read_member(entry).stored, expected.stored)


def test_links_are_followed_and_loops_end(hospital, tmp_path):
    outside = tmp_path / "disk"
    outside.mkdir()
    (outside / "far.dcm").write_bytes(make_dicom())
    os.symlink(outside, hospital / "0_link")
    os.symlink(hospital, hospital / "patient" / "loop")
    os.symlink(hospital / "patient", hospital / "0_again")
    os.symlink(hospital / "ID_1.dcm", hospital / "same.dcm")
    os.symlink(tmp_path / "nowhere", hospital / "broken.dcm")
    os.symlink("itself", hospital / "itself")
    found = only_slices(list_files(hospital))
    assert list(found.files) == sorted([*NAMES, "old", "0_link/far.dcm", "same.dcm"])
    assert found.left_out == LEFT_OUT + Counter({"no regular file (link to nowhere, FIFO, socket, device)": 2})


def test_fifos_sockets_and_devices_are_not_opened(hospital, monkeypatch):
    os.mkfifo(hospital / "pipe.dcm")
    monkeypatch.chdir(hospital)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.dcm")
        os.symlink("/dev/null", hospital / "device.dcm")
        found = only_slices(list_files(hospital))
    assert list(found.files) == sorted([*NAMES, "old"])
    assert found.left_out == LEFT_OUT + Counter({"no regular file (link to nowhere, FIFO, socket, device)": 3})


def test_files_that_are_named_are_taken_as_they_are(hospital, tmp_path):
    archive = as_zip(hospital, tmp_path / "a.zip")
    named = hospital / "readme.txt"
    members, left_out, damaged = find_slices([named, hospital, archive])
    assert members[0] == named
    assert len(members) == 1 + 2 * (len(NAMES) + 1)
    assert left_out == LEFT_OUT + LEFT_OUT
    assert str(members[-1]).startswith(f"{archive}/")
    assert damaged == []


def test_one_bad_argument_does_not_stop_the_others(hospital, tmp_path):
    (tmp_path / "HELP").mkdir()
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4" + bytes(100))
    found = find_slices([tmp_path / "HELP", hospital, tmp_path / "cut.zip"])
    assert len(found.slices) == len(NAMES) + 1
    assert found.left_out == LEFT_OUT + Counter({"folder or zip without DICOM": 1})
    (line,) = found.damaged
    assert line.startswith(f"{tmp_path / 'cut.zip'}: damaged or unsupported zip")


def test_what_is_reached_twice_is_taken_once(hospital):
    os.symlink(hospital / "ID_1.dcm", hospital / "same.dcm")
    found = find_slices([hospital / "ID_1.dcm", hospital, hospital / "patient"])
    assert len(found.slices) == len(NAMES) + 1
    assert found.left_out["slice reached twice"] == 5


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_where_no_slice_is_found(tmp_path, kind):
    folder = tmp_path / "cd"
    folder.mkdir()
    (folder / "a.txt").write_text("a", encoding="utf-8")
    with zipfile.ZipFile(folder / "CQ500CT0.zip", "w") as inner:
        inner.writestr("CT000000.dcm", make_dicom())
    path = folder if kind == "folder" else as_zip(folder, tmp_path / "a.zip")
    with pytest.raises(InputError) as caught:
        find_slices([path])
    words = "left out: 1 not DICOM, 1 zip file; zip files inside are not opened, unpack them first"
    assert str(caught.value) == f"{path}: holds no DICOM file; {words}"


def test_an_empty_zip(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=r"empty\.zip: holds no DICOM file$"):
        find_slices([as_zip(tmp_path / "nothing", tmp_path / "empty.zip")])


def test_a_damaged_zip_is_one_line(hospital, tmp_path):
    whole = as_zip(hospital, tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.zip: damaged or unsupported zip"):
        find_slices([tmp_path / "cut.zip"])


def test_a_damaged_or_encrypted_entry_is_refused_when_it_is_read(tmp_path):
    folder = tmp_path / "cd"
    folder.mkdir()
    (folder / "IM1").write_bytes(make_dicom())
    archive = as_zip(folder, tmp_path / "a.zip", compression=zipfile.ZIP_STORED)
    (entry,) = only_slices(list_files(archive)).files.values()
    with pytest.raises(SliceError, match=r"a\.zip/IM1: is encrypted"):
        read_member(entry._replace(flags=entry.flags | 1))
    whole = bytearray(archive.read_bytes())
    whole[entry.offset + 500] ^= 1
    archive.write_bytes(whole)
    (entry,) = find_slices([archive]).slices
    assert isinstance(entry, Entry)
    with pytest.raises(SliceError, match=r"a\.zip/IM1: damaged in the zip: Bad CRC-32"):
        read_member(entry)


def test_a_name_that_is_twice_in_a_zip_is_counted(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("IM1.dcm", make_dicom())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("IM1.dcm", make_dicom())
    listing = list_files(tmp_path / "a.zip")
    assert list(listing.files) == ["IM1.dcm"]
    assert in_words(listing.left_out) == "; left out: 1 twice in the zip"


def test_a_folder_that_cannot_be_read_is_not_passed_over(hospital, monkeypatch):
    scandir = os.scandir

    def forbid(path):
        if str(path).endswith("other"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbid)
    found = find_slices([hospital]).slices
    assert len(found) == len(NAMES) + 1
    assert hospital / "patient" / "study" / "other" in found, "refused when it is read"
    with pytest.raises(InputError, match="other: may not be read"):
        open_source(hospital, "labels.csv")


def test_a_name_that_is_no_text(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    path = os.fsencode(folder) + b"/M\xfcller.dcm"
    with open(path, "wb") as file:
        file.write(make_dicom())
    (name,) = only_slices(list_files(folder)).files
    assert name == "M\\udcfcller.dcm"
