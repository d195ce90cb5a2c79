import json
import os
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ich_jax.data.prepared import open_prepared
from ich_jax.models import as_onnx
from ich_jax.models.proposed import ProposedCNN
from ich_jax.paper.metrics import log_softmax
from ich_jax.plumbing.command import InputError
from ich_jax.results import sharing
from ich_jax.results.model_card import model_card
from ich_jax.results.sharing import ONNX, how_it_was_tested, share
from ich_jax.training.config import SHARED as MODEL
from ich_jax.training.config import Settings
from ich_jax.training.inference import answer
from ich_jax.training.run import open_run, train
from ich_jax.training.shared import open_trained, write_shared
from tests.make import make_prepared

pytestmark = pytest.mark.usefixtures("narrow")

SETTINGS = Settings(batch_size=20, learning_rate=1e-2, epochs=2, decay="cosine", split="patient")


def quietly(*args, **kwargs) -> Path:
    return share(*args, say=lambda _: None, **kwargs)


@pytest.fixture(scope="module")
def finished(narrow, toy, tmp_path_factory) -> Path:
    return train(SETTINGS, toy, tmp_path_factory.mktemp("runs") / "finished", say=lambda _: None).folder


@pytest.fixture(scope="module")
def shared(finished, tmp_path_factory) -> Path:
    return quietly(finished, tmp_path_factory.mktemp("shared") / "toy_network", onnx=True)


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """The finished run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def page(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_it_holds_four_files_and_answers_as_the_run(finished, shared, toy):
    assert sorted(os.listdir(shared)) == ["README.md", "config.json", ONNX, MODEL]
    prepared, rows = open_prepared(toy), np.arange(40)
    run, read = open_run(finished), open_trained(shared)
    ours, theirs = (answer(one.network, one.state, prepared, rows, "test") for one in (run, read))
    np.testing.assert_array_equal(ours, theirs)
    session = onnxruntime.InferenceSession(shared / ONNX, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": np.asarray(prepared.images[rows])})
    np.testing.assert_allclose(probabilities, np.exp(log_softmax(ours)), atol=1e-5, rtol=0)
    assert len(np.unique(ours, axis=0)) > 1, "the images make a difference"


def test_the_same_run_gives_the_same_bytes(finished, shared, tmp_path):
    again = quietly(finished, tmp_path / "again", onnx=True)
    for name in os.listdir(shared):
        assert (again / name).read_bytes() == (shared / name).read_bytes(), name


def test_it_names_no_patient_slice_or_path(finished, shared, toy):
    prepared = open_prepared(toy)
    names = {*prepared.patient_ids.tolist(), *prepared.image_ids.tolist(), "study ", "hash "}
    names |= {str(toy), str(finished), str(Path.cwd()), str(Path.home()), str(shared.parent)}
    assert len(names) > 100
    for path in shared.iterdir():
        content = path.read_bytes()
        assert not [name for name in names if name.encode() in content], path
    assert json.loads((shared / "config.json").read_text(encoding="utf-8"))["found"]["data"] == "toy"


def test_the_card_is_filled_from_the_run(finished, shared):
    metrics = json.loads((finished / "metrics.json").read_text(encoding="utf-8"))
    text = page(shared)
    for words in (
        "data: `toy`",
        "48 train, 24 validation, 24 test; split by patient",
        "24 slices of 6 patients",
        "95 % intervals",
        f"| accuracy | {metrics['accuracy']:.3f} (",
        f"| any-hemorrhage sensitivity | {metrics['any_sensitivity']:.3f} (",
        f"| epidural | {metrics['per_class']['epidural']['support']} |",
        f"| {MODEL} | {(shared / MODEL).stat().st_size:,} |",
        "Never use it on, or to decide about, a patient",
        "best epoch",
    ):
        assert words in text, words
    assert "PHANTOM" not in text
    assert "None" not in text


def test_a_phantoms_says_so_everywhere(finished, tmp_path):
    run = open_run(finished)
    found = replace(run.found, phantom=True, title="PHANTOM (synthetic slices)")
    run = replace(run, found=found)
    write_shared(tmp_path, run)
    (tmp_path / ONNX).write_bytes(sharing._as_onnx(run))
    for path in tmp_path.iterdir():
        assert b"PHANTOM" in path.read_bytes(), path
    lines = model_card(run, how_it_was_tested(run), {}).splitlines()
    assert lines[0].startswith("# PHANTOM: ")
    assert next(line for line in lines if line.startswith("## ")).startswith("## PHANTOM: ")
    heads = [above for above, line in pairwise(lines) if line.startswith("|---")]
    assert [head.partition(" | ")[0] for head in heads] == ["| PHANTOM", "| PHANTOM", "| file"]


def test_where_metrics_are_missing_the_card_says_why(copy, toy, tmp_path):
    metrics = json.loads((copy / "metrics.json").read_text(encoding="utf-8"))
    (copy / "metrics.json").write_text(json.dumps(metrics | {"epochs": 1}), encoding="utf-8")
    assert "Nobody knows: it was evaluated at an earlier epoch only" in page(quietly(copy, tmp_path / "earlier"))
    (copy / "metrics.json").unlink()
    text = page(quietly(copy, tmp_path / "none"))
    assert "Nobody knows: it was not evaluated" in text
    assert "accuracy" not in text


def test_intervals_need_the_data(copy, toy, tmp_path, capsys):
    config = (copy / "config.json").read_text(encoding="utf-8")
    (copy / "config.json").write_text(config.replace(str(toy), str(tmp_path / "gone")), encoding="utf-8")
    share(copy, tmp_path / "without")
    assert "without intervals: its data set was not at hand" in capsys.readouterr().out
    accuracy = json.loads((copy / "metrics.json").read_text(encoding="utf-8"))["accuracy"]
    assert f"| accuracy | {accuracy:.3f} |" in page(tmp_path / "without")
    assert "1,000 bootstrap draws" in page(quietly(copy, tmp_path / "with", toy))
    other = make_prepared(tmp_path / "other", seed=1, count=90)
    for wrong, words in ((other, "not the data set"), (tmp_path / "gone", "not a prepared folder")):
        with pytest.raises(InputError, match=words):
            quietly(copy, tmp_path / "wrong", wrong)
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("content", ["{", '{"epochs": 2, "best_epoch": 2}'])
def test_damaged_results_are_refused(copy, tmp_path, content):
    best = open_run(copy).stopping.best_epoch
    (copy / "metrics.json").write_text(content.replace('epoch": 2', f'epoch": {best}'), encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        quietly(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_title_is_one_line_of_code(finished):
    run = open_run(finished)
    run = replace(run, found=replace(run.found, title="a\n# b `c` <script>"))
    assert "- data: `a?# b ?c? <script>`\n" in model_card(run, how_it_was_tested(run), {})


def test_without_the_package_onnx_nothing_is_written(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install -r requirements-onnx.txt"):
        quietly(finished, tmp_path / "out", onnx=True)
    assert os.listdir(tmp_path) == []
    quietly(finished, tmp_path / "out")
    assert ONNX not in os.listdir(tmp_path / "out")


def test_a_network_without_a_graph_is_shared_without_onnx(finished, tmp_path, monkeypatch):
    monkeypatch.delitem(as_onnx.GRAPHS, ProposedCNN)
    with pytest.raises(InputError, match="no graph of proposed yet"):
        quietly(finished, tmp_path / "out", onnx=True)
    assert os.listdir(tmp_path) == []


def test_what_breaks_off_leaves_nothing(finished, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(as_onnx.GRAPHS, ProposedCNN, killed)
    with pytest.raises(KeyboardInterrupt):
        quietly(finished, tmp_path / "out", onnx=True)
    assert os.listdir(tmp_path) == []
