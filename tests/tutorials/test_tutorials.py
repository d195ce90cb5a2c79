"""The tutorials run from their sources, and the notebooks beside them were made from these sources."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py"))
DOCS = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
OFFLINE = """
import runpy, socket, sys
from pathlib import Path
def refuse(*_): raise OSError("a tutorial needs the network")
socket.socket.connect = socket.socket.connect_ex = refuse
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_there_are_nine():
    assert [source.name[:2] for source in SOURCES] == [f"0{number}" for number in range(9)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where all of them keep the small phantom: the first one makes it."""
    return tmp_path_factory.mktemp("tutorials")


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_it_runs_small_and_offline(source, folder):
    # Where all four networks run for a moment, most of the time goes into compiling.
    more = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if source.stem[:2] in ("03", "07") else {}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(source)],
        env=os.environ | more | {"ICH_JAX_SMALL": "1", "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    shown = re.findall(r"^\[(.*\.png)\] ", done.stdout, re.MULTILINE)
    assert shown, "at least one figure"
    for path in shown:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_notebook_was_made_from_it(source):
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    wanted = [(cell.cell_type, cell.source) for cell in jupytext.read(source, fmt="py:percent").cells]
    assert cells == wanted, f"{path.name} is behind {source.name}: run `make tutorials`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "executed from the top"
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"], "no warnings, no progress bars"
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert str(ROOT) not in path.read_text(encoding="utf-8"), "no path of the machine that made it"
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_exercise_has_an_answer(source):
    text = source.read_text(encoding="utf-8")
    exercises, answers = text.split("# ## Try it\n")[1].split("# ## Answers\n")
    numbers = re.findall(r"^# (\d)\. ", exercises, re.MULTILINE)
    assert numbers == ["1", "2", "3"][: len(numbers)]
    assert len(numbers) >= 2
    assert re.findall(r"<summary><b>Answer (\d)</b></summary>", answers) == numbers
    assert answers.count('# %% jupyter={"source_hidden": true}') == len(numbers), "each answer is code that runs"


@pytest.mark.parametrize("page", ["README.md", "tutorials/README.md", "data/README.md", *DOCS])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert page.startswith(("data/", "docs/")) or links
    for link in links:
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_links_between_tutorials(source):
    for link in re.findall(r"\]\(([^)]+\.ipynb)\)", source.read_text(encoding="utf-8")):
        assert (source.parent / link).with_suffix(".py") in SOURCES
