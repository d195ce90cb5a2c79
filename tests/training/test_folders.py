import json
from pathlib import Path

import pytest

from ich_jax.training import folders
from ich_jax.training.config import Found, Settings, write_config
from ich_jax.training.folders import LATEST, RUNS, point_to, unfinished_folder

DATA = Path("prepared")


def make_run(name: str, finished: bool) -> Path:
    (RUNS / name).mkdir(parents=True)
    write_config(RUNS / name, Settings(), Found(str(DATA.resolve()), "", False, "", 32, {}, ""))
    (RUNS / name / "metrics.json").write_text(json.dumps({"finished": finished}), encoding="utf-8")
    return RUNS / name


def test_latest_leads_to_the_newest_and_is_gone_on_with_unless_finished():
    assert unfinished_folder(DATA) is None
    for name, finished in (("a", False), ("b", True), ("c", False)):
        run = make_run(name, finished)
        assert point_to(run)
        assert LATEST.resolve() == run.resolve()
        assert unfinished_folder(DATA) == (None if finished else run)
    assert {path.name for path in RUNS.iterdir()} == {"a", "b", "c", "latest"}
    assert unfinished_folder(Path("other")) is None


def test_a_folder_called_latest_stays_what_it_is():
    make_run("latest", finished=False)
    assert not point_to(make_run("a", finished=False))
    assert (LATEST / "metrics.json").exists()
    assert not LATEST.is_symlink()
    assert unfinished_folder(DATA) is None


@pytest.mark.parametrize("link", [True, False])
def test_a_link_that_leads_nowhere_is_no_run(link):
    RUNS.mkdir()
    if link:
        LATEST.symlink_to("gone")
    assert unfinished_folder(DATA) is None


def test_two_processes_get_two_folders(monkeypatch):
    first = folders.unused_folder()
    monkeypatch.setattr(folders.os, "getpid", lambda: -1)
    assert first != folders.unused_folder()
