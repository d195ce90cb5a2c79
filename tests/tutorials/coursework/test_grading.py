"""A class of submissions, most of them hostile: each costs its author points and nobody else anything."""

import csv
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import claim
from tests.tutorials.coursework.hostile import GOOD, hostile
from tutorials.coursework import check
from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.grade import bounds_of, grade, grade_class, main
from tutorials.coursework.marking import Here
from tutorials.coursework.sandbox import HERE, USUAL, Bounds

ROOT = HERE.parent.parent
QUICK = Bounds(call_seconds=1.5, load_seconds=3, seconds=8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither signals nor bounds of memory")
def test_fifty_hostile_submissions(tmp_path):
    work, outside = tmp_path / "work", tmp_path / "outside"
    outside.mkdir()
    neighbour = work / "a_good_one" / "windowing.py"
    submissions = hostile(outside, neighbour)
    assert len(submissions) >= 50
    for name, source in ({"a_good_one": GOOD} | {name: one.source for name, one in submissions.items()}).items():
        (work / name).mkdir(parents=True)
        (work / name / "windowing.py").write_text(source, encoding="utf-8")
    for name in ("a_folder", "a_link", "a_pipe"):
        (work / name).mkdir()
    (work / "a_folder" / "windowing.py").mkdir()
    (work / "a_link" / "windowing.py").symlink_to("/dev/zero")
    os.mkfifo(work / "a_pipe" / "windowing.py")
    (work / "empty").mkdir()
    before = time.monotonic()

    grade_class(work, tmp_path / "points.csv", 7, ["windowing"], QUICK, workers=2)

    assert time.monotonic() - before < (len(submissions) + 5) * QUICK.seconds, "each has its time and no more"
    with open(tmp_path / "points.csv", encoding="utf-8-sig", newline="") as file:
        points = {row["student"].lstrip("'"): float(row["points"]) for row in csv.DictReader(file)}
    students = {path.stem: json.loads(path.read_text("utf-8")) for path in (tmp_path / "points").glob("*.json")}
    assert students.keys() == points.keys()
    assert points.pop("a_good_one") == 12
    said = {name: json.dumps(one["assignments"], ensure_ascii=False) for name, one in students.items()}
    for name in ("a_folder", "a_link", "a_pipe"):
        assert (points.pop(name), "is no plain file" in said[name]) == (0, True)
    assert (points.pop("empty"), "was not handed in" in said["empty"]) == (0, True)
    assert points == {name: one.points for name, one in submissions.items()}
    assert {name for name, one in submissions.items() if one.words not in said[name]} == set()
    assert neighbour.read_text(encoding="utf-8") == GOOD
    assert not list(outside.iterdir())


def test_all_references_win_all_points():
    found = grade(HERE / "reference", seed=11, names=list(ASSIGNMENTS))
    assert {name: one["points"] for name, one in found.items()} == {
        name: one.points for name, one in ASSIGNMENTS.items()
    }


def test_what_is_handed_in_wrongly_is_told_and_two_graders_do_not_mix(tmp_path, capsys):
    for name in ("first", "second"):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "windowing.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "class" / "late.zip").write_bytes(b"")
    (tmp_path / "class" / "second" / "windowing.py").rename(tmp_path / "class" / "second" / "windowing (1).py")
    out = tmp_path / "new folder" / "points.csv"
    command = [str(tmp_path / "class"), "--seed", "3", "--workers", "1", "--out"]
    main([*command, str(out)])
    assert "left out, no folders: late.zip" in capsys.readouterr().err
    reasons = {path.stem: path.read_text(encoding="utf-8") for path in (out.parent / "points").iterdir()}
    assert reasons.keys() == {"first", "second"}
    assert "was not handed in; the folder holds windowing (1).py" in reasons["second"]
    assert "seed" not in "".join(reasons.values()), "they can be handed back"
    with claim(out.parent / "points"), pytest.raises(InputError, match="points"):
        main([*command, str(out)])
    with pytest.raises(SystemExit):
        main([command[0], "--out", str(out)])
    assert "a class needs --seed" in capsys.readouterr().err
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        main([*command, str(tmp_path / "x.csv")])


def test_a_right_solution_in_another_style_loses_no_ties():
    names: dict = {}
    exec(GOOD, names)

    def interpolated(hu, level_hu, width_hu):
        limits = [level_hu - width_hu / 2, level_hu + width_hu / 2]
        return np.rint(np.interp(hu, limits, [0, 255])).astype(np.uint8)

    def scaled(hu, level_hu, width_hu):
        return np.rint(np.clip((hu.astype(float) - level_hu) / width_hu + 0.5, 0, 1) * 255).astype(np.uint8)

    for window in (interpolated, scaled):
        names["apply_window"] = window
        for seed in (0, 4711):
            assert not [one.reason for one in ASSIGNMENTS["windowing"].mark(Here(names), seed) if one.reason]


def test_an_error_of_a_kind_of_its_own_is_an_error():
    names: dict = {"Narrow": type("Narrow", (ValueError,), {})}
    exec(GOOD.replace('ValueError("too narrow")', 'Narrow("too narrow")'), names)
    assert not [one.reason for one in ASSIGNMENTS["windowing"].mark(Here(names)) if one.reason]


def test_pytest_says_the_same(tmp_path):
    (tmp_path / "windowing.py").write_text(GOOD.replace("/ 2,", "/ 2 - 1,"), encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "tutorials/coursework", "--work", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    found = grade(tmp_path, seed=0, names=["windowing"])["windowing"]
    assert f"windowing: {found['points']:g} of 12 points" in done.stdout
    assert "window_limits(40, 80) gives (-1, 80), not (0, 80)" in done.stdout


def test_one_folder_by_command(tmp_path, capsys):
    work = tmp_path / "my work"
    work.mkdir()
    (work / "windowing.py").write_text(GOOD, encoding="utf-8")
    main(["--work", str(work)])
    assert "12 of 12 points" in capsys.readouterr().out
    written = json.loads((tmp_path / "my work-points.json").read_text(encoding="utf-8"))
    assert written["assignments"]["windowing"]["points"] == 12


@pytest.mark.parametrize("argument", ["--work", "class"])
def test_an_empty_folder_is_one_line(tmp_path, argument):
    words = (
        ["--work", str(tmp_path)]
        if argument == "--work"
        else [str(tmp_path), "--out", str(tmp_path / "p.csv"), "--seed", "1"]
    )
    with pytest.raises(InputError, match=str(tmp_path)):
        main(words)


def test_a_slow_machine_can_be_given_more_time():
    assert bounds_of(USUAL.seconds, USUAL.memory / 2**30) == USUAL
    assert bounds_of(3 * USUAL.seconds, 4).call_seconds == 3 * USUAL.call_seconds


def test_check_in_a_notebook(capsys):
    names: dict = {}
    exec(GOOD, names)
    assert check("windowing", names) is None, "a notebook would show it below the table"
    assert "windowing: 12 of 12 points" in capsys.readouterr().out
    del names["hu_to_rgb"]
    check("windowing", names)
    assert "there is no function hu_to_rgb here" in capsys.readouterr().out
    with pytest.raises(KeyError, match="windowing"):
        check("no such assignment")


def test_another_seed_makes_other_cases(tmp_path):
    def cases(seed: int) -> str:
        (tmp_path / "windowing.py").write_text("def window_limits(level_hu, width_hu): return 0", encoding="utf-8")
        return str(grade(tmp_path, seed, ["windowing"])["windowing"]["functions"]["window_limits"])

    assert cases(1) == cases(1)
    assert cases(1) != cases(2)
