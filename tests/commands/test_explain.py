"""`python -m ich_jax.explain` with a narrow network: what it writes, and what it says where something is not there."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from ich_jax import explain, train
from ich_jax.plumbing.command import InputError
from ich_jax.results import explaining
from ich_jax.results.explainer import MAPS, RANDOM, SHUFFLED, TRAINED
from ich_jax.training import shuffled
from tests.make import make_dicom, make_prepared

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture(scope="module")
def run(narrow, toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--batch-size", "16", "--learning-rate", "1e-2", "--epochs", "2", "--norm-momentum", "0.5"]
    return train.main(["--data", str(toy), "--out", str(out), *options]).folder


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> Path:
    """A folder of two slices, a damaged one and one that is no axial CT."""
    folder = tmp_path_factory.mktemp("slices")
    rng = np.random.default_rng(0)
    for k, name in enumerate(("ID_0001", "$a$ <b>\u202e")):
        stored = rng.integers(1020, 1090, (40, 40)).astype(np.int16)
        stored[: 6 + k] = 0
        (folder / f"{name}.dcm").write_bytes(make_dicom(stored))
    (folder / "bad.dcm").write_bytes(b"no slice")
    (folder / "other.dcm").write_bytes(make_dicom(Modality="MR"))
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures take longer to draw than all else here."""
    monkeypatch.setattr(explaining.figures, "explanation_panels", lambda *_: Figure(figsize=(1, 1)))


def rows_of(out: Path) -> list[dict]:
    with open(out / "explain.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_numbers_and_a_table_and_the_damaged_file_is_told(run, slices, capsys, monkeypatch):
    titles, draw = [], explaining.figures.explanation_panels
    monkeypatch.setattr(
        explaining.figures, "explanation_panels", lambda *given: (titles.append(given[-1]), draw(*given))[1]
    )
    with pytest.raises(InputError, match="1 file could not be read; the others are explained"):
        explain.main([str(run), str(slices), "--out", "out"])
    said, told = capsys.readouterr()
    assert "training once on shuffled labels, " in said
    assert told.endswith(f"{slices / 'bad.dcm'}: not a DICOM file\n")
    assert "2 explained, 1 refused; left out: 1 no axial CT slice" in said
    assert sorted(os.listdir("out")) == ["001__a_b_.png", "002_ID_0001.png", "explain.csv", "explain.json"]
    assert all(title.startswith("Never for diagnosis.\n") for title in titles)
    rows = rows_of(Path("out"))
    pairs = [(row["map"], row["network"]) for row in rows if row["picture"] == "002_ID_0001.png"]
    assert pairs == [
        *((name, network) for name in MAPS for network in (TRAINED, RANDOM, SHUFFLED)),
        ("brightest pixels", ""),
        ("random box", ""),
    ]
    assert {row["mass_on_blood"] for row in rows} == {""}  # nobody knows
    gradient = [row for row in rows if row["map"] == "gradient"]
    assert all(0 < float(row["mass_outside_head"]) < 1 for row in gradient)
    assert [row["rank_correlation"] == "" for row in gradient] == [row["network"] == TRAINED for row in gradient]
    found = json.loads(Path("out/explain.json").read_text(encoding="utf-8"))
    assert (found["missing"], len(found["refused"])) == ([], 1)
    assert os.listdir() == ["out"]


def test_the_network_of_shuffled_labels_is_trained_once_and_then_needs_no_data(
    undrawn, run, slices, toy, tmp_path, capsys
):
    kept, file = tmp_path / "kept", str(slices / "ID_0001.dcm")
    explain.main([str(run), file, "--out", "first", "--shuffled", str(kept)])
    assert "training once on shuffled labels, " in capsys.readouterr().out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explaining, "open_same", None)
        explain.main([str(run), file, "--out", "second", "--shuffled", str(kept)])
    assert "training once" not in capsys.readouterr().out
    assert rows_of(Path("first")) == rows_of(Path("second"))


