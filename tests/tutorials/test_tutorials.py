"""The tutorials run from their sources, and the notebooks beside them were made from these sources."""

import contextlib
import importlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from matplotlib.text import Text

from ich_jax.data.header import PHANTOM_MARK
from ich_jax.data.preparing import prepare
from ich_jax.data.source import open_source
from ich_jax.phantom.dataset import DONE, FOLDER, TRUTH, make_phantom
from ich_jax.training.config import Settings, preset
from ich_jax.training.run import train
from tests.conftest import compiled_quickly

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py"))
ANSWERS = [source.parent / "answers" / source.name for source in SOURCES]
PRIMER = ROOT / "tutorials" / "02a_primer.py"  # between the tutorials 2 and 3
EVERY = [*sorted([*SOURCES, PRIMER]), *ANSWERS]
DOCS = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
OFFLINE = """
import runpy, socket, sys
from pathlib import Path
def refuse(*_): raise OSError("a tutorial needs the network")
socket.socket.connect = socket.socket.connect_ex = refuse
for source in sys.argv[1:]:
    print("==", Path(source).stem)
    sys.argv = [source]
    runpy.run_path(source, run_name="__main__")
"""


def test_there_are_nine():
    assert [source.name[:2] for source in SOURCES] == [f"0{number}" for number in range(9)]
    folder = ROOT / "tutorials"
    assert {*folder.glob("[0-9]*.py"), *folder.glob("answers/*.py")} == {*EVERY}


@pytest.mark.slow
@pytest.mark.tutorial
def test_all_run_small_and_offline(tmp_path):
    """In one process, so that what one tutorial compiles serves the others; most of the time goes into that.

    They are run as they are when installed without the project's folder, from a folder with a space in its name.
    """
    installed, here = tmp_path / "installed", tmp_path / "a student's folder"
    here.mkdir()
    only_code = shutil.ignore_patterns("*.ipynb", "__pycache__")
    shutil.copytree(ROOT / "tutorials", installed / "tutorials", ignore=only_code)
    before = _files(installed)
    sources = [installed / source.relative_to(ROOT) for source in EVERY]
    switches = {"ICH_JAX_SMALL": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, *map(str, sources)],
        env=os.environ | switches | {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    for source, said in zip(sources, re.split(r"^== ", done.stdout, flags=re.MULTILINE)[1:], strict=True):
        assert said.startswith(source.stem)
        shown = re.findall(r"^\[(.*\.png)\] ", said, re.MULTILINE)
        assert shown or source.parent.name == "answers", f"{source.stem}: at least one figure"
        for path in shown:
            assert (here / path).read_bytes().startswith(b"\x89PNG")
    assert _files(installed) == before, "nothing is written beside the installed package"
    assert [path.name for path in here.iterdir()] == ["out"]


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def stripped(tmp_path_factory) -> dict[str, str]:
    """A phantom of RSNA's prevalence without its marks and its truth, which passes for real slices: the switches that
    name its Kaggle-shaped folder and what was prepared from it."""
    folder = tmp_path_factory.mktemp("stripped")
    source, prepared = folder / "kaggle", folder / "rsna_like"
    make_phantom(source, 133, seed=3, prevalence="rsna", clean=True)
    for name in (DONE, TRUTH, "montage.png"):
        (source / name).unlink(missing_ok=True)
    for path in (source / FOLDER).glob("*.dcm"):
        data = path.read_bytes()
        assert PHANTOM_MARK.encode() in data
        path.write_bytes(data.replace(PHANTOM_MARK.encode(), b"A_SCANNER_1.0".ljust(len(PHANTOM_MARK))))
    assert not prepare(open_source(source), prepared, size=32).phantom
    return {"ICH_JAX_DATA": str(prepared), "ICH_JAX_SOURCE": str(source)}


@pytest.fixture
def common(stripped, tmp_path, monkeypatch):
    """tutorials/common.py as it is with data of your own, in the small setting, for a project in tmp_path."""
    runs = tmp_path / "reproduction"
    (runs / "runs").mkdir(parents=True)
    for name, value in (stripped | {"ICH_JAX_SMALL": "1", "ICH_JAX_RUNS": str(runs)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.delitem(sys.modules, "tutorials.common", raising=False)
    monkeypatch.chdir(tmp_path)  # and back again
    common = importlib.import_module("tutorials.common")
    monkeypatch.setattr(common, "ROOT", tmp_path)
    yield common
    sys.modules.pop("tutorials.common")


@pytest.mark.slow
@pytest.mark.tutorial
def test_all_run_on_real_data(common, tmp_path, monkeypatch):
    """Cell by cell and in one process, so that what one tutorial compiles serves the others."""
    drawn, captions = [], []  # the words in a cell's figures, and below all figures
    show = common.show

    def show_and_read(figure, caption):
        drawn.extend(text.get_text() for text in figure.findobj(Text))
        captions.append(f"{Path(sys.argv[0]).relative_to(ROOT / 'tutorials')}: {caption}")
        show(figure, caption)

    monkeypatch.setattr(common, "show", show_and_read)
    data, given = common.start(), Path(common.RUNS) / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(common, "SMALL", False)
        assert common.settings_of("proposed-32") == Settings(), "the paper's own"
        assert common.settings_of("densenet121-8") == Settings(model="densenet121", batch_size=8)
        assert common.settings_of("proposed-32", learning_rate=3e-4) == Settings(learning_rate=3e-4)
    with compiled_quickly():
        for name, split in (("proposed-32", "image"), ("proposed-32-patient", "patient")):
            train(preset("paper", batch_size=8, split=split, epochs=1), data, given / name, say=lambda _: None)
        before = {path: path.read_bytes() for path in given.glob("*/*.*")}
        said = {}
        for source in EVERY:
            monkeypatch.setattr(sys, "argv", [str(source)])
            words = _run_cells(source, drawn)
            if source in SOURCES:
                said[source.stem] = words
    assert before == {path: path.read_bytes() for path in before}, "trainings that are there are not touched"
    for name in ("00_introduction", "04_training", "06_results", "08_conclusion"):
        assert f"proposed-32: trained before, in {given / 'proposed-32'}" in said[name]
    made = {path.name for path in (common.out() / "runs").iterdir()}
    assert made == {"proposed-8", "mobilenet-8", "proposed-32-learning_rate-0.0003"}, "once for all tutorials"
    assert "Left out: nobody has measured the area of blood" in said["06_results"]
    for name in ("00_introduction", "01_material", "02_windowing", "04_training", "06_results", "08_conclusion"):
        assert [one for one in captions if one.startswith(name) and "rsna_like" in one], f"{name} names the data"
    for words in ("Table 3. Accuracy, batch 8. rsna_like", "printed", "audited", "measured here"):
        assert words in said["07_comparison"]


@pytest.mark.slow
@pytest.mark.tutorial
def test_a_phantom_can_be_shared(tmp_path):
    """It is used as the tutorials' own, with a phantom's settings, and nothing is written there."""
    shared, here = tmp_path / "the lab's phantom", tmp_path / "reader"
    here.mkdir()
    make_phantom(shared / "kaggle", 110, seed=0)
    prepare(open_source(shared / "kaggle"), shared / "prepared", size=32)
    before = _files(shared)
    code = f"""
        import runpy, sys
        from tutorials import common
        common.ROOT = {str(here)!r}
        assert not common.GIVEN
        for source in {[str(ROOT / "tutorials" / name) for name in ("01_material.py", "02_windowing.py")]!r}:
            sys.argv = [source]
            runpy.run_path(source, run_name="__main__")
        """
    done = _run("-c", inspect.cleandoc(code), ICH_JAX_DATA=str(shared), ICH_JAX_SMALL="1")
    assert done.returncode == 0, done.stderr
    assert "PHANTOM" in done.stdout
    assert _files(shared) == before
    assert [path.name for path in here.iterdir()] == ["out"]


def _run_cells(source: Path, drawn: list[str]) -> str:
    """Run a tutorial's cells; returns what they said. None says PHANTOM, in text or figure, unless it draws one."""
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


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"ICH_JAX_DATA": "nowhere"}, "nowhere: not a prepared folder"),
        ({"ICH_JAX_RUNS": "somewhere"}, "go with ICH_JAX_DATA"),
    ],
)
def test_a_wrong_switch_is_one_line(switches, words):
    done = _run("tutorials/05_metrics.py", **switches)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def _run(*words: str, **switches: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], env=os.environ | switches, cwd=ROOT, capture_output=True, text=True)


