import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import transfer
from benchmarks.answers import Answers, ask, clip_to_brain_window
from ich_jax.data.dicom import read_stored
from ich_jax.data.prepared import open_prepared
from ich_jax.data.preprocess import slice_to_image
from ich_jax.data.source import open_source
from ich_jax.paper.early_stopping import EarlyStopping
from ich_jax.paper.printed import CLASSES
from ich_jax.phantom.dataset import make_phantom
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json
from ich_jax.training import checkpoint
from ich_jax.training.config import Found, Settings, write_config
from ich_jax.training.inference import predict
from ich_jax.training.loop import Progress
from ich_jax.training.network import build, weights_key
from ich_jax.training.run import open_run
from tests.make import make_dicom, make_prepared, write_labels

SEVERAL = ("epidural", "subdural")


def make_run(folder: Path, seed: int = 0, size: int = 32, data: str = "toy") -> Path:
    """A run whose weights are as they were drawn."""
    settings = Settings(epochs=1, seed=seed)
    slices = {"train": 48, "validation": 24, "test": 24}
    fingerprint = "abc" if data == "toy" else open_prepared(data).fingerprint
    found = Found(data, "PHANTOM (toy)", True, fingerprint, size, slices, "cpu")
    network = build(settings, found)
    progress = Progress(network.draw(weights_key(settings)), [{"epoch": 1}], EarlyStopping(3).after(1.0))
    folder.mkdir()
    write_config(folder, settings, found)
    checkpoint.save(folder / "checkpoint", progress, settings, found)
    return folder


