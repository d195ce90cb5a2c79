"""The layouts in which slices and labels come, each with the prepared folder that has to come of it."""

import gzip
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ich_jax import prepare
from ich_jax.data.prepared import open_prepared
from ich_jax.data.source import open_source
from ich_jax.paper.printed import TYPES
from ich_jax.plumbing.command import InputError
from ich_jax.training.batches import split_rows
from ich_jax.training.config import Settings
from tests.conftest import ROOT
from tests.data.test_find import as_zip
from tests.make import make_dicom, make_kaggle, make_zip, write_labels

FILES = ("images.npy", "prepare.json", "rejected.csv", "slices.csv")


def prepared(source: Path | str, out: Path, *more: str) -> dict[str, bytes]:
    prepare.main([str(source), "--out", str(out), "--size", "24", "--workers", "1", *more])
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory) -> Path:
    return make_kaggle(tmp_path_factory.mktemp("kaggle") / "source")


@pytest.fixture(scope="module")
def reference(kaggle, tmp_path_factory) -> dict[str, bytes]:
    return prepared(kaggle, tmp_path_factory.mktemp("reference") / "out")


@pytest.fixture
def copy(kaggle, tmp_path) -> Path:
    return shutil.copytree(kaggle, tmp_path / "copy")


def upper_case_endings(folder: Path) -> None:
    for path in folder.glob("*/*.dcm"):
        path.rename(path.with_suffix(".DCM"))


def no_endings(folder: Path) -> None:
    for path in folder.glob("*/*.dcm"):
        path.rename(path.with_suffix(""))


def deeper(folder: Path) -> None:
    for number, path in enumerate(sorted(folder.glob("*/*.dcm"))):
        below = path.parent / f"patient {number // 4}" / "CT"
        below.mkdir(parents=True, exist_ok=True)
        path.rename(below / path.name)


def rewrite(change):
    def change_labels(folder: Path) -> None:
        path = folder / "stage_2_train.csv"
        path.write_bytes(change(path.read_text(encoding="utf-8")))

    return change_labels


