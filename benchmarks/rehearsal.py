"""`python -m benchmarks.rehearsal`: everything around the networks at RSNA's size, seconds and memory of each stage.

Data are made up, all but the counts (rsna_size.py), with images of 8×8 pixels, and the networks are narrow ones
(narrow.py): the less pixels and weights cost, the more of the time is all the rest.

Each stage is a command in a process of its own. Its memory is the peak of its largest process, files that are mapped
included. Beside the seconds stand those of the processors, which tell more where other programs run as well.

Bounds: a stage's `memory_bytes` for each of its processes, SECONDS if it does not train. A broken one is named; the
exit code is 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks.rsna_size import ARCHIVE, BEGUN, SIZE
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.plumbing.files import read_json, write_json

SECONDS, MEMORY_BYTES = 60, 2e9
LOOK_SECONDS = 0.1
MEASURED = "measured.json"  # in the folder, so that the stages of a rehearsal can be run one by one


class Stage(NamedTuple):
    name: str
    what: str
    command: list  # a module and its arguments
    remove: str = ""  # what an earlier try has left, as a pattern in the folder
    copy: tuple[str, str] | None = None  # what is given to the stage, and as what
    trains: bool = False  # and so may take as long as it takes
    memory_bytes: float = MEMORY_BYTES


def stages(folder: Path, share: float) -> list[Stage]:
    def make(what: str) -> list:
        return ["benchmarks.rsna_size", what, "--folder", folder, "--share", share]

    prepared, run, one_epoch = folder / "prepared", folder / "run", ["--preset", "paper", "--epochs", 1]
    prepare = ["ich_jax.prepare", folder / ARCHIVE, "--out", prepared, "--size", SIZE]
    train = ["benchmarks.narrow", "train", "--data", prepared, *one_epoch, "--out", run]
    reproduce = ["benchmarks.narrow", "reproduce", "--data", prepared, *one_epoch, "--out", folder / "reproduction"]
    evaluate = ["benchmarks.narrow", "evaluate", run, "--part", "validation"]
    return [
        Stage("labels", "makes the label file", make("labels")),
        Stage("zip", "makes the zip", make("zip")),
        Stage("begun", "makes a folder in which prepare was stopped near its end", make("begun"), remove=BEGUN),
        Stage(
            "prepare",
            "goes on there, to the end",
            prepare,
            remove="prepared",
            copy=(BEGUN, "prepared"),
            memory_bytes=1.5e9,
        ),
        Stage("train", "one epoch at batch 32, then the test part", train, remove="run", trains=True),
        Stage("evaluate", "the validation part", evaluate),
        Stage("reproduce", "one epoch of each of its six trainings", reproduce, remove="reproduction", trains=True),
        Stage("report", "reproduce again: the trainings are there, so only the report", reproduce),
    ]


def run_stage(stage: Stage, folder: Path) -> dict[str, float]:
    """Seconds, processor seconds, and the peak memory in bytes of the largest process. Its output is in <stage>.log.

    Raises InputError if the stage fails.
    """
    for path in folder.glob(stage.remove) if stage.remove else ():
        shutil.rmtree(path)
    if stage.copy:
        shutil.copytree(folder / stage.copy[0], folder / stage.copy[1])
    log = folder / f"{stage.name}.log"
    command = [sys.executable, "-m", *map(str, stage.command)]
    with open(log, "w", encoding="utf-8") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        usage = wait(process, stage.name)
        seconds = time.perf_counter() - start
    if process.returncode:
        last = log.read_text(encoding="utf-8").splitlines()[-1:] or [""]
        raise InputError(f"{stage.name} failed with exit code {process.returncode}: {last[0]} ({log})")
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }


def wait(process: subprocess.Popen, name: str) -> Any:
    """What the system says that a process has used, together with the children that it waited for."""
    with tqdm(desc=name, bar_format="{desc}  {elapsed}", leave=False, disable=None) as line:
        try:
            while True:
                finished, status, usage = os.wait4(process.pid, os.WNOHANG)
                if finished:
                    break
                line.refresh()
                time.sleep(LOOK_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def broken_bounds(planned: list[Stage], found: dict[str, dict[str, float]]) -> list[str]:
    """One sentence for each."""
    sentences = []
    for stage in planned:
        seconds, peak_bytes = found[stage.name]["seconds"], found[stage.name]["peak_memory_bytes"]
        if peak_bytes > stage.memory_bytes:
            bound = f"the bound is {stage.memory_bytes / 1e9:g} GB"
            sentences.append(f"{stage.name} took {peak_bytes / 1e9:.2f} GB, {bound}")
        if seconds > SECONDS and not stage.trains:
            sentences.append(f"{stage.name} took {seconds:.0f} s, the bound is {SECONDS} s")
    return sentences


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=__doc__.splitlines()[0])
    names = [stage.name for stage in stages(Path(), 1)]
    parser.add_argument("--folder", type=Path, default=Path("data/rehearsal"), help="(default: data/rehearsal)")
    parser.add_argument(
        "--stages", nargs="+", choices=names, default=names, help="only these, on what the others have left there"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of RSNA's size (default: 1)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into")
    args = parser.parse_args(argv)
    if not hasattr(os, "wait4"):
        raise InputError("Windows does not tell a process's peak memory this way; use Linux, macOS or WSL2")
    args.folder.mkdir(parents=True, exist_ok=True)
    planned, measured = stages(args.folder, args.share), args.folder / MEASURED
    result = read_json(measured) if measured.exists() else {}
    if result.get("share") != args.share:
        result = {"share": args.share, "stages": {}}
    for stage in planned:
        if stage.name in args.stages:
            found = result["stages"][stage.name] = run_stage(stage, args.folder)
            write_json(measured, result)
            print(f"{stage.name}: {found['seconds']:.1f} s, {found['peak_memory_bytes'] / 1e9:.2f} GB", flush=True)
    return _conclude([stage for stage in planned if stage.name in result["stages"]], result, args.json)


def _conclude(planned: list[Stage], result: dict, folder: Path | None) -> dict:
    # Only now, as it imports JAX: Linux counts a parent's memory as its child's until that has started.
    from benchmarks.machine import describe_machine, print_table, save

    found = result["stages"]
    print(f"\n{result['share']:g} × RSNA's size; {describe_machine()}")
    rows = []
    for stage in planned:
        one = found[stage.name]
        seconds = (f"{one['seconds']:.1f}", f"{one['processor_seconds']:.1f}")
        rows.append((f"{stage.name}: {stage.what}", *seconds, f"{one['peak_memory_bytes'] / 1e9:.2f}"))
    print_table(("stage", "seconds", "of processors", "peak GB"), rows)
    if folder:
        save(folder, "rehearsal", result | {"stages": {stage.name: found[stage.name] for stage in planned}})
    broken = broken_bounds(planned, found)
    for sentence in broken:
        print(f"bound broken: {sentence}")
    if broken:
        sys.exit(1)
    return result


if __name__ == "__main__":
    run_command(main)
