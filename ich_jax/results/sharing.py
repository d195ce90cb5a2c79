"""A trained network in a folder to pass on: what training/shared.py writes, a model card, an ONNX file if asked."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from flax import nnx

from ich_jax.data.prepared import open_same
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.command import InputError
from ich_jax.plumbing.files import read_json, size_in_words, whole_folder, write_whole
from ich_jax.results.model_card import METRICS, Tested, model_card
from ich_jax.training.outcome import read_outcome
from ich_jax.training.run import Run, open_run
from ich_jax.training.shared import facts, write_shared

ONNX = "model.onnx"
SAID = ("slices", "majority_accuracy", "per_class", *METRICS.values())  # of metrics.json, by the card


def share(
    folder: str | Path,
    out: str | Path,
    data: str | Path | None = None,
    *,
    onnx: bool = False,
    say: Callable[[str], object] = print,
) -> Path:
    """Write a run's best epoch into a new folder: whole or not at all.

    Args:
        folder: the run folder.
        out: a new or empty folder.
        data: the prepared folder, if it has moved since the training. The card's intervals need it.
        onnx: model.onnx as well.
        say: what was written goes here, line by line.

    Returns:
        `out`.

    Raises:
        InputError: the run or the data are not right, `out` holds files, or the package onnx is missing.
    """
    if onnx and not find_spec("onnx"):
        raise InputError("--onnx needs the package onnx: `pip install -r requirements-onnx.txt`")
    run, out = open_run(folder), Path(out)
    tested = how_it_was_tested(run, data)
    with whole_folder(out) as new:
        write_shared(new, run)
        if onnx:
            (new / ONNX).write_bytes(_as_onnx(run))
        sizes = {path.name: path.stat().st_size for path in sorted(new.iterdir())}
        write_whole(new / "README.md", lambda file: file.write(model_card(run, tested, sizes)))
    kind = "PHANTOM, trained on synthetic slices: " if run.found.phantom else ""
    say(f"{kind}{run.settings.model}, epoch {run.stopping.best_epoch}")
    say("\n".join(f"{out / name}: {size_in_words(size)}" for name, size in sizes.items() if size >= 10**6))
    say(f"{out / 'README.md'}: its model card{f' ({tested.missing})' if tested.missing else ''}")
    return out


def _as_onnx(run: Run) -> bytes:
    from ich_jax.models.as_onnx import GRAPHS, to_onnx  # onnx is not among the requirements

    model = nnx.merge(run.network.structure, run.state.params, run.state.batch_stats)
    if type(model) not in GRAPHS:
        raise InputError(f"--onnx: models/as_onnx.py has no graph of {run.settings.model} yet")
    return to_onnx(model, run.found.image_size, len(CLASSES), facts(run.found))


def how_it_was_tested(run: Run, data: str | Path | None = None) -> Tested:
    """What the run has of its test, and why what is missing is.

    Raises InputError if the files are damaged, or `data` is given and is not what the run was trained on.
    """
    path = run.folder / "metrics.json"
    if not path.exists():
        return Tested(None, None, "it was not evaluated; `python -m ich_jax.evaluate` does that")
    metrics = read_json(path)
    if (metrics.get("epochs"), metrics.get("best_epoch")) != (run.stopping.epoch, run.stopping.best_epoch):
        return Tested(
            None, None, "it was evaluated at an earlier epoch only; `python -m ich_jax.evaluate` does it anew"
        )
    if not set(SAID) <= metrics.keys():
        raise InputError(f"{path}: damaged: incomplete; `python -m ich_jax.evaluate` writes it anew")
    try:
        prepared = open_same(data or run.found.data, run.found.fingerprint)
    except (InputError, OSError):
        if data:
            raise
        return Tested(metrics, None, "without intervals: its data set was not at hand; --data names it")
    outcome = read_outcome(run.folder, prepared)
    if "" in outcome.patients:
        return Tested(metrics, None, "without intervals: its slices do not tell their patients")
    return Tested(metrics, outcome, "")
