"""The tutorials run from their sources, and the notebooks beside them were made from these sources."""

import contextlib
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from matplotlib.text import Text

from ich_jax.data.dicom import PHANTOM_MARK
from ich_jax.data.prepared import open_prepared
from ich_jax.data.preparing import prepare
from ich_jax.data.source import open_source
from ich_jax.phantom.dataset import DONE, FOLDER, TRUTH, make_phantom
from ich_jax.training.config import preset
from ich_jax.training.run import train
from tests.conftest import compiled_quickly

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
    # Where several networks run for a moment, most of the time goes into compiling.
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


@pytest.fixture(scope="module")
def stripped(tmp_path_factory) -> tuple[Path, Path]:
    """A phantom of RSNA's prevalence without its marks and its truth, which passes for real slices: its Kaggle-shaped
    folder, and what was prepared from it."""
    folder = tmp_path_factory.mktemp("stripped")
    make_phantom(folder / "kaggle", 133, seed=3, prevalence="rsna", clean=True)
    for name in (DONE, TRUTH, "montage.png"):
        (folder / "kaggle" / name).unlink(missing_ok=True)
    for path in (folder / "kaggle" / FOLDER).glob("*.dcm"):
        data = path.read_bytes()
        assert PHANTOM_MARK.encode() in data
        path.write_bytes(data.replace(PHANTOM_MARK.encode(), b"A_SCANNER_1.0".ljust(len(PHANTOM_MARK))))
    prepare(open_source(folder / "kaggle"), folder / "slices", size=32)
    return folder / "kaggle", folder / "slices"


@pytest.fixture
def real_data(stripped, tmp_path, monkeypatch):
    """`tutorials/common.py` as it is with data of your own, in the small setting, and one of the trainings there."""
    source, prepared = stripped
    for name, value in {
        "ICH_JAX_SMALL": "1",
        "ICH_JAX_DATA": str(prepared),
        "ICH_JAX_SOURCE": str(source),
        "ICH_JAX_RUNS": str(tmp_path / "reproduction"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.syspath_prepend(ROOT / "tutorials")
    monkeypatch.delitem(sys.modules, "common", raising=False)
    yield importlib.import_module("common")
    sys.modules.pop("common")


@pytest.mark.slow
def test_all_nine_run_on_real_data(real_data, tmp_path, monkeypatch):
    """Cell by cell in one process; the small setting, so their figures mean nothing."""
    drawn = []  # the words in the figures of a cell

    def show(figure, caption):
        drawn.extend(text.get_text() for text in figure.findobj(Text))
        shown.append(real_data_show(figure, caption))

    shown, real_data_show = [], real_data.show
    monkeypatch.setattr(real_data, "show", show)
    data = open_prepared(real_data.DATA)
    assert not data.phantom
    given = tmp_path / "reproduction" / "runs" / "proposed-32"
    with compiled_quickly():
        train(preset("paper", epochs=1), data, given, say=lambda _: None)
        before = (given / "metrics.json").read_bytes()
        said = {source.stem: _run_cells(source, drawn) for source in SOURCES}
    assert shown
    assert (given / "metrics.json").read_bytes() == before, "what was there is not made again"
    assert f"proposed-32: trained before, in {given}" in said["00_introduction"]
    runs = {path.name for path in (real_data.out() / "runs").iterdir()}
    assert runs == {"proposed-8", "mobilenet-8", "proposed-32-learning_rate-0.0003", "proposed-32-patient"}
    assert "Left out: nobody has measured the area of blood" in said["06_results"]
    for name in ("01_material", "02_windowing", "04_training", "06_results", "07_comparison", "08_conclusion"):
        assert data.title in said[name]
    for word in ("printed", "audited", "measured here"):
        assert word in said["07_comparison"]


def _run_cells(source: Path, drawn: list[str]) -> str:
    """Run a tutorial's cells; returns what they said. None says PHANTOM unless it draws one."""
    names, said = {"__name__": "__main__"}, []
    for number, cell in enumerate(jupytext.read(source, fmt="py:percent").cells):
        if cell.cell_type != "code":
            continue
        drawn.clear()
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            exec(compile(cell.source, f"{source.name}, cell {number}", "exec"), names)
        said.append(stdout.getvalue())
        if "phantom()" not in cell.source:
            assert "PHANTOM" not in said[-1], cell.source
            assert not [text for text in drawn if "PHANTOM" in text], cell.source
    return "\n".join(said)


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
