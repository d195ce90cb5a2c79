import itertools
import threading

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ich_jax.data.prepared import open_prepared
from ich_jax.plumbing.command import InputError
from ich_jax.training.batches import evaluation_batches, split_rows, training_batches
from ich_jax.training.config import SPLITS, Settings

COUNT = 37
IMAGES = np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
CLASSES = (np.arange(COUNT) % 6).astype(np.int32)


def seen(batches):
    batches = list(batches)
    for batch in batches:
        assert isinstance(batch.images, jax.Array)
        np.testing.assert_array_equal(np.asarray(batch.images)[:, 0, 0, 0] % 6, batch.classes)
    return [np.asarray(batch.images)[:, 0, 0, 0].tolist() for batch in batches]


@pytest.mark.parametrize("split", SPLITS)
def test_a_limit_uses_so_many_slices_and_always_the_same(toy, split):
    prepared = open_prepared(toy)
    parts = split_rows(prepared, Settings(split=split, limit=40))
    used = np.concatenate(list(parts.values()))
    assert len(used) == len(set(used.tolist())) == 40
    again = split_rows(prepared, Settings(split=split, limit=40, seed=5))
    assert all((parts[part] == again[part]).all() for part in parts), "the seed of the weights changes nothing"
    other = np.concatenate(list(split_rows(prepared, Settings(split=split, limit=40, split_seed=1)).values()))
    assert set(used.tolist()) != set(other.tolist())
    everything = split_rows(prepared, Settings(split=split, limit=1000))
    assert sum(map(len, everything.values())) == len(prepared.classes)


def test_too_few_patients_or_slices_are_one_line(toy):
    prepared = open_prepared(toy)
    with pytest.raises(InputError, match=r"toy: .*at least 4 patients.*; try --split image"):
        split_rows(prepared, Settings(split="patient", limit=2))
    with pytest.raises(InputError, match="3 slices are too few, nothing is left for validation"):
        split_rows(prepared, Settings(limit=3))


@given(st.lists(st.integers(0, COUNT - 1), unique=True), st.integers(1, 12), st.integers(0, 99), st.integers(1, 30))
def test_an_epoch_has_every_row_once(rows, batch_size, seed, epoch):
    parts = seen(training_batches(IMAGES, CLASSES, np.array(rows, int), batch_size, seed, epoch))
    assert sorted(itertools.chain(*parts)) == sorted(rows)
    assert all(len(part) == batch_size for part in parts[:-1])


def test_the_order_depends_on_seed_and_epoch_alone():
    rows = np.arange(COUNT)
    first, again, other_epoch, other_seed = (
        seen(training_batches(IMAGES, CLASSES, rows, 8, seed, epoch))
        for seed, epoch in [(0, 1), (0, 1), (0, 2), (1, 1)]
    )
    assert first == again
    assert first != other_epoch
    assert first != other_seed


@given(st.integers(1, COUNT), st.integers(1, 12))
def test_evaluation_is_in_order_and_filled_up(count, batch_size):
    parts = seen(evaluation_batches(IMAGES, CLASSES, np.arange(count), batch_size))
    assert all(len(part) == batch_size for part in parts)
    flat = list(itertools.chain(*parts))
    assert flat[:count] == list(range(count))
    assert set(flat[count:]) <= {count - 1}


def test_leaving_early_ends_the_reader():
    before = threading.active_count()
    batches = training_batches(IMAGES, CLASSES, np.arange(COUNT), 2, 0, 0)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_a_reader_that_fails_is_heard():
    with pytest.raises(IndexError):
        list(training_batches(IMAGES, CLASSES, np.array([COUNT]), 2, 0, 0))
