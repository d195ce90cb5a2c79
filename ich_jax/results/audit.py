"""The paper's figures, recomputed from its own confusion matrices (paper: Bulgular).

A confusion matrix holds all that the weighted metrics are made of, so Tables 6–9 can check Tables 3 and 5, and give
what the paper does not print. Nothing is trained here.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES, NETWORK_NAMES, NETWORKS
from ich_jax.plumbing import tables
from ich_jax.show import document
from ich_jax.show.document import Table, Text

ROUNDING = 0.5e-4  # printed figures have four digits

# The label file stage_2_train.csv, as published.
DUPLICATED_IDS = 4  # distinct images listed twice, all without hemorrhage


class Finding(NamedTuple):
    """A disagreement: what stands where, and why it matters."""

    where: str
    what: str
    why: str


class Audit(NamedTuple):
    values: dict[str, dict[str, float]]  # network → metric (names as in metrics.json) → value
    tables: list[Table]
    findings: list[Finding]


def audit(confusion: Callable[[str], np.ndarray] = printed.confusion) -> Audit:
    """Recompute everything from the (6, 6) confusion matrices, rows actual, that `confusion` gives for each network."""
    matrices = {network: confusion(network) for network in NETWORKS}
    values = {network: metrics.from_confusion(matrix) for network, matrix in matrices.items()}
    found = [_printed(values), _unprinted(values), _recalls(matrices), _table_1()]
    return Audit(values, found, _findings(matrices, values))


def printed_figures(network: str) -> dict[str, float]:
    """What Tables 3 and 5 print of a network, by the names of metrics.json."""
    weighted = printed.table_5()[network]
    return {
        "accuracy": printed.table_3()[network]["test_accuracy"],
        "precision_weighted": weighted["precision"],
        "recall_weighted": weighted["recall"],
        "f1_weighted": weighted["f1"],
    }


def disagrees(printed_value: float, value: float) -> bool:
    """Whether a printed figure is not the value rounded to four digits."""
    return abs(printed_value - value) > ROUNDING + 1e-9


def _printed(values: dict) -> Table:
    titles = ("accuracy, Table 3", "weighted precision, Table 5", "weighted recall, Table 5", "weighted F1, Table 5")
    rows = []
    for network in NETWORKS:
        for title, (metric, figure) in zip(titles, printed_figures(network).items(), strict=True):
            value = values[network][metric]
            difference = f"{figure - value:+.4f}" if disagrees(figure, value) else "="
            rows.append((f"{NETWORK_NAMES[network]}: {title}", f"{figure:.4f}", f"{value:.4f}", difference))
    header = ("figure", "printed", "recomputed", "printed − recomputed")
    return Table("Printed in the paper, and recomputed from its Tables 6–9 (test part)", header, rows)


def _unprinted(values: dict) -> Table:
    names = {
        "balanced_accuracy": "balanced accuracy",
        "f1_macro": "macro F1",
        "mcc": "Matthews corr.",
        "any_sensitivity": "any-ICH sens.",
        "any_specificity": "any-ICH spec.",
        "accuracy": "accuracy",
        "majority_accuracy": "always 'none'",
    }
    rows = [(NETWORK_NAMES[network], *(f"{values[network][name]:.4f}" for name in names)) for network in NETWORKS]
    return Table("The paper's networks: what it does not print", ("network", *names.values()), rows)


def _recalls(matrices: dict[str, np.ndarray]) -> Table:
    rows = [
        (NETWORK_NAMES[network], *(f"{r:.4f}" for r in metrics.recall(matrix))) for network, matrix in matrices.items()
    ]
    return Table("The paper's networks: recall of each class", ("network", *CLASSES), rows)


def _table_1() -> Table:
    rows = []
    for name, counts in printed.table_1().items():
        distinct = counts["total"] - (DUPLICATED_IDS if name == "none" else 0)
        rows.append((name, *(f"{n:,}" for n in (counts["total"], distinct, distinct // 4, counts["test"]))))
    header = ("class", "total (Table 1)", "distinct images", "a quarter of them", "test (Table 1)")
    return Table("The paper's images, Table 1", header, rows)


def _findings(matrices: dict[str, np.ndarray], values: dict) -> list[Finding]:
    return [
        *_accuracies(values),
        *_weighted_recalls(values),
        *_never_found(matrices),
        *_sensitivities(values),
        _baseline(values),
        *_duplicates(),
    ]


def _accuracies(values: dict) -> list[Finding]:
    found = []
    for network in NETWORKS:
        figure, value = printed_figures(network)["accuracy"], values[network]["accuracy"]
        if not disagrees(figure, value):
            continue
        baseline = values[network]["majority_accuracy"]
        rank_printed = sorted(NETWORKS, key=lambda n: -printed_figures(n)["accuracy"]).index(network) + 1
        rank = sorted(NETWORKS, key=lambda n: -values[n]["accuracy"]).index(network) + 1
        why = f"its rank among the four is {rank_printed} by the printed figure, {rank} by its matrix"
        if figure < baseline < value:
            why += f"; the printed figure is below answering 'none' every time ({baseline:.4f}), the matrix is above"
        where = f"Table 3 against Table {printed.CONFUSION_TABLES[network]}"
        found.append(
            Finding(where, f"{NETWORK_NAMES[network]}'s accuracy is {figure:.4f}, its matrix gives {value:.4f}", why)
        )
    return found


def _weighted_recalls(values: dict) -> list[Finding]:
    why = "weighted recall is accuracy, always (class sizes cancel): one of them is misprinted, or of other answers"
    return [
        Finding(
            f"Table 5 against Table {printed.CONFUSION_TABLES[network]}",
            f"{NETWORK_NAMES[network]}'s weighted recall is {printed_figures(network)['recall_weighted']:.4f},"
            f" its matrix's accuracy {values[network]['accuracy']:.4f}",
            why,
        )
        for network in NETWORKS
        if disagrees(printed_figures(network)["recall_weighted"], values[network]["accuracy"])
    ]


def _never_found(matrices: dict[str, np.ndarray]) -> list[Finding]:
    found = []
    for network, matrix in matrices.items():
        for k, name in enumerate(CLASSES):
            if matrix[k].sum() and not matrix[k, k]:
                share = matrix[k].sum() / matrix.sum()
                what = f"{NETWORK_NAMES[network]} never finds {name}: recall 0 of {matrix[k].sum():,} slices"
                why = f"they are {share:.2%} of the test part, so accuracy and the weighted metrics hardly notice"
                found.append(Finding(f"Table {printed.CONFUSION_TABLES[network]}", what, why))
    return found


def _sensitivities(values: dict) -> list[Finding]:
    accurate = max(values, key=lambda n: values[n]["accuracy"])
    sensitive = max(values, key=lambda n: values[n]["any_sensitivity"])
    if accurate == sensitive:
        return []
    found = {network: f"{values[network]['any_sensitivity']:.4f}" for network in (accurate, sensitive)}
    what = (
        f"{NETWORK_NAMES[accurate]} is the most accurate ({values[accurate]['accuracy']:.4f}),"
        f" but {NETWORK_NAMES[sensitive]} finds more of the hemorrhages ({found[sensitive]} against {found[accurate]})"
    )
    return [Finding("Tables 6–9", what, "which network is best depends on what a missed bleed costs")]


def _baseline(values: dict) -> Finding:
    best = max(values, key=lambda n: values[n]["accuracy"])
    accuracy, baseline = values[best]["accuracy"], values[best]["majority_accuracy"]
    what = f"answering 'none' every time is right for {baseline:.4f} of the slices, the best network for {accuracy:.4f}"
    why = "accuracy flatters where one class dominates; that network's balanced accuracy is"
    return Finding("Tables 6–9", what, f"{why} {values[best]['balanced_accuracy']:.4f}")


def _duplicates() -> list[Finding]:
    found = []
    for name, counts in printed.table_1().items():
        if counts["total"] // 4 != counts["test"]:
            distinct = counts["total"] - DUPLICATED_IDS
            what = (
                f"'{name}' is counted as {counts['total']:,}, but a quarter of that is {counts['total'] // 4:,} and not"
                f" the {counts['test']:,} printed; {distinct:,} distinct images give {distinct // 4:,}"
            )
            why = (
                f"{DUPLICATED_IDS} IDs are in the label file twice; the paper seems to count both, in its training part"
            )
            found.append(Finding("Table 1", what, why))
    return found


def as_text(result: Audit) -> str:
    """For the terminal."""
    parts = [f"{title}\n\n{tables.text(header, rows)}" for title, header, rows in result.tables]
    parts.append("\n".join(["Findings", ""] + [f"- {where}: {what}; {why}." for where, what, why in result.findings]))
    return "\n\n\n".join(parts)


def as_markdown(result: Audit) -> str:
    findings = "\n".join(f"- **{where}**: {what}; {why}." for where, what, why in result.findings)
    return document.as_markdown([*result.tables, Text(f"### Findings\n\n{findings}")])