def test_without_data_it_goes_on_and_says_what_is_missing(undrawn, run, slices, tmp_path, capsys):
    moved = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns(shuffled.NAME))
    config = json.loads((moved / "config.json").read_text(encoding="utf-8"))
    config["found"]["data"] = str(tmp_path / "gone")
    (moved / "config.json").write_text(json.dumps(config), encoding="utf-8")
    file = str(slices / "ID_0001.dcm")
    explain.main([str(moved), file, "--out", "out"])
    said = capsys.readouterr().out
    assert said.count("shuffled labels: the run's data are not at hand, --data names them") == 2  # at first, at the end
    assert {row["network"] for row in rows_of(Path("out"))} == {TRAINED, RANDOM, ""}
    with pytest.raises(InputError, match="absent: not a prepared folder"):
        explain.main([str(moved), file, "--out", "other", "--data", "absent"])
    make_prepared(tmp_path / "another", 24, 32, seed=1)
    with pytest.raises(InputError, match="not the data set that this run was trained on"):
        explain.main([str(moved), file, "--out", "other", "--data", str(tmp_path / "another")])
    explain.main([str(moved), file, "--out", "asked", "--no-shuffled"])
    assert "missing: network of shuffled labels: --no-shuffled leaves it out" in capsys.readouterr().out
    assert sorted(os.listdir()) == ["asked", "out"]


def test_only_slices_of_a_part_and_only_so_many(undrawn, run, slices, toy, tmp_path):
    for k in range(96):
        (tmp_path / f"ID_{k:04}.dcm").write_bytes((slices / "ID_0001.dcm").read_bytes())
    explained = explain.main(
        [str(run), str(tmp_path), "--out", "out", "--part", "test", "--slices", "3", "--no-shuffled"]
    )
    chosen = {Path(row["file"]).stem for row in explained.rows}
    with open(run / "predictions.csv", encoding="utf-8", newline="") as file:
        assert chosen < {row["image_id"] for row in csv.DictReader(file)}
    assert len(chosen) == 3
    with pytest.raises(InputError, match="none of the files is named as a slice of the test part"):
        explain.main([str(run), str(slices / "bad.dcm"), "--out", "other", "--part", "test"])


def test_nothing_is_left_of_what_was_stopped_or_had_nothing_to_show(run, slices, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(InputError, match=r"bad\.dcm: not a DICOM file"):
        explain.main([str(run), str(slices / "bad.dcm"), "--out", "out", "--no-shuffled"])
    monkeypatch.setattr(explaining.figures, "explanation_panels", stop)
    with pytest.raises(KeyboardInterrupt):
        explain.main([str(run), str(slices / "ID_0001.dcm"), "--out", "out", "--no-shuffled"])
    assert os.listdir() == []


def test_a_folder_that_holds_something_is_left_alone(undrawn, run, slices, tmp_path):
    (tmp_path / "mine").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        explain.main([str(run), str(slices), "--out", str(tmp_path)])
    with pytest.raises(InputError, match="is no network of shuffled labels"):
        explain.main([str(run), str(slices), "--out", "out", "--shuffled", str(tmp_path)])
    assert os.listdir(tmp_path) == ["mine"]
    with pytest.raises(SystemExit) as caught:
        explain.main([str(run), str(slices), "--out", "out", "--percent", "0"])
    assert caught.value.code == 2


@pytest.mark.slow
def test_on_a_phantom_the_blood_is_known(undrawn, run, tmp_path, capsys):
    from ich_jax.phantom.dataset import make_phantom

    rows = make_phantom(tmp_path / "phantom", 12, seed=3)
    one = max(rows, key=lambda row: sum(row[5:10]))
    none = next(row for row in rows if not row.kinds)
    files = [str(tmp_path / "phantom" / "stage_2_train" / f"{row.image_id}.dcm") for row in (one, none)]
    explained = explain.main([str(run), *files, "--out", "out", "--no-shuffled"])
    shares = {(row["shows"], row["map"], row["network"]): row["mass_on_blood"] for row in explained.rows}
    assert 0 < shares[one.types, "random box", ""] < shares[one.types, "brightest pixels", ""] <= 1
    assert 0 < shares[one.types, "gradient", TRAINED] < 1
    assert np.isnan(shares["none", "gradient", TRAINED])
    assert "the slices with blood: 1" in capsys.readouterr().out
    assert [explaining._title(row, False).partition("\n")[0] for row in explained.rows[:1]] == [
        "PHANTOM, synthetic. Never for diagnosis."
    ]
    away = shutil.copy(files[0], tmp_path)
    explain.main([str(run), away, "--out", "away", "--no-shuffled"])
    assert "missing: blood: nobody knows where it is" in capsys.readouterr().out
