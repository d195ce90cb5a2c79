"""What all tutorials share: the switches, the data, the trainings, and how pictures and tables are shown."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from matplotlib.figure import Figure

from ich_jax.data.find import read_entry
from ich_jax.data.prepared import Prepared, open_prepared
from ich_jax.data.source import KAGGLE_ROOT, Source, open_source
from ich_jax.phantom.blood import at_size, blood_of
from ich_jax.phantom.dataset import DEFAULT, DEFAULT_IMAGE_SIZE, DONE, make_phantom
from ich_jax.phantom.patients import plan
from ich_jax.plumbing import tables
from ich_jax.plumbing.command import InputError, speak_utf8
from ich_jax.plumbing.files import read_json

if TYPE_CHECKING:
    from ich_jax.training.config import Settings
    from ich_jax.training.run import Run

# Where data/ and out/ are: the project's folder, or the current one if the project was installed without its folder.
ROOT = Path(__file__).resolve().parent.parent
if not ((ROOT / "pyproject.toml").exists() and os.access(ROOT, os.W_OK)):
    ROOT = Path.cwd()

# The switches; README.md beside this file explains them. ICH_JAX_SMALL=1 shrinks everything, to see whether the
# tutorials run; its numbers mean nothing.
SMALL = os.environ.get("ICH_JAX_SMALL") == "1"
DATA, SOURCE, RUNS = (
    os.environ.get(f"ICH_JAX_{name}") or None for name in ("DATA", "SOURCE", "RUNS")
)
SHARED = DATA is not None and all(
    (ROOT / DATA / name).exists() for name in ("kaggle/truth.csv", "prepared/prepare.json")
)  # a phantom that somebody else has made; nothing is written there
GIVEN = DATA is not None and not SHARED  # data of your own, and the paper's own settings

# A phantom and results of the small setting are kept apart.
FOLDER = Path("out/small") if SMALL else Path()
PHANTOM = Path(DATA) if SHARED else FOLDER / "data" / "phantom"
KAGGLE, PREPARED = PHANTOM / "kaggle", PHANTOM / "prepared"
DRAWN_SLICES = (
    110  # of the phantom beside data of your own: five patients, and each type of hemorrhage
)

_opened: list[Prepared] = []
_planned = cache(plan)
_shown: list[Path] = []


def start() -> Prepared:
    """Go to ROOT and open the data: those of ICH_JAX_DATA, or else the phantom of `make train`.

    The phantom is made unless it is there: 1.8 GB in data/phantom/ and about two minutes, once for all tutorials.

    Raises InputError if a switch names what does not fit.
    """
    if not _in_notebook():
        speak_utf8()
    _report_bad_input()
    # A notebook starts in its own folder; from here on "data/…" means the same in it and in a script.
    os.chdir(ROOT)
    if not GIVEN:
        if SOURCE or RUNS:
            raise InputError(
                "ICH_JAX_SOURCE and ICH_JAX_RUNS go with ICH_JAX_DATA, a prepared folder of your own data; set that, too"
            )
        if not (PREPARED / "prepare.json").exists():
            slices, size = (300, 32) if SMALL else (DEFAULT["slices"], DEFAULT_IMAGE_SIZE)
            print(f"making the phantom, once for all tutorials: {PHANTOM}", file=sys.stderr)
            # Commands of their own: a script that starts worker processes would be run again by each of them.
            _run("phantom", "--out", KAGGLE, "--slices", slices)
            _run("prepare", KAGGLE, "--out", PREPARED, "--size", size)
    if RUNS and not (Path(RUNS) / "runs").is_dir():
        raise InputError(
            f"{RUNS}: no folder of `python -m ich_jax.reproduce --out` (it holds no runs/)"
        )
    data = open_prepared(DATA if GIVEN else PREPARED)
    _opened[:] = [data]
    if GIVEN:
        patients = len(set(data.patient_ids.tolist()))
        size = data.image_size
        print(
            f"Data: {data.title}, {len(data.classes):,} slices of {patients:,} patients, {size}×{size} pixels"
        )
    return data


def _run(command: str, *arguments: object) -> None:
    words = [sys.executable, "-m", f"ich_jax.{command}", *map(str, arguments)]
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=None if sys.stderr.isatty() else subprocess.PIPE
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[1:])} failed: {(done.stderr or b'').decode()}")


def _report_bad_input() -> None:
    """Let an InputError that nobody catches be one line, and a script's exit code 2."""
    if _in_notebook():
        from IPython import get_ipython

        def say(shell, kind, error, trace, tb_offset=None):
            print(f"error: {error}", file=sys.stderr)

        get_ipython().set_custom_exc((InputError,), say)
        return

    def leave(kind, error, trace):
        if not issubclass(kind, InputError):
            return sys.__excepthook__(kind, error, trace)
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2)

    sys.excepthook = leave


