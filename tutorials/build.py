"""`make tutorials`: run each .py, the tutorials' and their answers', as a notebook, and keep it as an .ipynb beside it.

With data of your own (ICH_JAX_DATA) the .ipynb files go to a folder in out/tutorials/ instead.
"""

import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ich_jax.plumbing.command import run_command
from tutorials import common

HERE = Path(__file__).resolve().parent


def sources() -> list[Path]:
    """The tutorials, in reading order, each followed by its answers."""
    found = [*HERE.glob("[0-9][0-9]*_*.py"), *HERE.glob("answers/[0-9][0-9]_*.py")]
    return sorted(found, key=lambda path: (path.name, path.parent != HERE))


def _number(path: Path) -> str:
    return path.name.split("_")[0]


def read_source(path: Path) -> nbformat.NotebookNode:
    """A percent-format .py as a notebook without outputs, the same each time."""
    notebook = jupytext.read(path, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"  # nbformat's own would be random
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def build(path: Path, folder: Path = HERE) -> float:
    """Execute one source and write its .ipynb into `folder`, as it lies in HERE; returns the seconds that took."""
    notebook, start = read_source(path), time.perf_counter()
    limit = None if common.GIVEN else 1200  # a training on all of RSNA takes hours
    client = NotebookClient(
        notebook,
        timeout=limit,  # seconds a cell
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        # The kernel would warn of eavesdroppers on this machine.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        if error.ename != "InputError":
            raise
        raise common.InputError(error.evalue) from None
    seconds = time.perf_counter() - start
    # The kernel has added this machine's Python version.
    notebook.metadata["language_info"] = {"name": "python"}
    target = folder / path.relative_to(HERE).with_suffix(".ipynb")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
        elif folder != HERE:
            cell.source = _with_links_from(target.parent, cell.source, path.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return seconds


def _with_links_from(folder: Path, text: str, before: Path) -> str:
    """A cell's text, its links to other files than notebooks as they are from `folder` and not `before`."""

    def moved(link: re.Match) -> str:
        return f"]({Path(os.path.relpath(before / link[1], folder)).as_posix()})"

    return re.sub(r"\]\((?!https?:)([^)\s]+\.(?!ipynb)\w+)\)", moved, text)


def _merged(outputs: list) -> list:
    """Neighbouring pieces of one stream as one: how a stream is cut depends on the moment."""
    merged = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def main() -> None:
    if common.SMALL and not common.GIVEN:
        what = "ICH_JAX_SMALL=1 would put meaningless numbers into the notebooks"
        raise common.InputError(f"{what}; run the .py files instead")
    numbers = sorted({_number(path) for path in sources()})
    wanted = sys.argv[1:] or numbers
    for number in wanted:
        if number not in numbers:
            raise common.InputError(f"{number}: no such tutorial; there are {', '.join(numbers)}")
    common.start()  # makes the phantom, so that no tutorial's time contains it
    folder = common.out().resolve() if common.GIVEN else HERE
    folder.mkdir(parents=True, exist_ok=True)
    for path in sources():
        if _number(path) in wanted:
            print(f"{path.relative_to(HERE).with_suffix('')} …", end=" ", flush=True)
            print(f"{build(path, folder):.0f} s", flush=True)
    if common.GIVEN:
        print(f"notebooks: {folder}")


if __name__ == "__main__":
    run_command(main, "stopped; trainings on data of your own go on from their last epoch")
