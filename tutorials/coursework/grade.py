"""`python -m tutorials.coursework.grade`: points for a folder of one's own, or for a class of submissions.

    python -m tutorials.coursework.grade --work my_folder
    python -m tutorials.coursework.grade SUBMISSIONS --out points.csv --seed 4711

A class's points go into one CSV file, and each student's reasons into a file of their own in the folder beside it,
points/, which can be handed back: no other student is in it, nor the seed.
"""

import argparse
import csv
import os
import sys
from functools import partial
from pathlib import Path
from typing import IO

from tqdm import tqdm

from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import claim, write_json, write_whole
from ich_jax.plumbing.parallel import map_in_processes
from tutorials.coursework.assignments import ASSIGNMENTS
from tutorials.coursework.marking import FAILED, PRACTICE_SEED, as_numbers, as_text
from tutorials.coursework.sandbox import USUAL, Bounds, Submission


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(
        prog="python -m tutorials.coursework.grade", description="Points and reasons, for one folder or for a class."
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="SUBMISSIONS", help="a folder with one for each student"
    )
    parser.add_argument("--work", type=Path, help="a folder of one's own, with windowing.py and the others")
    parser.add_argument("--out", type=Path, help="CSV of a class's points; the reasons go into a folder beside it")
    parser.add_argument("--seed", type=int, help="for the drawn cases (default for --work: the one for practice)")
    parser.add_argument("--only", nargs="+", choices=ASSIGNMENTS, metavar="NAME", help="(default: what was handed in)")
    parser.add_argument("--seconds", type=float, default=USUAL.seconds, help="an assignment (default: %(default)g)")
    parser.add_argument("--memory", type=float, default=4, help="GB a process (default: %(default)g)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="at once (default: all cores)")
    args = parser.parse_args(argv)
    if (args.folder is None) == (args.work is None):
        parser.error("give either a folder of submissions or --work with one's own")
    if args.folder and (args.out is None or args.out.suffix != ".csv"):
        parser.error("a folder of submissions needs --out with a name that ends in .csv")
    if args.folder and args.seed is None:
        parser.error("a class needs --seed, a number that only you know")
    seed = PRACTICE_SEED if args.seed is None else args.seed
    if seed < 0 or args.seconds <= 0 or args.memory <= 0 or args.workers < 1:
        parser.error("--seed must be 0 or above, --seconds, --memory and --workers above 0")
    bounds = bounds_of(args.seconds, args.memory)
    if args.work:
        found = grade(args.work, seed, args.only or handed_in([args.work]), bounds)
        print("\n\n".join(as_text(name, one) for name, one in found.items()))
        work = args.work.resolve()
        path = work.with_name(f"{work.name}-points.json")
        write_json(path, {"assignments": found})
        print(f"\n{_total(found)}; {path}")
        return found
    return grade_class(args.folder, args.out, seed, args.only, bounds, args.workers)


def bounds_of(seconds: float, gigabytes: float) -> Bounds:
    """All bounds grow with the seconds for a file: a slow machine is slow at each call."""
    share = seconds / USUAL.seconds
    return Bounds(share * USUAL.call_seconds, share * USUAL.load_seconds, seconds, int(gigabytes * 2**30))


def handed_in(folders: list[Path]) -> list[str]:
    """The assignments of which at least one folder has a file. Raises InputError if there is none."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    names = [name for name in ASSIGNMENTS if any(os.path.lexists(folder / f"{name}.py") for folder in folders)]
    if not names:
        where = folders[0] if len(folders) == 1 else folders[0].parent
        raise InputError(f"{where}: no assignment in it, such as {next(iter(ASSIGNMENTS))}.py")
    return names


def grade(folder: Path, seed: int, names: list[str], bounds: Bounds = USUAL, closed: tuple[Path, ...] = ()) -> dict:
    """Mark one student's folder, each assignment in a process of its own.

    Returns:
        {assignment: as `as_numbers` in marking.py, and "remarks": [what else was seen]}.
    """
    found = {}
    for name in names:
        with Submission(folder / f"{name}.py", bounds, closed) as submission:
            found[name] = as_numbers(ASSIGNMENTS[name].mark(submission, seed))
            found[name]["remarks"] = list(dict.fromkeys(submission.remarks))
    return found


def grade_class(
    folder: Path, out: Path, seed: int, only: list[str] | None, bounds: Bounds = USUAL, workers: int = 1
) -> dict[str, dict]:
    """Mark every folder in `folder`: a row a student into `out`, and their reasons into a file each in the folder of
    the same name beside it. Stopped, the files of those who were marked are there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    students = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    if not students:
        raise InputError(f"{folder}: holds no folder; each student's work goes into one of its own")
    others = sorted(path.name for path in folder.iterdir() if path not in students and path.name[0] not in "._")
    if others:
        print(f"left out, no folders: {', '.join(others)}", file=sys.stderr)
    if out.is_dir():
        raise InputError(f"{out}: is a folder; --out has to be a CSV file")
    names = only or handed_in(students)
    out.parent.mkdir(parents=True, exist_ok=True)
    reasons, found = out.with_suffix(""), {}
    one = partial(grade, seed=seed, names=names, bounds=bounds, closed=(folder,))
    # Processes, as JAX and what is counted with it here are not made for threads.
    with claim(reasons), tqdm(total=len(students), unit="student", disable=None) as bar:
        for path, marks in zip(students, map_in_processes(one, students, workers), strict=True):
            found[path.name] = marks
            write_json(reasons / f"{path.name}.json", {"student": path.name, "assignments": marks})
            bar.update()
        header = ("student", *(f"{name} (of {ASSIGNMENTS[name].points:g})" for name in names), "points", "of")
        write_whole(out, lambda file: _write_rows(file, header, found, names))
    for student, marks in found.items():
        print(f"{student}: {_total(marks)}")
        if FAILED in str(marks):
            print(f"{student}: {FAILED} all of it, see {reasons / student}.json", file=sys.stderr)
    print(f"{out}; the reasons: {reasons}{os.sep}")
    return found


def _write_rows(file: IO[str], header: tuple[str, ...], found: dict[str, dict], names: list[str]) -> None:
    file.write("\ufeff")  # spreadsheets take UTF-8 for an old code page without it
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for student, marks in found.items():
        points = (f"{marks[name]['points']:g}" for name in names)
        writer.writerow((_cell(student), *points, *map("{:g}".format, _sums(marks))))


def _sums(found: dict) -> tuple[float, float]:
    return sum(one["points"] for one in found.values()), sum(one["of"] for one in found.values())


def _total(found: dict) -> str:
    points, of = _sums(found)
    return f"{points:g} of {of:g} points"


def _cell(text: str) -> str:
    """A name for a spreadsheet, which would take one that begins like this for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


if __name__ == "__main__":
    run_command(main, "stopped; the reasons of those who were marked are kept, the same command marks all again")