def out() -> Path:
    """Where the tutorials put what they make: out/tutorials, and in it a folder for each data set of your own."""
    folder = FOLDER / "out" / "tutorials"
    return (
        folder / f"{_opened[0].title}-{_opened[0].fingerprint[:8]}" if GIVEN and _opened else folder
    )


def empty_folder(name: str) -> Path:
    """out/tutorials/<name>, without what an earlier reading left there. Only for trainings on the phantom."""
    assert not GIVEN, "trainings on data of your own are kept"
    folder = out() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def trained(name: str, **changes: object) -> "Run":
    """A training of the paper on data of your own, with the paper's settings.

    It is taken from ICH_JAX_RUNS if it is finished there; otherwise it is made in out()/runs, once for all tutorials,
    and goes on where it was stopped. On a given phantom it has the settings that `reproduce` chooses there.

    Args:
        name: as a reproduction calls it, see TRAININGS in ich_jax/results/reproduction.py.
        changes: settings that are not to be the paper's.

    Raises InputError if the data do not fit, or if ICH_JAX_RUNS is of other data.
    """
    # Importing JAX takes a second, and a tutorial that trains nothing does without.
    from ich_jax.training.config import unlike_the_paper
    from ich_jax.training.outcome import as_text
    from ich_jax.training.run import open_run, train

    data, settings = _opened[0], settings_of(name, **changes)
    full_name = "-".join([name, *(f"{key}-{value:g}" for key, value in changes.items())])
    made = out() / "runs" / full_name
    taken = finished(full_name)
    if taken is None:
        return train(settings, data, made, resume=True)
    run = open_run(taken)
    print(f"{full_name}: trained before, in {taken}")
    differences = unlike_the_paper(run.settings, run.found)
    if differences:
        print(f"not as in the paper: {', '.join(differences)}")
    print(as_text(read_json(taken / "metrics.json")))
    return run


def practice_run(split: str = "") -> "Run":
    """A short training, made once, for tutorial 8 and for answers: they need a trained network, not a good one.

    On data of your own it is the paper's (`trained`).

    Args:
        split: image or patient; by default as in the tutorials, by patient on the phantom and otherwise by image.

    Raises InputError if the data cannot be split so.
    """
    from ich_jax.training.config import preset
    from ich_jax.training.run import train

    split = split or ("image" if GIVEN else "patient")
    if GIVEN:
        return trained("proposed-32-patient" if split == "patient" else "proposed-32")
    slices, epochs = (300, 10) if SMALL else (800, 6)
    settings = preset("phantom", split=split, augment=False, limit=slices, epochs=epochs)
    folder = out() / f"practice-{split}-{_opened[0].fingerprint[:8]}"
    return train(settings, _opened[0], folder, resume=True, say=lambda _: None)


def finished(name: str) -> Path | None:
    """The folder of a finished training on data of your own, if there is one.

    Raises InputError if ICH_JAX_RUNS is of other data.
    """
    if not GIVEN:
        return None
    from ich_jax.training.outcome import is_finished

    for folder in (*([Path(RUNS) / "runs" / name] if RUNS else []), out() / "runs" / name):
        if is_finished(folder):
            if read_json(folder / "config.json")["found"]["fingerprint"] != _opened[0].fingerprint:
                raise InputError(f"{folder}: not trained on {DATA} (slices.csv differs)")
            return folder
    return None