@pytest.fixture(scope="module")
def runs(narrow, tmp_path_factory) -> list[Path]:
    """Two seeds of a narrow network."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / f"seed-{seed}", seed) for seed in range(2)]


def make_source(folder: Path, types: list[tuple[str, ...]], patients: list[str] | None = None) -> Path:
    """A Kaggle-shaped folder of smooth slices, each brighter than the one before."""
    (folder / "stage_2_train").mkdir(parents=True)
    for k in range(len(types)):
        stored = np.add.outer(np.arange(40), np.arange(40)).astype(np.int16) + 1000 + 5 * k
        patient = patients[k] if patients else f"patient {k}"
        data = make_dicom(
            stored, SOPInstanceUID=f"ID_{k}", PatientID=patient, drop=() if patient else ("StudyInstanceUID",)
        )
        (folder / "stage_2_train" / f"ID_{k}.dcm").write_bytes(data)
    write_labels(folder / "stage_2_train.csv", {f"ID_{k}": types[k] for k in range(len(types))})
    return folder


def answers(p_any: np.ndarray, truth: list[tuple[str, ...]], patients: list[str]) -> Answers:
    """Answers of one network whose probability of any hemorrhage is given, and evenly spread over the types."""
    p = np.repeat(p_any[:, None] / 5, 6, axis=1)
    p[:, 0] = 1 - p_any
    present = np.array([[name in (types or ("none",)) for name in CLASSES] for types in truth])
    return Answers([], present, patients, 0, np.log(p)[None], False, {})


def test_slices_with_several_types_count_for_each(runs, tmp_path):
    source = make_source(tmp_path / "source", [(), ("epidural",), SEVERAL, ("subdural",)])
    result = transfer.main([*map(str, runs), str(source)])
    positive = {name: row["positive"] for name, row in result["auc"].items()}
    assert positive == dict.fromkeys(CLASSES[1:], 0) | {"any": 3, "epidural": 2, "subdural": 2}
    assert not result["left_out"]
    row = result["auc"]["any"]
    assert (row["mean"], row["standard_deviation"]) == pytest.approx(
        (np.mean(row["values"]), np.std(row["values"], ddof=1))
    )


def test_every_auc_is_of_the_probability_that_predict_gives(runs, tmp_path):
    types = [(), (), ("epidural",), SEVERAL, ("subdural",), ()]
    source = make_source(tmp_path / "source", types)
    result = transfer.main([*map(str, runs), str(source)])
    for number, folder in enumerate(runs):
        run = open_run(folder)
        files = sorted((source / "stage_2_train").iterdir())
        p = [one["probabilities"] for one in predict(run.network, run.state, run.found.image_size, files)]
        for name in ("any", "epidural", "subdural"):
            scores = [1 - one["none"] if name == "any" else one[name] for one in p]
            truth = [bool(present) if name == "any" else name in present for present in types]
            pairs = [(a > b) + (a == b) / 2 for a, x in zip(scores, truth, strict=True) if x
                     for b, y in zip(scores, truth, strict=True) if not y]  # fmt: skip
            assert result["auc"][name]["values"][number] == pytest.approx(np.mean(pairs)), name
        assert result["any"]["mean probability"]["values"][number] == pytest.approx(np.mean([1 - q["none"] for q in p]))


def test_figures_of_any_hemorrhage_by_hand():
    p = np.array([0.05, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.6, 0.7, 0.65, 0.5, 0.9])
    positive = np.arange(13) >= 10
    assert transfer.any_figures(positive, p) == pytest.approx(
        {
            "sensitivity at 0.5": 2 / 3,
            "specificity at 0.5": 8 / 10,
            "sensitivity at specificity 0.9": 2 / 3,  # above 0.6, as one of the ten without may be
            # Bins of a fifteenth: 0.05; 0.1; 0.2 0.2 (from 3/15); 0.3 0.3; 0.4 0.4; 0.5; 0.6 0.65; 0.7; 0.9
            "expected calibration error, 15 bins": (0.05 + 0.1 + 0.4 + 0.6 + 0.8 + 0.5 + 0.25 + 0.7 + 0.1) / 13,
            "mean probability": p.mean(),
        }
    )


def test_no_more_than_a_tenth_of_the_slices_without_lie_above_the_threshold_of_specificity():
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.8, 0.9])  # of five without, none may lie above
    figures = transfer.any_figures(np.array([False] * 5 + [True]), p)
    assert figures["sensitivity at specificity 0.9"] == 1
    assert (
        transfer.any_figures(np.array([False] * 5 + [True]), np.append(p[:5], 0.8))["sensitivity at specificity 0.9"]
        == 0
    )


def test_the_interval_is_over_patients():
    rng = np.random.default_rng(0)
    bleeding = np.repeat(rng.random(40) < 0.5, 25)
    p = np.clip(np.repeat(0.3 + 0.2 * rng.random(40), 25) + 0.1 * bleeding, 0, 1)
    truth = [("subdural",) if one else () for one in bleeding]

    def width(patients: list[str], seed: int = 0) -> float:
        low, high = transfer.measure(answers(p, truth, patients), seed)["auc"]["any"]["intervals"][0]
        assert low < high
        return high - low

    by_patient = width([f"patient {k // 25}" for k in range(1000)])
    assert by_patient > 3 * width([""] * 1000), "slices that name no patient are drawn one by one"
    assert by_patient == width([f"patient {k // 25}" for k in range(1000)])
    assert by_patient != width([f"patient {k // 25}" for k in range(1000)], seed=1)


def test_draws_without_both_kinds_are_left_out_and_counted():
    truth = [("subdural",)] * 5 + [()] * 5
    found = transfer.measure(answers(np.linspace(0.9, 0.1, 10), truth, list("aaaaabcdef")))
    assert found["draws"] == 1000
    assert found["auc"]["any"]["draws_left_out"] == pytest.approx(1000 * ((5 / 6) ** 6 + (1 / 6) ** 6), rel=0.1)
    assert found["auc"]["any"]["intervals"] == [(1.0, 1.0)]


def test_a_few_slices_of_a_kind_have_no_interval():
    found = transfer.measure(answers(np.linspace(0.9, 0.1, 10), [("subdural",)] * 4 + [()] * 6, list("abcdefghij")))
    assert found["auc"]["any"]["values"] == [1.0]
    assert found["auc"]["any"]["intervals"] == [None]
    assert found["auc"]["any"]["interval_of_mean"] is None


@pytest.mark.parametrize("slope", ["1", "0.5"])
@pytest.mark.parametrize("shape", [(40, 40), (30, 50)])
def test_the_brain_window_only_is_what_a_clipped_slice_gives(slope, shape):
    hu = np.linspace(-1000, 1000, shape[0] * shape[1]).reshape(shape).round()
    stored = (hu / float(slope)).astype(np.int16)
    raw = read_stored(make_dicom(stored, RescaleIntercept="0", RescaleSlope=slope))
    # A square of air around it, as far as the brain window tells.
    square = np.zeros((max(shape), max(shape)), np.int16)
    top, left = (max(shape) - shape[0]) // 2, (max(shape) - shape[1]) // 2
    square[top : top + shape[0], left : left + shape[1]] = np.clip(stored * float(slope), 0, 80) / float(slope)
    clipped = read_stored(make_dicom(square, RescaleIntercept="0", RescaleSlope=slope))
    image = slice_to_image(clip_to_brain_window(raw), 32)
    np.testing.assert_array_equal(image, slice_to_image(clipped, 32))
    np.testing.assert_array_equal(image.reshape(-1, 3).min(axis=0), [0, 26, 73])  # 0 HU in each window
    assert (image != slice_to_image(raw, 32)).any()


def test_what_is_left_out_is_counted(runs, tmp_path, capsys):
    source = make_source(tmp_path / "source", [(), ("epidural",), (), (), ()])
    slices = source / "stage_2_train"
    slices.joinpath("ID_2.dcm").write_bytes(make_dicom()[:300])
    slices.joinpath("ID_3.dcm").write_bytes(make_dicom(Modality="MR"))
    slices.joinpath("ID_4.dcm").unlink()
    slices.joinpath("ID_new.dcm").write_bytes(make_dicom())
    result = transfer.main([str(runs[0]), str(source)])
    assert result["left_out"] == {"missing": 1, "no axial CT slice": 1, "unlabelled": 1, "unreadable": 1}
    assert result["slices"] == 2
    said = capsys.readouterr()
    assert "left out: 1 missing, 1 no axial CT slice, 1 unlabelled, 1 unreadable" in said.out
    assert "ID_2.dcm: unreadable: " in said.err
    assert "ID_3.dcm: no axial CT slice: " in said.err


@pytest.mark.parametrize("types", [[(), (), ()], [("epidural",), ("subdural",), SEVERAL]], ids=["no", "only"])
def test_sources_of_one_kind_have_no_auc(runs, tmp_path, capsys, types):
    result = transfer.main([*map(str, runs), str(make_source(tmp_path / "source", types))])
    assert result["auc"]["any"]["values"] == [None, None]
    assert result["auc"]["any"]["mean"] is None
    sensitivity, specificity = (result["any"][f"{name} at 0.5"]["mean"] for name in ("sensitivity", "specificity"))
    assert (sensitivity is None) == (types[0] == ())
    assert (specificity is None) == (types[0] != ())
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  any "))
    assert line.count("needs both kinds") == 3


def test_one_patient_has_no_interval(runs, tmp_path, capsys):
    source = make_source(tmp_path / "source", [(), ("epidural",), ()], ["one"] * 3)
    result = transfer.main([str(runs[0]), str(source)])
    assert result["auc"]["any"]["intervals"] == [None]
    assert result["auc"]["any"]["values"][0] in (0, 0.5, 1)
    assert "one patient: no intervals" in capsys.readouterr().out


def test_slices_that_name_no_patient_are_told(runs, tmp_path, capsys):
    source = make_source(tmp_path / "source", [(), ("epidural",), ()], ["a", "", ""])
    only_a_study = make_dicom(np.add.outer(*[np.arange(40, dtype=np.int16)] * 2), drop=("PatientID",))
    (source / "stage_2_train" / "ID_2.dcm").write_bytes(only_a_study)
    result = transfer.main([str(runs[0]), str(source)])
    assert (result["patients"], result["nameless"], result["studies_for_patients"]) == (3, 1, 1)
    said = capsys.readouterr().out
    assert "1 slices name neither patient nor study; each counts as one patient" in said
    assert "1 slices have no PatientID; their study counts as the patient" in said


def test_the_draws_fit_into_memory_however_many_patients_there_are(monkeypatch):
    monkeypatch.setattr(transfer, "DRAWN", 100)
    found = transfer.measure(answers(np.linspace(0.1, 0.9, 10), [(), ("subdural",)] * 5, list("abcdefghij")))
    assert found["draws"] == 10


def test_more_processes_give_the_same(runs, tmp_path):
    source = open_source(make_source(tmp_path / "source", [(), SEVERAL] * 20))
    opened = [open_run(run) for run in runs]
    one, two = (ask(opened, source, workers=workers) for workers in (1, 2))
    assert one.logits.shape == (2, 40, 6)
    np.testing.assert_array_equal(one.logits, two.logits)
    assert one._replace(logits=0, truth=0) == two._replace(logits=0, truth=0)


def test_the_surest_mistakes_are_the_furthest_from_the_truth(runs, tmp_path):
    members = sorted((make_source(tmp_path / "source", [()] * 4) / "stage_2_train").iterdir())
    found = answers(np.array([0.9, 0.05, 0.8, 0.4]), [(), SEVERAL, SEVERAL, ()], list("abcd"))
    images, titles, mistakes = transfer.surest_mistakes(found._replace(members=members))
    assert mistakes == 2
    assert titles == ["epidural + subdural\np(any) 0.050", "none\np(any) 0.900"]
    assert [image.shape for image in images] == [(40, 40)] * 2
    assert images[0].mean() > images[1].mean()


def test_from_phantom_to_file_and_picture(runs, tmp_path, capsys):
    make_phantom(tmp_path / "phantom", slices=24, seed=3)
    command = [
        *map(str, runs),
        str(tmp_path / "phantom"),
        "--json",
        str(tmp_path),
        "--picture",
        str(tmp_path / "a.png"),
    ]
    plain = transfer.main(command)
    clipped = transfer.main([*command, "--brain-window-only"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("phantom (PHANTOM): 2 networks trained on PHANTOM (toy); ")
    assert said[0].endswith("; never for diagnosis")
    assert plain["slices"] + sum(plain["left_out"].values()) >= 24
    assert plain["any"] != clipped["any"]
    (saved,) = tmp_path.glob("*.json")
    written = read_json(saved)
    assert written["transfer"]["any"] == plain["any"]
    assert written["transfer_brain_window_only"]["any"] == clipped["any"]
    assert np.asarray(Image.open(tmp_path / "a.png")).std() > 0


def test_what_cannot_be_asked_is_one_line(runs, tmp_path):
    source = make_source(tmp_path / "source", [(), SEVERAL])
    with pytest.raises(InputError, match="not a run folder"):
        transfer.main([str(tmp_path / "gone"), str(source)])
    with pytest.raises(InputError, match="a run is given twice"):
        transfer.main([str(runs[0]), str(runs[0]), str(source)])
    with pytest.raises(InputError, match="there is no folder"):
        transfer.main([str(runs[0]), str(source), "--picture", "nowhere/a.png"])
    other = make_run(tmp_path / "other", size=16)
    with pytest.raises(InputError, match=r"other: has images of 16 pixels, .*seed-0 of 32"):
        transfer.main([str(runs[0]), str(other), str(source)])
    (source / "stage_2_train.csv").rename(tmp_path / "labels.csv")
    with pytest.raises(InputError, match=r"stage_2_train.csv; give the label file with --labels"):
        transfer.main([str(runs[0]), str(source)])
    for path in (source / "stage_2_train").iterdir():
        path.write_bytes(make_dicom()[:300])
    with pytest.raises(InputError, match="none of its labelled slices can be read"):
        transfer.main([str(runs[0]), str(source), "--labels", str(tmp_path / "labels.csv")])


def test_a_command_that_cannot_start_has_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "benchmarks.transfer", "gone", str(make_source(tmp_path / "source", [()]))]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: gone: not a run folder")
    assert finished.stderr.count("\n") == 1


def test_slices_that_a_network_was_trained_with_are_told(runs, tmp_path, capsys):
    source = make_source(tmp_path / "source", [(), SEVERAL])
    transfer.main([str(runs[0]), str(source)])
    assert "CAUTION" not in capsys.readouterr().out
    run = make_run(tmp_path / "run", data=str(make_prepared(tmp_path / "prepared", count=8)))
    (source / "stage_2_train" / "ID_0.dcm").rename(source / "stage_2_train" / "ID_0003.dcm")
    write_labels(source / "stage_2_train.csv", {"ID_0003": (), "ID_1": SEVERAL})
    assert transfer.main([str(run), str(source)])["in_the_networks_data"] == 1
    assert "CAUTION: 1 of the source's slices are in the data set" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "prepared")
    make_prepared(tmp_path / "prepared", count=12)
    assert transfer.main([str(run), str(source)])["in_the_networks_data"] == 0, "other data in the same place"


def test_real_slices(runs, rsna_sample, capsys):
    result = transfer.main([*map(str, runs), str(rsna_sample)])
    assert (result["slices"], result["left_out"]) == (26, {"unlabelled": 12})
    positive = {name: row["positive"] for name, row in result["auc"].items()}
    assert positive["any"] == 9
    assert positive["epidural"] == 1
    assert sum(positive.values()) - 9 > 9, "four slices have several types"
    assert "12 unlabelled" in capsys.readouterr().out
