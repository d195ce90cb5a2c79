"""What the tests share. The real slices come from the folder that ICH_JAX_RSNA_SAMPLE names; without it their tests
are skipped and say so (continuous integration always sets it). So are those in a browser where there is no Chromium,
unless ICH_JAX_CHROMIUM says where it is.

Each test runs in an empty folder of its own, so none depends on what the checkout holds. Compiled programs are kept for
the length of a test run, for all its processes: many tests train the same small network.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
CACHE = "JAX_COMPILATION_CACHE_DIR"

_made = None
if CACHE not in os.environ:  # before anything imports jax; worker processes inherit it
    _made = os.environ[CACHE] = tempfile.mkdtemp(prefix="ich_jax-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
os.environ["KERAS_BACKEND"] = "jax"
# No test fails for being slow: on a busy machine an example may take longer than Hypothesis's 200 ms.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def pytest_unconfigure() -> None:
    if _made:
        shutil.rmtree(_made, ignore_errors=True)


def pytest_collection_modifyitems(items) -> None:
    """The slow ones first, so that at the end no process works alone."""
    items.sort(key=lambda item: not item.get_closest_marker("slow"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@contextmanager
def compiled_quickly():
    """Programs that run a few times need not be fast, neither here nor in the processes that a test starts."""
    import jax

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        try:
            yield
        finally:
            jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def rsna_sample() -> Path:
    name = os.environ.get("ICH_JAX_RSNA_SAMPLE")
    if not name:
        pytest.skip("needs real RSNA slices: set ICH_JAX_RSNA_SAMPLE to a folder in Kaggle's layout")
    folder = ROOT / name
    assert list(folder.glob("stage_2_train/*.dcm")), f"ICH_JAX_RSNA_SAMPLE={name} holds no slices"
    return folder


@pytest.fixture(scope="session")
def rsna_files(rsna_sample) -> list[Path]:
    return sorted(rsna_sample.glob("stage_2_train/*.dcm"))


@pytest.fixture(scope="session")
def browse() -> Iterator[Callable]:
    """`browse(file, look, **options)` opens a file from disk in Chromium and returns `look(page)`; the options are
    those of Playwright's `new_page`. It fails if the page writes anything to the console, or asks for any other file.

    In a thread of its own: Playwright keeps an event loop running, and Orbax cannot start one beside it.
    """
    named = os.environ.get("ICH_JAX_CHROMIUM")
    path = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("needs Chromium (Debian: apt-get install chromium), or ICH_JAX_CHROMIUM with its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, see requirements-dev.txt")
    with ThreadPoolExecutor(max_workers=1) as thread:
        playwright = thread.submit(lambda: sync_api.sync_playwright().start()).result()
        browser = thread.submit(
            lambda: playwright.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=120_000)
        ).result()

        def visit(file: Path, look: Callable, **options) -> object:
            said = []
            page = browser.new_page(**({"viewport": {"width": 1400, "height": 900}} | options))
            page.set_default_timeout(120_000)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: said.append(request.url))
            try:
                page.goto(file.resolve().as_uri())
                if options.get("java_script_enabled", True):
                    page.wait_for_selector("#picture[data-shows]")
                found = look(page)
            finally:
                page.close()
            assert said == [file.resolve().as_uri()]
            return found

        yield lambda *arguments, **options: thread.submit(visit, *arguments, **options).result()
        thread.submit(browser.close).result()
        thread.submit(playwright.stop).result()


@pytest.fixture(scope="module")
def narrow():
    """Where only what surrounds them matters, one narrow network stands for all four. In a process of its own
    `python -m benchmarks.narrow COMMAND` does the same."""
    from benchmarks.narrow import NarrowCNN
    from ich_jax.models import MODELS

    with compiled_quickly(), pytest.MonkeyPatch.context() as patch:
        for name in MODELS:
            patch.setitem(MODELS, name, NarrowCNN)
        yield


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A prepared folder of 96 random 32×32 images, 24 patients, six classes told apart by colour."""
    from tests.make import make_prepared

    return make_prepared(tmp_path_factory.mktemp("toy") / "toy")
