"""What all tutorials share: the one switch for sizes, the synthetic data, and how pictures and tables are shown."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ich_jax.phantom.dataset import DEFAULT, DEFAULT_IMAGE_SIZE, read_truth
from ich_jax.phantom.patients import plan
from ich_jax.phantom.scanner import scan
from ich_jax.phantom.tissues import BLOOD_RANGE_HU
from ich_jax.plumbing import tables
from ich_jax.plumbing.command import speak_utf8

# The switch. ICH_JAX_SMALL=1 shrinks everything, to see whether the tutorials run; its numbers mean nothing.
SMALL = os.environ.get("ICH_JAX_SMALL") == "1"

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(tempfile.gettempdir()) / "ich_jax-small" if SMALL else Path()
PHANTOM = FOLDER / "data" / "phantom"
KAGGLE, PREPARED = PHANTOM / "kaggle", PHANTOM / "prepared"


def start() -> None:
    """Go to the project's folder, and make the synthetic data of `make train` in it unless they are there.

    They take 1.8 GB in data/phantom/ and about two minutes, once for all tutorials.
    """
    if not _in_notebook():
        speak_utf8()
    # A notebook starts in its own folder; from here on "data/…" means the same in it and in a script.
    os.chdir(ROOT)
    if (PREPARED / "prepare.json").exists():
        return
    slices, size = (300, 32) if SMALL else (DEFAULT["slices"], DEFAULT_IMAGE_SIZE)
    # Commands of their own: a script that starts worker processes would be run again by each of them.
    _run("phantom", "--out", KAGGLE, "--slices", slices)
    _run("prepare", KAGGLE, "--out", PREPARED, "--size", size)


def _run(command: str, *arguments: object) -> None:
    words = [sys.executable, "-m", f"ich_jax.{command}", *map(str, arguments)]
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=None if sys.stderr.isatty() else subprocess.PIPE
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[1:])} failed: {(done.stderr or b'').decode()}")


def empty_folder(name: str) -> Path:
    """out/tutorials/<name>, without what an earlier reading left there."""
    folder = FOLDER / "out" / "tutorials" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def blood_of(image_id: str) -> np.ndarray:
    """Where a phantom slice's bleeds are: (rows, columns) bool.

    The slice is drawn twice, with its bleeds and without; blood is where the first is as bright as blood and
    brighter than the second.
    """
    seed, prevalence = (DEFAULT[name] for name in ("seed", "prevalence"))
    for patient in plan(len(read_truth(KAGGLE)), seed, prevalence):
        for planned in patient.slices:
            if planned.image_id == image_id:
                with_blood, without = (
                    scan(
                        patient.head,
                        bleeds,
                        patient.scanner,
                        planned.height_mm,
                        patient.slice_mm,
                        np.random.default_rng(0),  # the same noise both times
                        planned.shape,
                    )[0]
                    for bleeds in (patient.bleeds, ())
                )
                return (with_blood > BLOOD_RANGE_HU[0]) & (with_blood - without > 15)
    raise KeyError(image_id)


def show(figure: Figure, caption: str) -> None:
    """Show a figure and its caption: below the cell in a notebook, otherwise as a file in out/tutorials/."""
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
    script = Path(sys.argv[0]).stem
    folder = FOLDER / "out" / "tutorials" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    _shown.append(folder / f"{script}-{len(_shown) + 1}.png")
    _shown[-1].write_bytes(png.getvalue())
    print(f"[{_shown[-1]}] {caption}")


_shown: list[Path] = []


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
