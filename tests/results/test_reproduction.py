import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ich_jax import reproduce
from ich_jax.data.preparing import prepare
from ich_jax.data.source import open_source
from ich_jax.paper import printed
from ich_jax.paper.printed import CLASSES
from ich_jax.phantom.dataset import make_phantom
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim
from ich_jax.results import reproduction
from ich_jax.results.reproduction import TRAININGS
from ich_jax.training import checkpoint
from ich_jax.training.outcome import is_finished

# In one process, which makes the phantom and compiles once.
pytestmark = [pytest.mark.xdist_group("reproduction"), pytest.mark.usefixtures("narrow")]

TABLES = [f"### Table {number}." for number in range(1, 10)]


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A prepared phantom of 160 slices at 32×32."""
    folder = tmp_path_factory.mktemp("reproduce")
    make_phantom(folder / "kaggle", 160, seed=0, workers=2)
    return prepare(open_source(folder / "kaggle"), folder / "phantom", size=32).path


def without_times(report: str) -> list[str]:
    """The report's lines but for the rows of Table 4."""
    start = report.index("### Table 4.")
    return (report[:start] + report[report.index("### Table 5.") :]).splitlines()


@pytest.mark.slow
def test_a_whole_reproduction_on_the_phantom(phantom, tmp_path, capsys):
    sizes = ["--epochs", "1", "--limit", "120"]
    results = reproduce.main(["--data", str(phantom), "--out", str(tmp_path / "out"), *sizes])
    assert list(results) == [training.name for training in TRAININGS]
    for training in TRAININGS:
        settings = results[training.name].settings
        assert (settings.model, settings.batch_size, settings.split) == training[1:]
        assert (tmp_path / "out" / "runs" / training.name / "metrics.json").exists()
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert report.splitlines()[0].startswith("**Ran on PHANTOM")
    titles = [line for line in report.splitlines() if line.startswith("###")]
    assert all(any(title.startswith(table) for title in titles) for table in TABLES)
    assert all("PHANTOM" in title for title in titles)
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", report)
    assert len(pictures) == 7  # Figs. 5 and 6, four confusion matrices, reliability
    for caption, path in pictures:
        assert "PHANTOM" in caption
        assert (tmp_path / "out" / path).read_bytes().startswith(b"\x89PNG")
    for network in printed.NETWORKS:  # printed, audited and ours side by side
        ours = results[f"{network}-8"].metrics["recall_weighted"]
        theirs = printed.table_5()[network]["recall"]
        rows = [line for line in report.splitlines() if "weighted recall |" in line]
        assert any(f"| {theirs:.4f} |" in row and f"| {ours:.4f} |" in row for row in rows)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 7
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert html.index("Ran on PHANTOM") < html.index("<h1>")
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html)
    assert "644,874" in report, "the audit's findings"


@pytest.fixture(scope="module")
def small(narrow, phantom, tmp_path_factory):
    """The proposed network's part of a reproduction: (arguments, report)."""
    out = tmp_path_factory.mktemp("reproduce") / "whole"
    arguments = ["--data", str(phantom), "--models", "proposed", "--epochs", "1", "--limit", "120"]
    reproduce.main([*arguments, "--out", str(out)])
    return arguments, (out / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("training_of_death", [1, 2, 3])
def test_killed_and_run_again_it_ends_with_the_same_report(small, tmp_path, monkeypatch, training_of_death):
    arguments, whole = small
    arguments = [*arguments, "--out", str(tmp_path / "killed")]
    save, saved = checkpoint.save, []

    def deadly(*args):
        save(*args)
        saved.append(args)
        if len(saved) == training_of_death:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", deadly)
        with pytest.raises(Killed):
            reproduce.main(arguments)
    assert not (tmp_path / "killed" / "report.md").exists()
    again = []
    monkeypatch.setattr(checkpoint, "save", lambda *args: (again.append(args), save(*args)))
    reproduce.main(arguments)
    assert len(saved) + len(again) == 3, "no finished epoch was run again"
    assert without_times((tmp_path / "killed" / "report.md").read_text(encoding="utf-8")) == without_times(whole)


@pytest.mark.slow
def test_a_folder_is_one_processes_and_a_kill_does_not_block_it(small, tmp_path):
    arguments, _ = small
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ich_jax.reproduce", *arguments, "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / "runs").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGSTOP)
    second = subprocess.run(command, capture_output=True, text=True)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "another process is working in this folder" in second.stderr
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (out / ".lock").exists(), "left by the kill"
    with claim(out):
        pass


def test_what_is_finished_is_not_run_again_and_other_settings_are_refused(small, tmp_path, monkeypatch, capsys):
    arguments, _ = small
    arguments = [*arguments, "--out", str(tmp_path / "out")]
    results = reproduce.main(arguments)
    assert all(len(result.actual) < 40 for result in results.values()), "--limit"
    monkeypatch.setattr(reproduction, "train", lambda *_, **__: pytest.fail("trained again"))
    reproduce.main(arguments)
    assert "finished before" in capsys.readouterr().out
    for other in (["--epochs", "2"], ["--limit", "100"], ["--seed", "1"], ["--split-seed", "1"], ["--preset", "paper"]):
        with pytest.raises(InputError, match="other settings or data"):
            reproduce.main([*arguments, *other])
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        reproduce.main([*arguments[:-1], str(tmp_path / "thesis")])


def test_data_that_are_no_phantom_get_the_papers_settings(toy, tmp_path):
    results = reproduce.main(
        ["--data", str(toy), "--out", str(tmp_path / "out"), "--models", "proposed", "--epochs", "1"]
    )
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "PHANTOM" not in report
    assert report.startswith("**Ran on toy: 96 slices of 24 patients, 32×32 pixels.**")
    assert {result.settings.learning_rate for result in results.values()} == {printed.LEARNING_RATE}
    assert json.loads((tmp_path / "out" / "reproduce.json").read_text(encoding="utf-8"))["preset"] == "paper"
    counts = np.bincount(results["proposed-8"].actual, minlength=len(CLASSES))
    assert counts.sum() == len(results["proposed-8"].patients)


def test_a_training_cut_off_early_does_not_count_as_finished(small, tmp_path):
    """Though `evaluate` may have written its metrics."""
    arguments, _ = small
    out = tmp_path / "out"
    reproduce.main([*arguments, "--out", str(out)])
    metrics = out / "runs" / "proposed-8" / "metrics.json"
    assert is_finished(metrics.parent)
    metrics.write_text(json.dumps(json.loads(metrics.read_text(encoding="utf-8")) | {"finished": False}))
    assert not is_finished(metrics.parent)
    for name in ("metrics.json", "predictions.csv", "history.csv"):
        path = metrics.parent / name
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole[: len(whole) // 2], encoding="utf-8")
        with pytest.raises(InputError, match="damaged"):
            reproduce.main([*arguments, "--out", str(out)])
        path.write_text(whole.replace('"finished": false', '"finished": true'), encoding="utf-8")
    (out / "reproduce.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match=r"reproduce.json: damaged"):
        reproduce.main([*arguments, "--out", str(out)])


def test_too_few_slices_are_said_before_anything_is_trained(toy, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="too few"):
        reproduce.main(["--data", str(toy), "--out", str(out), "--limit", "3"])
    assert not out.exists()
