from collections import Counter

import jax
import numpy as np
import pytest

from ich_jax.data.prepared import open_prepared
from ich_jax.plumbing.command import InputError
from ich_jax.training import shuffled
from ich_jax.training.config import Settings
from ich_jax.training.run import train

pytestmark = pytest.mark.usefixtures("narrow")
SETTINGS = Settings(batch_size=16, learning_rate=1e-3, epochs=2)


@pytest.fixture(scope="module")
def run(narrow, toy, tmp_path_factory):
    return train(SETTINGS, toy, tmp_path_factory.mktemp("runs") / "run", say=lambda _: None)


def test_only_the_training_labels_are_permuted():
    classes, rows = np.arange(60) % 6, np.arange(0, 60, 2)
    changed = shuffled.shuffled(classes, rows, seed=0)
    others = np.setdiff1d(np.arange(60), rows)
    np.testing.assert_array_equal(changed[others], classes[others])
    assert Counter(changed[rows].tolist()) == Counter(classes[rows].tolist())
    assert (changed[rows] != classes[rows]).mean() > 0.4
    assert (changed != shuffled.shuffled(classes, rows, seed=1)).any()


def test_cut_off_it_goes_on_to_the_same_network(run, toy, tmp_path):
    data, said = open_prepared(toy), []
    whole = shuffled.train_on_shuffled_labels(run, data, tmp_path / "whole", said.append)

    def stop(line):
        if line.startswith("epoch  1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shuffled.train_on_shuffled_labels(run, data, tmp_path / "cut", stop)
    again = shuffled.train_on_shuffled_labels(run, data, tmp_path / "cut", said.append)
    kept = shuffled.train_on_shuffled_labels(run, None, tmp_path / "cut", said.append)
    for other in (again, kept):
        jax.tree.map(np.testing.assert_array_equal, whole.params, other.params)
    assert len([line for line in said if "shuffled labels: train loss" in line]) == run.stopping.best_epoch + 1
    with pytest.raises(AssertionError):
        jax.tree.map(np.testing.assert_array_equal, whole.params, run.state.params)


def test_a_folder_of_something_else_is_left_alone(run, toy, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(InputError, match="is no network of shuffled labels"):
        shuffled.train_on_shuffled_labels(run, open_prepared(toy), tmp_path)
