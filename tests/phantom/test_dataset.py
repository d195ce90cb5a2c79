import csv
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ich_jax import evaluate, train
from ich_jax.data.dicom import read_stored
from ich_jax.data.labels import TYPES, read_labels
from ich_jax.data.prepared import open_prepared
from ich_jax.data.preparing import prepare
from ich_jax.data.source import open_source
from ich_jax.paper.printed import table_1
from ich_jax.phantom import __main__, dataset
from ich_jax.phantom.dataset import make_phantom, read_truth
from ich_jax.phantom.domains import GENERATOR
from ich_jax.phantom.head import fields
from ich_jax.phantom.patients import PREVALENCE, SLICES_PER_PATIENT, plan
from ich_jax.phantom.render import SMALLEST_MM2, render
from ich_jax.plumbing.command import InputError
from ich_jax.training.config import PRESETS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Invalid value for VR UI"),  # RSNA's UIDs are not valid, so neither are ours
    pytest.mark.xdist_group("phantom"),  # in one process, which makes the large one once
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def quirky(tmp_path_factory) -> Path:
    """300 slices with every quirk."""
    out = tmp_path_factory.mktemp("phantom") / "quirky"
    make_phantom(out, 300, seed=3, workers=2)
    return out


@pytest.fixture(scope="module")
def prepared(quirky, tmp_path_factory):
    return prepare(open_source(quirky), tmp_path_factory.mktemp("phantom") / "prepared", size=64, workers=2)


@pytest.fixture(scope="module")
def headers(quirky) -> dict[str, pydicom.Dataset]:
    with pydicom.config.disable_value_validation():
        files = sorted((quirky / "stage_2_train").glob("*.dcm"))
        return {path.stem: pydicom.dcmread(path, stop_before_pixels=True) for path in files}


def test_prepare_agrees_with_the_truth_to_the_slice(quirky, prepared):
    truth = {row.image_id: row for row in read_truth(quirky)}
    with open(prepared.path / "slices.csv", newline="", encoding="utf-8") as file:
        accepted = {row["image_id"]: row for row in csv.DictReader(file)}
    with open(prepared.path / "rejected.csv", newline="", encoding="utf-8") as file:
        rejected = {row["image_id"]: row["reason"] for row in csv.DictReader(file)}
    assert len(truth) == 300
    assert accepted.keys() | rejected.keys() == truth.keys()
    assert not accepted.keys() & rejected.keys()
    for image_id, row in truth.items():
        if row.damage == "truncated":
            assert "pixel data cut off: 153710 of 524288 bytes" in rejected[image_id]
        elif row.damage == "noise":
            assert "noise instead of a picture, from about row 3" in rejected[image_id]
        elif len(row.kinds) > 1:
            assert rejected[image_id] == f"multi-type: {row.types}"
        else:
            assert accepted[image_id]["class"] == row.types
            assert accepted[image_id]["patient_id"] == row.patient_id
            assert accepted[image_id]["study_id"] == row.study_id
    assert sorted(row.damage for row in truth.values() if row.damage) == ["noise", "truncated"]
    assert sum(len(row.kinds) > 1 for row in truth.values()) > 3


def test_the_labels_say_what_the_truth_says_and_list_four_twice(quirky):
    labels = read_labels(quirky / "stage_2_train.csv")
    for row in read_truth(quirky):
        if len(row.kinds) > 1:
            assert labels.multi_type[row.image_id] == row.kinds
        else:
            assert labels.image_class[row.image_id] == row.types
        for kind in TYPES:
            area = getattr(row, f"{kind}_mm2")
            assert (area >= SMALLEST_MM2) == (kind in row.kinds)
    assert len(labels.duplicates) == 4
    assert {labels.image_class[image_id] for image_id in labels.duplicates} == {"none"}


def test_it_has_the_formats_of_rsna_in_proportion(headers):
    count = len(headers)
    assert count == 300
    intercepts = Counter(float(header.RescaleIntercept) for header in headers.values())
    assert intercepts.keys() == {-1024, -1000, 0}
    assert intercepts[-1000] == round(0.0099 * count)
    assert intercepts[0] == 2 * round(0.0039 * count)
    kinds = Counter((header.PixelRepresentation, header.BitsStored) for header in headers.values())
    assert kinds.keys() == {(1, 16), (0, 12), (1, 12)}
    assert 0.3 < kinds[1, 16] / count < 0.7
    assert kinds[1, 12] == round(0.005 * count)
    shapes = Counter((header.Rows, header.Columns) for header in headers.values())
    assert count - shapes[512, 512] == 3
    assert {str(header.file_meta.TransferSyntaxUID) for header in headers.values()} == {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
    }
    windows = Counter(header["WindowCenter"].VM for header in headers.values())
    assert windows.keys() == {1, 2}


