import re

import numpy as np
import pytest

from ich_jax import audit as command
from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES
from ich_jax.results import audit

# What must come out, to the digit: accuracy; weighted precision, recall, F1; balanced accuracy; macro F1;
# any-hemorrhage sensitivity and specificity.
EXPECTED = {
    "proposed": "0.9281 0.9265 0.9281 0.9247 0.5397 0.6027 0.6390 0.9737",
    "densenet121": "0.9131 0.9184 0.9131 0.9139 0.5018 0.5187 0.6834 0.9573",
    "mobilenet": "0.9087 0.8854 0.9087 0.8901 0.3333 0.3809 0.3570 0.9850",
    "inception_v1": "0.9221 0.9209 0.9221 0.9190 0.4782 0.5136 0.6503 0.9705",
}
METRICS = ("accuracy", "precision_weighted", "recall_weighted", "f1_weighted", "balanced_accuracy", "f1_macro")
METRICS += ("any_sensitivity", "any_specificity")


def changed(network, row, column, by):
    def confusion(name):
        matrix = printed.confusion(name)
        if name == network:
            matrix[row, column] += by
        return matrix

    return confusion


@pytest.mark.parametrize("network", printed.NETWORKS)
def test_every_figure_is_recomputed(network, capsys):
    result = command.main(["--markdown"])
    out = capsys.readouterr().out
    for metric, figure in zip(METRICS, EXPECTED[network].split(), strict=True):
        assert f"{result.values[network][metric]:.4f}" == figure
        assert any(
            figure in line for line in out.splitlines() if line.startswith(f"| {printed.NETWORK_NAMES[network]}")
        )
    for figure in audit.printed_figures(network).values():
        assert f"{figure:.4f}" in out


def test_changing_one_cell_changes_the_output():
    for network in printed.NETWORKS:
        before, after = audit.audit(), audit.audit(changed(network, 5, 5, -500))
        assert audit.as_markdown(before) != audit.as_markdown(after)
        assert audit.as_text(before) != audit.as_text(after)
        assert before.values[network]["accuracy"] > after.values[network]["accuracy"]


def test_what_it_flags():
    found = audit.as_text(audit.audit())
    assert "DenseNet121's accuracy is 0.8816, its matrix gives 0.9131" in found
    assert "4 by the printed figure, 3 by its matrix" in found
    assert "below answering 'none' every time (0.8948)" in found
    assert "Inception v1's weighted recall is 0.9241, its matrix's accuracy 0.9221" in found
    assert "'none' is counted as 644,874" in found
    assert "644,870 distinct images give 161,217" in found
    for name in ("DenseNet121", "Inception v1"):
        assert f"{name} never finds epidural: recall 0 of 423 slices" in found
    assert "DenseNet121 finds more of the hemorrhages (0.6834 against 0.6390)" in found


def test_nothing_is_flagged_that_is_not_so():
    assert not any("never finds" in f.what for f in audit.audit(lambda _: np.eye(6, dtype=int) * 10).findings)
    found = audit.audit(changed("densenet121", 1, 1, 1)).findings
    assert not any("DenseNet121 never finds" in f.what for f in found)
    accuracies = [f.what for f in found if f.where.startswith("Table 3")]
    assert len(accuracies) == 1
    assert not audit.disagrees(0.9281, 0.92805)
    assert audit.disagrees(0.9281, 0.9280)


def test_the_matrices_have_the_test_parts_rows():
    for network in printed.NETWORKS:
        rows = dict(zip(CLASSES, printed.confusion(network).sum(axis=1).tolist(), strict=True))
        assert rows == {name: counts["test"] for name, counts in printed.table_1().items()}


def test_a_weighted_recall_is_an_accuracy():
    for network in printed.NETWORKS:
        values = metrics.from_confusion(printed.confusion(network))
        assert values["recall_weighted"] == pytest.approx(values["accuracy"], abs=1e-12)


def test_the_terminals_table_fits_a_terminal(capsys):
    command.main([])
    tables, _ = capsys.readouterr().out.split("Findings")
    assert max(map(len, tables.splitlines())) <= 120
    assert not re.search(r"nan|inf\b", tables)
