import numpy as np
import pytest

from ich_jax.paper import printed
from ich_jax.paper.printed import CLASSES, NETWORKS, TYPES


def test_the_classes_are_the_papers_s1_to_s6():
    assert CLASSES == ("none", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
    assert set(TYPES) == set(CLASSES) - {"none"}


def test_the_settings_are_those_of_the_text():
    assert (printed.IMAGE_SIZE, printed.LEARNING_RATE, printed.BETA1) == (224, 1e-5, 0.95)
    assert (printed.BATCH_SIZE, printed.BATCH_SIZE_OF_COMPARISON) == (32, 8)
    assert (printed.EPOCHS, printed.PATIENCE) == (30, 3)


def test_every_table_has_the_four_networks_under_the_same_names():
    assert tuple(printed.NETWORK_NAMES) == tuple(printed.CONFUSION_TABLES) == NETWORKS
    for table in (printed.table_3(), printed.table_4(), printed.table_5()):
        assert tuple(table) == NETWORKS


def test_table_1_adds_up():
    table = printed.table_1()
    assert table.keys() == set(CLASSES)
    for row in table.values():
        assert row["train"] + row["validation"] + row["test"] == row["total"]
    assert sum(row["total"] for row in table.values()) == 720_733


@pytest.mark.parametrize("network", NETWORKS)
def test_a_confusion_matrix_has_the_test_slices_of_table_1_in_its_rows(network):
    confusion = printed.confusion(network)
    table = printed.table_1()
    assert confusion.sum(axis=1).tolist() == [table[name]["test"] for name in CLASSES]


def test_the_confusion_matrices_give_the_test_accuracies_of_table_3_but_for_densenet121():
    """There the paper contradicts itself, and Table 5's weighted recall takes the side of the matrix."""
    table = printed.table_3()
    for network in NETWORKS:
        confusion = printed.confusion(network)
        accuracy = np.trace(confusion) / confusion.sum()
        if network == "densenet121":
            assert round(accuracy, 4) == 0.9131
            assert table[network]["test_accuracy"] == 0.8816
            assert printed.table_5()[network]["recall"] == pytest.approx(accuracy, abs=1.5e-4)
        else:
            assert table[network]["test_accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_table_2_is_the_proposed_network_at_batch_32():
    table = printed.table_2()
    assert (table["batch_size"], table["validation_loss"], table["test_accuracy"]) == (32, 0.2561, 0.9263)