def test_it_has_the_header_fields_of_rsna_and_says_that_it_is_a_phantom(headers, rsna_files):
    with pydicom.config.disable_value_validation():
        real = pydicom.dcmread(rsna_files[0])
    for image_id, header in headers.items():
        assert {element.keyword for element in header} == {element.keyword for element in real} - {"PixelData"}
        assert header.SOPInstanceUID == image_id
        assert header.file_meta.ImplementationVersionName == "ICH_JAX_PHANTOM"
    assert not any(read_stored(path).synthetic for path in rsna_files)


def test_padding_comes_out_as_on_real_scanners(quirky):
    lowest = set()
    for path in sorted((quirky / "stage_2_train").glob("*.dcm"))[:200]:
        if path.stem in {row.image_id for row in read_truth(quirky) if row.damage}:
            continue
        raw = read_stored(path)
        assert raw.generator == str(GENERATOR)
        lowest.add(int(raw.encoding.to_hu(raw.stored).min()))
    assert {-3024, -2048, -1024} <= lowest


def test_patients_have_neighbouring_slices(quirky):
    patients = {}
    for row in read_truth(quirky):
        patients.setdefault(row.patient_id, []).append(row)
    least, most = SLICES_PER_PATIENT["teaching"]
    assert all(least <= len(rows) <= most for rows in patients.values())
    spans = 0
    for rows in patients.values():
        rows.sort(key=lambda row: row.height_mm)
        assert len({row.study_id for row in rows}) == 1
        steps = np.diff([row.height_mm for row in rows])
        assert steps.max() - steps.min() < 0.01
        for kind in TYPES:
            places = [k for k, row in enumerate(rows) if kind in row.kinds]
            if places:
                spans += 1
                assert len(places) > 0.5 * (places[-1] - places[0] + 1), "a bleed spans neighbouring slices"
    assert spans > 10


def test_the_same_bytes_for_any_number_of_workers_and_none_for_another_seed(tmp_path):
    for name, seed, workers in (("one", 1, 1), ("three", 1, 3), ("other", 2, 2)):
        make_phantom(tmp_path / name, 37, seed=seed, workers=workers)
    one, three, other = (contents(tmp_path / name) for name in ("one", "three", "other"))
    assert one == three
    assert len(one) == 41
    assert not set(one) & set(other) - {"stage_2_train.csv", "truth.csv", "phantom.json", "variety.png"}


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "whole"
    make_phantom(out, 25, seed=4)
    return out


@pytest.mark.parametrize(
    "place", ["write_patient before", "write_patient after", "write_csv", "write_json", "journal cut"]
)
def test_killed_and_run_again_it_ends_the_same(never_killed, tmp_path, monkeypatch, place):
    name = place.split()[0] if place != "journal cut" else "write_patient"
    function, calls = getattr(dataset, name), [0]

    def deadly(*args, **kwargs):
        calls[0] += 1
        last = 1 if name == "write_json" else 2
        if calls[0] == last and not place.endswith("after"):
            raise Killed
        result = function(*args, **kwargs)
        if calls[0] == last:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(dataset, name, deadly)
        with pytest.raises(Killed):
            make_phantom(tmp_path / "killed", 25, seed=4)
    if place == "journal cut":
        journal = tmp_path / "killed" / "unfinished.csv"
        journal.write_text(journal.read_text(encoding="utf-8")[:-100], encoding="utf-8")
    assert not (tmp_path / "killed" / "phantom.json").exists()
    make_phantom(tmp_path / "killed", 25, seed=4)
    assert contents(tmp_path / "killed") == contents(never_killed)


def test_clean_leaves_the_broken_ones_out():
    def damage(**options):
        return [one.damage for patient in plan(300, 0, **options) for one in patient.slices if one.damage]

    assert sorted(damage()) == ["noise", "truncated"]
    assert damage(clean=True) == []


@pytest.mark.parametrize("slices", [1, 19, 20, 41, 59, 60, 100, 601])
def test_there_are_as_many_slices_as_asked_for(slices):
    patients = plan(slices, 0)
    assert sum(len(patient.slices) for patient in patients) == slices
    ids = {one.image_id for patient in patients for one in patient.slices}
    assert len(ids) == slices


def shares(slices: int, prevalence: str) -> dict[str, float]:
    """Shares of the single-type slices, from a coarse drawing of every slice without noise."""
    line = np.arange(-120, 120, 2.0)
    counts = Counter()
    for patient in plan(slices, 0, prevalence):
        for one in patient.slices:
            points = fields(patient.head, line, line, one.height_mm, patient.slice_mm)
            _, areas = render(points, patient.bleeds, 4.0)
            counts["+".join(areas) or "none"] += 1
    single = {kind: counts[kind] for kind in ("none", *TYPES)}
    return {kind: count / sum(single.values()) for kind, count in single.items()}


def test_with_rsnas_prevalence_always_none_looks_as_strong_as_in_the_paper():
    table = table_1()
    total = sum(row["total"] for row in table.values())
    for kind, share in PREVALENCE["rsna"].items():
        assert share == pytest.approx(table[kind]["total"] / total, abs=5e-5)
    assert shares(1200, "rsna")["none"] == pytest.approx(161_217 / 180_180, abs=0.03)


