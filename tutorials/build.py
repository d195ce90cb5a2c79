"""`make tutorials`: run each tutorial's .py as a notebook and keep it, outputs and all, as an .ipynb beside it."""

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

import common

HERE = Path(__file__).resolve().parent


def sources() -> list[Path]:
    """The tutorials, in reading order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


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


def build(path: Path) -> float:
    """Execute one tutorial and write its .ipynb; returns the seconds that took."""
    notebook, start = read_source(path), time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=1200,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        # The kernel would warn of eavesdroppers on this machine.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    client.execute()
    seconds = time.perf_counter() - start
    # The kernel has added this machine's Python version.
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _merged(cell.outputs)
    nbformat.write(notebook, path.with_suffix(".ipynb"))
    return seconds


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
    if common.SMALL:
        sys.exit(
            "ICH_JAX_SMALL=1 would put meaningless numbers into the notebooks; run the .py files instead"
        )
    wanted = sys.argv[1:]
    common.start()  # makes the phantom, so that no tutorial's time contains it
    for path in sources():
        if not wanted or any(path.name.startswith(number) for number in wanted):
            print(f"{path.stem} …", end=" ", flush=True)
            print(f"{build(path):.0f} s", flush=True)


if __name__ == "__main__":
    main()