def _name(source: Path) -> str:
    return source.stem if source not in ANSWERS else f"answers-{source.stem}"


@pytest.mark.parametrize("source", EVERY, ids=_name)
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
    if source not in ANSWERS:
        assert any("image/png" in output.get("data", {}) for output in outputs)
    assert str(ROOT) not in path.read_text(encoding="utf-8"), "no path of the machine that made it"
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_exercise_has_an_answer_elsewhere(source):
    text, answers = (path.read_text(encoding="utf-8") for path in (source, source.parent / "answers" / source.name))
    exercises = _numbered(r"^# (\d)\. (.*\n(?:#    .*\n)*)", text.split("# ## Try it\n")[1])
    assert [*exercises] in (["1", "2"], ["1", "2", "3"])
    assert "# %%" not in text.split("# ## Try it\n")[1], "the exercises are the end"
    assert not re.search(r"<summary>|source_hidden|^# #+ Answer", text, re.MULTILINE)
    assert f"(answers/{source.stem}.ipynb)" in text
    assert f"(../{source.stem}.ipynb)" in answers
    assert _numbered(r"^# ## (\d)\n#\n((?:# > .*\n)+)", answers) == exercises, "the exercise stands above its answer"
    for part in re.split(r"^# ## \d$", answers, flags=re.MULTILINE)[1:]:
        assert "\n# %%\n" in part, "each answer has code that runs"


def _numbered(pattern: str, text: str) -> dict[str, str]:
    """What the pattern finds, its two groups, the second without marks and line breaks."""
    return {
        number: " ".join(words.replace("\n", " ").replace("# >", " ").replace("#", " ").split())
        for number, words in re.findall(pattern, text, re.MULTILINE)
    }


@pytest.mark.parametrize("source", EVERY, ids=_name)
def test_the_first_cell_finds_the_package(source):
    first = next(cell for cell in jupytext.read(source, fmt="py:percent").cells if cell.cell_type == "code").source
    with pytest.MonkeyPatch.context() as patch:
        exec(first, {})
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match="%pip install <folder or git address of this project>"):
            exec(first, {})


@pytest.mark.parametrize("page", ["README.md", "tutorials/README.md", "data/README.md", *DOCS])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert page.startswith(("data/", "docs/")) or links
    for link in links:
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("source", EVERY, ids=_name)
def test_links_between_tutorials(source):
    for link in re.findall(r"\]\(([^)]+\.ipynb)\)", source.read_text(encoding="utf-8")):
        assert (source.parent / link).with_suffix(".py").resolve() in EVERY