def test_the_teaching_mix_has_enough_of_every_type():
    mix = shares(600, "teaching")
    assert 0.35 < mix["none"] < 0.6
    assert min(mix[kind] for kind in TYPES) > 0.05


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        make_phantom(tmp_path / "file", 10, 0)
    with pytest.raises(InputError, match="holds other files"):
        make_phantom(tmp_path / "full", 10, 0)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    make_phantom(tmp_path / "done", 2, 0)
    assert len(make_phantom(tmp_path / "done", 2, 0)) == 2
    with pytest.raises(InputError, match="other settings"):
        make_phantom(tmp_path / "done", 3, 0)
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(InputError, match=r"needs 5 MB, the disk has 1 MB free"):
            make_phantom(tmp_path / "none", 10, 0)
    assert len(make_phantom(tmp_path / "none", 2, 0)) == 2, "with room again the same folder will do"


def test_a_folder_is_one_processes_and_a_kill_does_not_block_it(never_killed, tmp_path):
    out = tmp_path / "p"
    command = [sys.executable, "-m", "ich_jax.phantom", "--out", str(out)]
    command += ["--slices", "25", "--seed", "4", "--workers", "1"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / "unfinished.csv").exists():
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)
    second = subprocess.run(command, capture_output=True, text=True)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "another process is working in this folder" in second.stderr
    first.kill()
    first.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert contents(out) == contents(never_killed)


@pytest.mark.parametrize("name", ["phantom.json", "truth.csv", "unfinished.csv"])
@pytest.mark.parametrize("content", ["", "[1]", "{", "a,b,c\n1,2\n"])
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    out = tmp_path / "p"
    make_phantom(out, 2, 0)
    if name == "unfinished.csv":
        (out / "phantom.json").unlink()
    (out / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        make_phantom(out, 2, 0)


def test_the_command(tmp_path, capsys):
    __main__.main(["--out", str(tmp_path / "p"), "--slices", "100", "--workers", "2", "--prevalence", "rsna"])
    out = capsys.readouterr().out
    assert "100 synthetic slices of 3 patients" in out
    assert "(truncated)" in out
    assert "(noise)" in out
    info = json.loads((tmp_path / "p" / "phantom.json").read_text(encoding="utf-8"))
    assert info["settings"]["prevalence"] == "rsna"
    assert sum(info["counts"].values()) == 100


@pytest.fixture
def small_default(narrow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(dataset.DEFAULT, "slices", 110)
    monkeypatch.setattr(dataset, "DEFAULT_IMAGE_SIZE", 32)
    return tmp_path


def test_without_data_it_trains_on_a_phantom_and_says_so(small_default, capsys):
    run = train.main(["--epochs", "1"])
    out = capsys.readouterr().out
    assert "making a PHANTOM, 110 synthetic slices" in out
    assert "data        PHANTOM" in out
    assert "not as in the paper: synthetic data (RSNA 2019), batch size 8 (32)" in out
    assert "split patient (image)" in out
    assert "slices of PHANTOM (synthetic slices)" in out
    assert run.found.phantom
    assert run.settings.split == "patient"
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["phantom"] is True
    assert open_prepared("data/phantom/prepared").phantom
    images = (small_default / "data" / "phantom" / "prepared" / "images.npy").stat()
    train.main(["--epochs", "1", "--out", "again", "--seed", "1"])
    assert "making a PHANTOM" not in capsys.readouterr().out, "it is there already"
    assert (small_default / "data" / "phantom" / "prepared" / "images.npy").stat() == images
    evaluate.main(["again"])
    assert "PHANTOM" in capsys.readouterr().out
    assert open_prepared("data/phantom/prepared").info["phantom_generators"] == [str(GENERATOR)]
    shutil.rmtree("data/phantom/kaggle")
    assert dataset.phantom_data(), "where only what was prepared is left"


@pytest.mark.parametrize("said", [{}, {"phantom_generators": ["1"]}, {"phantom_generators": 2}])
def test_what_was_prepared_of_another_phantom_is_refused(tmp_path, said):
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "prepare.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(InputError, match=f"prepared: not of a phantom of generator {GENERATOR}; delete"):
        dataset.phantom_data(tmp_path)


def test_data_of_ones_own_gets_the_papers_settings(narrow, toy, tmp_path, capsys):
    run = train.main(["--data", str(toy), "--epochs", "1", "--out", str(tmp_path / "a")])
    assert (run.settings.learning_rate, run.settings.batch_size, run.settings.split) == (1e-5, 32, "image")
    assert "PHANTOM" not in capsys.readouterr().out
    command = ["--data", str(toy), "--preset", "phantom", "--epochs", "1", "--seed", "3", "--out", str(tmp_path / "b")]
    run = train.main(command)
    assert (run.settings.learning_rate, run.settings.split) == (PRESETS["phantom"]["learning_rate"], "patient")
    assert not run.found.phantom
    train.main([*command, "--resume"])
    with pytest.raises(InputError, match="was started with"):
        train.main([*command, "--resume", "--preset", "paper"])
