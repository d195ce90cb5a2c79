"""The page that goes with a network: what it learned from, how good it was, what it must not be used for."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np

from ich_jax.paper.metrics import auc
from ich_jax.paper.printed import CLASSES, NETWORK_NAMES, TITLE
from ich_jax.paper.windowing import WINDOWS
from ich_jax.plumbing.tables import markdown
from ich_jax.results.beyond_the_paper import WITH_INTERVALS
from ich_jax.results.bootstrap import DRAWS, auc_of_draws, draws, interval, metric_of_draws, patient_confusions
from ich_jax.training.config import unlike_the_paper
from ich_jax.training.outcome import Outcome, of_a_phantom
from ich_jax.training.run import Run
from ich_jax.training.series import shown

SPLITS = {
    "image": "by image, as in the paper: patients of the test part are in the training part too, so the figures below "
    "are better than on new patients",
    "patient": "by patient: none of the test part was seen in training",
}

METRICS = {name: name.replace("-hemorrhage", "").replace(" ", "_") for name in WITH_INTERVALS}  # in metrics.json


class Tested(NamedTuple):
    """What a run has of its test. `missing` says why a part of it is not there."""

    metrics: dict | None
    outcome: Outcome | None  # with patients, for intervals
    missing: str


def model_card(run: Run, tested: Tested, sizes: Mapping[str, int]) -> str:
    """Markdown, from the run alone.

    Args:
        run: the network.
        tested: from `sharing.how_it_was_tested`.
        sizes: bytes of the files beside the page, by name.
    """
    found, settings, stopping = run.found, run.settings, run.stopping
    mark = "PHANTOM: " if found.phantom else ""
    name = NETWORK_NAMES[settings.model]
    trainable, statistics = (
        sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (run.state.params, run.state.batch_stats)
    )
    data = f"`{shown(found.title).replace('`', '?')}`"
    parts = ", ".join(f"{count:,} {part}" for part, count in found.slices.items())
    ended = stopping.should_stop or stopping.epoch >= settings.epochs
    unlike = unlike_the_paper(settings, found)
    sections = [
        f"# {mark}{name}, six classes of hemorrhage in slices of head CT",
        f"Made with ich_jax, which makes a paper executable, the one that is meant below: *{TITLE}*.",
        "**Not a medical device. Never use it on, or to decide about, a patient; for learning and research alone.**",
    ]
    if found.phantom:
        said = of_a_phantom(settings, found)
        sections.append(f"**{said[0].upper()}{said[1:]}. The figures below are of synthetic slices.**")
    sections.append(
        "\n".join(
            [
                f"- network: {name}, {trainable + statistics:,} parameters, {trainable:,} of them trainable",
                f"- input: {found.image_size}×{found.image_size} pixels, three windows as colours: {_windows()}",
                f"- output: a probability for each of {', '.join(CLASSES)}",
                f"- data: {data}",
                f"- slices: {parts}; split {SPLITS[settings.split]}",
                f"- training: best epoch {stopping.best_epoch} of {stopping.epoch}"
                f"{'' if ended else f', not finished (up to {settings.epochs})'}; layers in {settings.precision}",
                f"- not as in the paper: {', '.join(unlike) or 'nothing'}",
            ]
        )
    )
    sections += [f"## {mark}How good it was", *_metrics(run, tested)]
    sections += ["## What it must not be used for", MUST_NOT, "## Files"]
    sections.append(markdown(("file", "bytes"), [(file, f"{size:,}") for file, size in sizes.items()]))
    sections.append(USE)
    if "model.onnx" in sizes:
        sections.append(ONNX.format(size=found.image_size))
    return "\n\n".join(sections) + "\n"


MUST_NOT = """Diagnosis, triage, second opinions, or anything else that touches a patient. It sorts single slices into
one of six classes; it knows no scan, no history and no other finding, and always answers, also for what is no head.
Other scanners, protocols, ages and hospitals than those of its data were not tested."""

USE = """Where ich_jax is installed, `python -m ich_jax.predict THIS_FOLDER FILE.dcm` answers for DICOM files, with
the numbers of the run itself.
model.safetensors holds weights alone, config.json the settings; reading them runs no code."""

ONNX = """model.onnx needs no JAX. Its input `images` is (batch, {size}, {size}, 3) uint8, any batch; its output
`probabilities` is (batch, 6) float32. It computes in float32, whatever the training's precision. It does not read
DICOM: make the images as `ich_jax.data.preprocess.slice_to_image` does."""


def _windows() -> str:
    return ", ".join(f"level {window.level_hu} width {window.width_hu} HU" for window in WINDOWS)


def _metrics(run: Run, tested: Tested) -> Iterator[str]:
    metrics, outcome, missing = tested
    if metrics is None:
        yield f"Nobody knows: {missing}."
        return
    mark = "PHANTOM" if run.found.phantom else ""
    if outcome is None:
        yield f"{metrics['slices']:,} slices of the test part, {missing}."
        rows = [(name, f"{metrics[key]:.3f}") for name, key in METRICS.items()]
        yield markdown((mark or "metric", "value"), rows)
        return
    drawn = draws(len(np.unique(outcome.patients)), seed=0)
    yield (
        f"{len(outcome.actual):,} slices of {drawn.shape[1]:,} patients, the test part. In brackets, 95 % intervals by "
        f"{DRAWS:,} bootstrap draws of whole patients. Always saying none has an accuracy of "
        f"{metrics['majority_accuracy']:.3f}."
    )
    confusions = patient_confusions(outcome.actual, outcome.predicted, outcome.patients)
    rows = [
        (name, _cell(metric(outcome.confusion), metric_of_draws(metric, confusions, drawn)))
        for name, metric in WITH_INTERVALS.items()
    ]
    yield markdown((mark or "metric", "value"), rows)
    yield markdown((mark or "class", "slices", "recall", "precision", "AUC"), list(_per_class(metrics, outcome, drawn)))


def _per_class(metrics: dict, outcome: Outcome, drawn: np.ndarray) -> Iterator[tuple[str, ...]]:
    place = np.unique(outcome.patients, return_inverse=True)[1]
    for k, (name, row) in enumerate(metrics["per_class"].items()):
        positive, scores = outcome.actual == k, outcome.probabilities[:, k]
        area = auc(positive, scores)
        area = math.nan if area is None else area
        cell = _cell(area, auc_of_draws(positive, scores, place, drawn))
        yield name, f"{row['support']:,}", f"{row['recall']:.3f}", f"{row['precision']:.3f}", cell


def _cell(value: float, of_draws: np.ndarray) -> str:
    """The value and its interval; a dash for 0/0."""
    if math.isnan(value):
        return "—"
    low, high = interval(of_draws)
    return f"{value:.3f} ({low:.3f}…{high:.3f})"
