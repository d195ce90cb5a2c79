"""The three rules and the five floors of docs/contributing.md, read from the code's own imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ich_jax"
FLOORS = (
    {"paper", "plumbing"},
    {"models", "data", "show"},
    {"phantom", "training"},
    {"results"},
)
DOORS = sorted(path for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The folder a module is in; "" for a door."""
    return path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""


def imported(path: Path) -> set[str]:
    """The modules of ich_jax that a file imports, dotted, as in 'training.run'; wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.removeprefix("ich_jax.") for name in names if name.startswith("ich_jax.")}
    return found


def modules_imported(path: Path) -> set[Path]:
    found = set()
    for name in imported(path):
        for dotted in (name, name.rpartition(".")[0]):
            place = PACKAGE.joinpath(*dotted.split("."))
            found |= {place.with_suffix(".py"), place / "__init__.py"} & set(MODULES) if dotted else set()
    return found


def test_there_are_doors_and_rooms():
    doors = {"audit", "evaluate", "explain", "predict", "prepare", "reproduce", "share", "train", "view"}
    assert {path.stem for path in DOORS} == doors
    assert {room(path) for path in MODULES} - {""} == set.union(*FLOORS)


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_a_door_is_short_and_imports_no_other_door(door):
    assert len(door.read_text(encoding="utf-8").splitlines()) <= 80
    assert not modules_imported(door) & set(DOORS)


def test_no_module_imports_a_door():
    assert not [path for path in MODULES if path.name != "__main__.py" and modules_imported(path) & set(DOORS)]


def test_the_paper_needs_nothing_else_of_ours():
    for path in (PACKAGE / "paper").glob("*.py"):
        assert {name.split(".")[0] for name in imported(path)} <= {"paper"}, path


def test_plumbing_knows_neither_ct_nor_jax():
    for path in (PACKAGE / "plumbing").glob("*.py"):
        assert {name.split(".")[0] for name in imported(path)} <= {"plumbing"}, path
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("import jax", "import flax", "pydicom", "Hounsfield")), path


def test_imports_point_down():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    for path in MODULES:
        if room(path):
            others = {name.split(".")[0] for name in imported(path)} - {room(path)}
            assert all(floor[other] < floor[room(path)] for other in others), (path, others)


def test_there_are_no_circles():
    graph = {path: modules_imported(path) - {path} for path in MODULES}
    while graph:
        free = {path for path, needs in graph.items() if not needs & graph.keys()}
        assert free, sorted(map(str, graph))
        graph = {path: needs for path, needs in graph.items() if path not in free}
