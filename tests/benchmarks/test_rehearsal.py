import subprocess
import sys
import zipfile
from collections import Counter

import numpy as np
import pytest

from benchmarks import rehearsal
from benchmarks.rehearsal import Stage, broken_bounds
from benchmarks.rsna_size import ARCHIVE, DUPLICATED_IDS, ENTRIES, PATIENTS, SIZE, RsnaSize
from ich_jax.data.dicom import read_stored
from ich_jax.data.labels import read_labels
from ich_jax.data.prepared import open_prepared
from ich_jax.data.preprocess import slice_to_image
from ich_jax.paper.printed import table_1
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json

pytestmark = pytest.mark.xdist_group("rehearsal")  # in one process, which prepares once

SHARE = "0.0005"


def rehearse(folder, *names: str, seconds: float = float("inf")) -> dict:
    """Stages of a small rehearsal, by default with no bound on the time: the machine may be busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "SECONDS", seconds)
        return rehearsal.main(["--folder", str(folder), "--share", SHARE, "--stages", *names])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small rehearsal's folder, up to the prepared folder, and what was measured."""
    folder = tmp_path_factory.mktemp("rehearsal")
    return folder, rehearse(folder, "labels", "zip", "begun", "prepare")


def test_the_made_up_data_have_the_real_ones_counts():
    data = RsnaSize()
    counts = Counter(data.types)
    assert (sum(counts.values()) + DUPLICATED_IDS) * 6 == 4_516_842
    for name, row in table_1().items():
        assert counts[() if name == "none" else (name,)] == row["total"] - (DUPLICATED_IDS if name == "none" else 0)
    used = np.array([len(types) < 2 for types in data.types])
    assert used.sum() == 720_729
    assert len(np.unique(data.patient[used])) == PATIENTS
    assert len({data.image_id(number) for number in range(len(used))}) == len(used)


def test_prepare_finishes_the_folder_that_was_begun(small):
    folder, _ = small
    data, prepared = RsnaSize(float(SHARE)), open_prepared(folder / "prepared")
    expected = {types[0] if types else "none": count for types, count in data.counts.items() if len(types) < 2}
    assert prepared.info["counts"]["per_class"] == expected
    assert prepared.info["counts"]["rejected"] == data.counts["subarachnoid", "subdural"]
    assert prepared.phantom
    patient = dict(zip(prepared.image_ids.tolist(), prepared.patient_ids.tolist(), strict=True))
    assert all(
        patient[data.image_id(number)] == data.identity(number).patient_id for number in (0, len(data.types) - 1)
    )
    rows = {image_id: row for row, image_id in enumerate(prepared.image_ids.tolist())}
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        files = {info.filename[-16:-4]: info for info in archive.infolist() if info.file_size}
        assert len(archive.infolist()) == data.scaled(ENTRIES)
        for number in data.existing:
            stored = read_stored(archive.read(files[data.image_id(number)]))
            np.testing.assert_array_equal(prepared.images[rows[data.image_id(number)]], slice_to_image(stored, SIZE))


def test_four_slices_are_in_the_label_file_twice(small):
    folder, _ = small
    labels = read_labels(folder / "stage_2_train.csv")
    assert [labels.image_class[image_id] for image_id in labels.duplicates] == ["none"] * 4


def test_stages_can_be_run_one_by_one(small, capsys):
    folder, before = small
    after = rehearse(folder, "labels")
    assert {name: after["stages"][name] for name in ("zip", "begun", "prepare")} == {
        name: before["stages"][name] for name in ("zip", "begun", "prepare")
    }
    assert after == read_json(folder / "measured.json")
    assert all(found["peak_memory_bytes"] > 1e7 for found in after["stages"].values())
    assert "prepare: goes on there" in capsys.readouterr().out


def test_a_broken_bound_is_named_and_the_exit_code_is_1(small, capsys):
    with pytest.raises(SystemExit) as caught:
        rehearse(small[0], "labels", seconds=0)
    assert caught.value.code == 1
    assert "bound broken: labels took" in capsys.readouterr().out


def test_training_is_bound_in_memory_only():
    planned = [Stage("a", "", []), Stage("b", "", [], trains=True)]
    found = {name: {"seconds": 61, "peak_memory_bytes": 2.1e9} for name in "ab"}
    assert broken_bounds(planned, found) == [
        "a took 2.10 GB, the bound is 2 GB",
        "a took 61 s, the bound is 60 s",
        "b took 2.10 GB, the bound is 2 GB",
    ]
    assert not broken_bounds(planned, {name: {"seconds": 60, "peak_memory_bytes": 2e9} for name in "ab"})


def test_a_childs_memory_counts():
    child = "b'x' * 300_000_000"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    process = subprocess.Popen([sys.executable, "-c", parent])
    used = rehearsal.wait(process, "parent")
    assert process.returncode == 0
    assert used.ru_maxrss > (3e8 if sys.platform == "darwin" else 3e8 / 1024)


def test_a_stage_that_fails_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"evaluate failed with exit code 2: error: .*run: not a run folder"):
        rehearse(tmp_path, "evaluate")


@pytest.mark.slow
def test_a_narrow_network_is_trained_and_evaluated(small):
    folder, _ = small
    rehearse(folder, "train", "evaluate")
    assert (folder / "run" / "validation" / "metrics.json").exists()