def zipped_labels(folder: Path) -> None:
    with zipfile.ZipFile(folder / "stage_2_train.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "stage_2_train.csv", "stage_2_train.csv")
    (folder / "stage_2_train.csv").unlink()


def gzipped_labels(folder: Path) -> None:
    path = folder / "stage_2_train.csv"
    (folder / "stage_2_train.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def wide(text: str) -> bytes:
    """As pandas' pivot_table writes it: floats, another order, columns that nobody asked for."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines()[1:]:
        name, value = line.split(",")
        image_id, _, kind = name.rpartition("_")
        found.setdefault(image_id, {})[kind] = value
    kinds = ("any", *reversed(TYPES))
    rows = [
        f",{','.join(kinds)},ID,age",
        *(f"0,{','.join(v[k] + '.0' for k in kinds)},{i}.dcm,7" for i, v in found.items()),
    ]
    return "\n".join(rows).encode()


AS_KAGGLE = {
    "upper-case endings": upper_case_endings,
    "no endings": no_endings,
    "deeper folders": deeper,
    "BOM and CRLF": rewrite(lambda text: text.replace("\n", "\r\n").encode("utf-8-sig")),
    "CR line ends": rewrite(lambda text: text.replace("\n", "\r").encode()),
    "floats": rewrite(lambda text: text.replace(",0\n", ",0.0\n").replace(",1\n", ",1.0\n").encode()),
    "wide table": rewrite(wide),
    ".csv.zip": zipped_labels,
    ".csv.gz": gzipped_labels,
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("change", AS_KAGGLE)
def test_spellings_of_the_kaggle_layout(copy, reference, tmp_path, change, kind):
    AS_KAGGLE[change](copy)
    source = copy if kind == "folder" else as_zip(copy, tmp_path / "a.zip")
    assert prepared(source, tmp_path / "out") == reference


@pytest.mark.parametrize("root", ["", "./", "any name/", "\\", "rsna-intracranial-hemorrhage-detection/"])
def test_the_root_of_a_zip_has_any_name_or_none(copy, reference, tmp_path, root):
    shutil.copytree(copy / "stage_2_train", copy / "stage_2_test")  # Kaggle's zip has unlabelled slices as well
    archive = make_zip(copy, tmp_path / "a.zip", root.replace("\\", ""))
    if root == "\\":
        archive = as_zip(copy, archive, lambda name: name.replace("/", "\\"))
    assert "left out: 41 outside" in open_source(archive).notes[0]
    assert prepared(archive, tmp_path / "out") == reference


@pytest.mark.parametrize("depth", ["", "a", "a/b"])
def test_a_folder_in_folders_of_any_name(copy, reference, tmp_path, depth):
    folder = tmp_path / "above" / depth
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(copy, folder)
    assert prepared(tmp_path / "above", tmp_path / "out") == reference


@pytest.mark.parametrize("inside", ["", "stage_2_train"])
def test_the_folder_that_one_is_in(copy, reference, tmp_path, monkeypatch, inside):
    monkeypatch.chdir(copy / inside)
    assert prepared(".", tmp_path / "out") == reference


def test_two_data_sets_in_one_folder_are_not_guessed_at(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "again")
    with pytest.raises(InputError, match="holds again/stage_2_train/ and copy/stage_2_train/; give the one"):
        open_source(tmp_path)


@pytest.fixture
def archive_of_patients(tmp_path) -> Path:
    """As anonymised archives come: the same names in every series."""
    folder = tmp_path / "archive"
    for number in range(4):
        path = folder / f"patient{number // 2}" / f"series{number % 2}" / "IM1"
        path.parent.mkdir(parents=True)
        path.write_bytes(make_dicom(SOPInstanceUID=f"1.2.{number}", PatientID=f"{number // 2}"))
    (folder / "extra").write_bytes(make_dicom(PatientID="9"))
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_where_names_recur_an_id_is_a_path(archive_of_patients, tmp_path, kind):
    types = {f"patient{number // 2}/series{number % 2}/IM1": () for number in range(4)}
    write_labels(archive_of_patients / "labels.csv", types | {"IM1": (), "extra": ("subdural",)})
    source = archive_of_patients if kind == "folder" else as_zip(archive_of_patients, tmp_path / "a.zip")
    found = prepared(source, tmp_path / "out")
    assert [row.split(",")[0] for row in found["slices.csv"].decode().splitlines()[1:]] == ["extra", *types]
    assert "IM1,ambiguous: several files have this name; labels have to give the path" in found["rejected.csv"].decode()


def test_a_path_serves_where_the_name_would_do(archive_of_patients, tmp_path):
    shutil.move(archive_of_patients / "extra", archive_of_patients / "patient0" / "extra.dcm")
    labels = write_labels(tmp_path / "labels.csv", {"patient0/extra.dcm": ("subdural",)})
    assert (
        b"\nextra,subdural,9," in prepared(archive_of_patients, tmp_path / "out", "--labels", str(labels))["slices.csv"]
    )
    both = write_labels(tmp_path / "both.csv", {"patient0/extra.dcm": (), "extra": ()})
    with pytest.raises(InputError, match="by its path and by its name"):
        open_source(archive_of_patients, both)


@pytest.mark.parametrize("spell", ["patient0/extra", "./patient0/extra.dcm", "patient0\\extra.DCM", "/patient0/extra"])
def test_how_a_path_may_be_written(archive_of_patients, tmp_path, spell):
    shutil.move(archive_of_patients / "extra", archive_of_patients / "patient0" / "extra.dcm")
    labels = write_labels(tmp_path / "labels.csv", {spell: ("subdural",)})
    assert open_source(archive_of_patients, labels).labels.image_class == {"extra": "subdural"}


def test_a_path_is_not_that_of_another_slice(archive_of_patients, tmp_path):
    """The label of one patient must not go to another whose file has the same name."""
    (archive_of_patients / "patient1" / "series0" / "IM7").write_bytes(make_dicom())
    types = {"patient0/series0/IM7": ("epidural",), "patient0/series0/IM1": (), "patient0/series0/IM8": ()}
    labels = write_labels(tmp_path / "labels.csv", types)
    found = prepared(archive_of_patients, tmp_path / "out", "--labels", str(labels))
    assert [row.split(",")[0] for row in found["slices.csv"].decode().splitlines()[1:]] == ["patient0/series0/IM1"]
    rejected = found["rejected.csv"].decode()
    assert "patient0/series0/IM7,missing" in rejected.replace('"', "")
    assert "\nIM7,unlabelled" in rejected.replace('"', "")


@pytest.mark.parametrize("spell", ["{}", "archive/{}"])
def test_the_one_folder_that_all_are_in_may_be_named(archive_of_patients, tmp_path, spell):
    (archive_of_patients / "extra").unlink()
    types = {spell.format(f"patient{number // 2}/series{number % 2}/IM1"): () for number in range(4)}
    (tmp_path / "above").mkdir()
    shutil.move(archive_of_patients, tmp_path / "above" / "archive")
    source = open_source(tmp_path / "above", write_labels(tmp_path / "labels.csv", types))
    assert source.labels.image_class.keys() == source.members.keys()
    assert "patient0/series0/IM1" in source.members


def test_two_files_of_one_name_and_two_endings(tmp_path):
    folder = tmp_path / "slices"
    for name in ("p/a", "p/a.dcm", "p/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_dicom())
    labels = write_labels(tmp_path / "labels.csv", {"p/a": (), "a.dcm": (), "b": ()})
    with pytest.raises(InputError, match="by its path and by its name"):
        open_source(folder, labels)
    found = prepared(folder, tmp_path / "out", "--labels", str(write_labels(labels, {"a.dcm": (), "b": ()})))
    rejected = found["rejected.csv"].decode().replace('"', "")
    assert "\na,ambiguous" in rejected
    assert "\na.dcm,unlabelled" in rejected
    assert found["slices.csv"].decode().splitlines()[1].startswith("b,none")


def test_labels_of_other_files(archive_of_patients, tmp_path):
    labels = write_labels(tmp_path / "labels.csv", {"ID_1 ": ()})
    with pytest.raises(InputError, match="no label names a file; labels are such as 'ID_1 ', files such as 'extra'"):
        open_source(archive_of_patients, labels)


@pytest.mark.parametrize("root", ["", "hospital/", "__MACOSX/"])
def test_a_zip_of_a_folder_is_read_as_the_folder(archive_of_patients, tmp_path, root):
    types = {f"patient{number // 2}/series{number % 2}/IM1": () for number in range(4)}
    write_labels(archive_of_patients / "labels.csv", types | {"extra": ("subdural",)})
    expected = prepared(archive_of_patients, tmp_path / "folder")
    archive = as_zip(archive_of_patients, tmp_path / "a.zip", "hospital/{}".format if root else str)
    if root == "__MACOSX/":
        with zipfile.ZipFile(archive, "a") as more:
            more.writestr("__MACOSX/hospital/._extra", b"x")
    assert prepared(archive, tmp_path / "zip") == expected


def test_backslashes_in_the_names_of_files(archive_of_patients, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in archive_of_patients.rglob("IM1"):
        name = path.relative_to(archive_of_patients).as_posix().replace("/", "\\")
        (flat / name).write_bytes(path.read_bytes())
    labels = write_labels(tmp_path / "labels.csv", {"patient0/series0/IM1": ()})
    assert "patient0/series0/IM1" in open_source(flat, labels).members


def test_what_was_prepared_before_is_said(kaggle, tmp_path, capsys):
    prepared(kaggle, tmp_path / "out")
    assert "prepared before" not in capsys.readouterr().out
    prepared(kaggle, tmp_path / "out")
    assert "prepared before" in capsys.readouterr().out


def test_which_labels(archive_of_patients):
    with pytest.raises(InputError, match=r"has no label file, nor is .*archive\.csv there; give one with --labels"):
        open_source(archive_of_patients)
    write_labels(archive_of_patients.with_name("archive.csv"), {"extra": ()})
    assert open_source(archive_of_patients).labels.image_class == {"extra": "none"}
    write_labels(archive_of_patients / "train.csv", {"extra": ("epidural",)})
    assert open_source(archive_of_patients).labels.image_class == {"extra": "epidural"}
    write_labels(archive_of_patients / "test.csv", {"extra": ()})
    with pytest.raises(InputError, match=r"holds test\.csv, train\.csv; say with --labels which has the labels"):
        open_source(archive_of_patients)


def test_a_zip_in_a_zip_is_one_true_line(kaggle, tmp_path):
    (tmp_path / "outer").mkdir()
    make_zip(kaggle, tmp_path / "outer" / "a.zip")
    words = "holds no DICOM file; left out: 1 zip file; zip files inside are not opened"
    for source in (tmp_path / "outer", as_zip(tmp_path / "outer", tmp_path / "outer.zip")):
        with pytest.raises(InputError, match=words):
            open_source(source)


def test_what_is_no_axial_ct_is_listed(archive_of_patients, tmp_path):
    for name, tags in {"mr": {"Modality": "MR"}, "scout": {"ImageType": "LOCALIZER"}}.items():
        (archive_of_patients / name).write_bytes(make_dicom(**tags))
    labels = write_labels(tmp_path / "labels.csv", {"extra": (), "mr": (), "scout": ()})
    rejected = prepared(archive_of_patients, tmp_path / "out", "--labels", str(labels))["rejected.csv"].decode()
    assert 'mr,"no axial CT slice: is MR, not CT"' in rejected
    assert 'scout,"no axial CT slice: is a localizer, not an axial slice"' in rejected


def test_slices_without_a_patient(tmp_path, capsys):
    folder, types = tmp_path / "slices", {}
    folder.mkdir()
    for number in range(24):
        tags = {"PatientID": "" if number % 2 else f"p{number // 4}", "StudyInstanceUID": f"1.{number // 4}"}
        (folder / f"{number}.dcm").write_bytes(make_dicom(**tags))
        types[f"{number}"] = ()
    labels = str(write_labels(tmp_path / "labels.csv", types))
    prepared(folder, tmp_path / "out", "--labels", labels)
    sentence = "12 slices have no PatientID: a split by patient is one by StudyInstanceUID there"
    assert sentence in capsys.readouterr().out
    found = open_prepared(tmp_path / "out")
    assert found.nameless == sentence
    assert set(found.patient_ids) == {f"p{k}" for k in range(6)} | {f"1.{k}" for k in range(6)}
    split = split_rows(found, Settings(split="patient"))
    assert not set(found.patient_ids[split["train"]]) & set(found.patient_ids[split["test"]])
    (folder / "0.dcm").write_bytes(make_dicom(drop=("PatientID", "StudyInstanceUID")))
    prepared(folder, tmp_path / "neither", "--labels", labels)
    found = open_prepared(tmp_path / "neither")
    with pytest.raises(InputError, match="1 slices have neither PatientID nor StudyInstanceUID: no split by patient"):
        split_rows(found, Settings(split="patient"))
    assert len(split_rows(found, Settings())["train"]) == 12


def test_repair_can_be_left_out(tmp_path):
    stored = np.full((64, 64), 3096, np.uint16)
    stored[20:40] = np.arange(64) % 60
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.dcm").write_bytes(make_dicom(stored, BitsStored=12, HighBit=11, RescaleIntercept="0"))
    write_labels(tmp_path / "source" / "labels.csv", {"a": ()})
    with_repair = prepared(tmp_path / "source", tmp_path / "a")
    without = prepared(tmp_path / "source", tmp_path / "b", "--no-repair")
    assert b'"wraparound_repaired": true' in with_repair["prepare.json"]
    assert b'"wraparound_repaired": false' in without["prepare.json"]
    assert with_repair["images.npy"] != without["images.npy"]
    with pytest.raises(InputError, match="other settings"):
        prepared(tmp_path / "source", tmp_path / "a", "--no-repair")


def test_nobody_is_left_behind(copy):
    """Every file of the source is a member or counted."""
    (copy / "stage_2_train" / "notes.txt").write_text("x", encoding="utf-8")
    source = open_source(copy)
    files = sum(len(names) for _, _, names in os.walk(copy / "stage_2_train"))
    assert len(source.members) == files - 1
    assert source.notes == ("left out: 1 not DICOM",)


def test_each_row_of_the_page_names_a_test():
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "files.md").read_text(encoding="utf-8"))
    assert len(named) > 25
    for file, test in named:
        path = ROOT / "tests" / (file if "/" in file else f"data/{file}")
        assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| ") and not re.match(r"\| (layout|form|enc|what \|)", line)
    ]
    assert [row for row in rows if "::test_" not in row] == []