def settings_of(name: str, **changes: object) -> "Settings":
    """The settings of a training on data of your own: the paper's, as a reproduction has them."""
    from ich_jax.results.reproduction import PHANTOM_NORM_MOMENTUM, TRAININGS
    from ich_jax.training.config import preset

    training = next(one for one in TRAININGS if one.name == name)
    own = {"model": training.model, "batch_size": training.batch_size, "split": training.split}
    if SMALL:
        own |= {"limit": 300, "epochs": 1}
    if _opened[0].phantom:
        return preset("phantom", **(own | {"norm_momentum": PHANTOM_NORM_MOMENTUM} | changes))
    return preset("paper", **(own | changes))


def dicom(image_id: str) -> Path:
    """A slice's DICOM file, the phantom's or one of ICH_JAX_SOURCE; a zip's is copied out of it first.

    Raises InputError if the source has no such slice.
    """
    if not GIVEN:
        return KAGGLE / "stage_2_train" / f"{image_id}.dcm"
    source = _source()
    if image_id not in source.members:
        raise InputError(f"{SOURCE}: has no {image_id}.dcm; was {DATA} prepared from it?")
    member = source.members[image_id]
    if isinstance(member, Path):
        return member
    path = out() / "dicom" / f"{image_id}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(read_entry(member))
    return path


@cache
def _source() -> Source:
    return open_source(SOURCE)


def open_labels() -> TextIO:
    """The label file of the phantom or of ICH_JAX_SOURCE, as text.

    Raises InputError if there is none.
    """
    source = Path(SOURCE) if GIVEN else KAGGLE
    if source.is_dir():
        paths = [
            *source.glob("stage_*_train.csv"),
            *(source / KAGGLE_ROOT).glob("stage_*_train.csv"),
        ]
        if paths:
            return open(paths[0], encoding="utf-8-sig", newline="")
    elif zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        names = [name for name in archive.namelist() if name.endswith("_train.csv")]
        if names:
            return io.TextIOWrapper(archive.open(names[0]), encoding="utf-8-sig", newline="")
    raise InputError(f"{source}: holds no stage_2_train.csv")


def phantom() -> Path:
    """A phantom in Kaggle's layout, with its truth.csv: the tutorials' own, or beside data of your own a small one."""
    if not GIVEN:
        return KAGGLE
    folder = out() / "phantom"
    truths = make_phantom(folder, DRAWN_SLICES, DEFAULT["seed"], DEFAULT["prevalence"])
    title = _opened[0].title
    print(f"PHANTOM: this cell shows some of {len(truths)} synthetic slices, and not {title}")
    return folder


def blood_in(image_id: str, size: int = 0) -> np.ndarray:
    """Where the bleeds of one of `phantom()`'s slices are: (rows, columns) bool, or (size, size) as in an image."""
    drawn = DEFAULT | {"slices": DRAWN_SLICES} if GIVEN else read_json(KAGGLE / DONE)["settings"]
    for patient in _planned(drawn["slices"], drawn["seed"], drawn["prevalence"]):
        for planned in patient.slices:
            if planned.image_id == image_id:
                blood = blood_of(patient, planned)
                return at_size(blood, size) if size else blood
    raise KeyError(image_id)


def left_out(reason: str) -> None:
    """Say what a cell does not show on these data, and why."""
    print(f"Left out: {reason}.")


def show(figure: Figure, caption: str) -> None:
    """Show a figure and its caption: below the cell in a notebook, otherwise as a file in out()/figures/."""
    png = io.BytesIO()
    figure.savefig(png, dpi=110, format="png", metadata={"Software": None})
    if _in_notebook():
        from IPython.display import Image, Markdown, display

        # At half its pixels it stays sharp on a dense screen.
        display(
            Image(png.getvalue(), width=int(figure.get_figwidth() * 90), alt=caption),
            Markdown(f"*{caption}*"),
        )
        return
    script = Path(sys.argv[0])
    script = f"answers-{script.stem}" if script.parent.name == "answers" else script.stem
    folder = out() / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    _shown.append(folder / f"{script}-{len(_shown) + 1}.png")
    _shown[-1].write_bytes(png.getvalue())
    print(f"[{_shown[-1]}] {caption}")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Show a table; floats to four digits."""
    cells = [
        [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    if _in_notebook():
        from IPython.display import Markdown, display

        display(Markdown(tables.markdown(header, cells)))
    else:
        print(tables.text(header, cells))


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules
