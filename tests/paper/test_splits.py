import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ich_jax.paper import printed
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.splits import PARTS, small_class_warnings, split_by_image, split_by_patient


def test_table_1_to_the_digit():
    """The label file lists four all-zero images twice. The paper counted them: its total of 'none' is 644,874, while
    only 644,870 are distinct. Its validation and test counts come out on the distinct images alone (⌊644,870 / 4⌋ =
    161,217, but ⌊644,874 / 4⌋ = 161,218), so the four sit in its training part."""
    table = printed.table_1()
    duplicates = {"none": 4}
    distinct = {name: table[name]["total"] - duplicates.get(name, 0) for name in CLASSES}
    assert distinct["none"] == 644_870
    classes = np.repeat(np.arange(len(CLASSES)), [distinct[name] for name in CLASSES])
    split = split_by_image(classes, seed=0)
    for index, name in enumerate(CLASSES):
        counts = {part: int(np.sum(classes[split[part]] == index)) for part in PARTS}
        counts["train"] += duplicates.get(name, 0)
        counts["total"] = sum(counts.values())
        assert counts == table[name], name


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_by_image_every_image_is_in_one_part(classes, seed):
    classes = np.array(classes)
    split = split_by_image(classes, seed)
    assert sorted(np.concatenate(list(split.values()))) == list(range(len(classes)))
    assert all(np.all(np.diff(rows) > 0) for rows in split.values())
    for index in range(6):
        count = np.sum(classes == index)
        assert np.sum(classes[split["validation"]] == index) == np.sum(classes[split["test"]] == index) == count // 4


def test_by_image_the_seed_decides():
    classes = np.zeros(100, int)
    first, again, other = (split_by_image(classes, seed) for seed in (1, 1, 2))
    for part in PARTS:
        np.testing.assert_array_equal(first[part], again[part])
        assert not np.array_equal(first[part], other[part])
        assert np.ptp(first[part]) > 50, "drawn from the whole, not cut off in order"


def make_patients(count=400, seed=0):
    rng = np.random.default_rng(seed)
    classes, patients = [], []
    for patient in range(count):
        slices = rng.integers(20, 41)
        kind = rng.integers(0, 6)
        classes += [kind if rng.random() < 0.3 else 0 for _ in range(slices)]
        patients += [f"ID_{patient}"] * slices
    return np.array(classes), np.array(patients)


def test_by_patient_nobody_is_on_two_sides_and_classes_are_even():
    classes, patients = make_patients()
    split = split_by_patient(classes, patients, seed=0)
    sides = [set(patients[split[part]]) for part in PARTS]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 400
    assert sorted(np.concatenate(list(split.values()))) == list(range(len(classes)))
    assert all(np.all(np.diff(rows) > 0) for rows in split.values())
    for index in range(6):
        total = np.sum(classes == index)
        for part, share in zip(PARTS, (0.5, 0.25, 0.25), strict=True):
            assert abs(np.sum(classes[split[part]] == index) / total - share) < 0.03
    np.testing.assert_array_equal(split["test"], split_by_patient(classes, patients, seed=0)["test"])
    assert not np.array_equal(split["test"], split_by_patient(classes, patients, seed=1)["test"])


@pytest.mark.parametrize(
    ("classes", "patients"), [([], ""), ([0] * 9, "abcabcabc"), ([0, 1, 2, 3], "abcd"), ([0, 0, 0, 1], "abcd")]
)
def test_by_patient_too_few(classes, patients):
    with pytest.raises(ValueError, match="at least 4 patients and 4 slices of one class"):
        split_by_patient(np.array(classes, int), np.array(list(patients), str), seed=0)


def test_by_patient_the_fewest_are_enough_and_nothing_is_warned_of():
    classes, patients = np.array([0, 0, 0, 0, 5]), np.array(list("abcdd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = split_by_patient(classes, patients, seed=0)
    assert [len(set(patients[split[part]])) for part in PARTS] == [2, 1, 1]


def test_small_classes_are_named():
    classes = np.array([0] * 8 + [5] * 2)
    warnings = small_class_warnings(classes, split_by_image(classes, seed=0))
    assert "epidural: 0 in the data, none in any part" in warnings
    assert "subdural: 2 in the data, none in validation or test" in warnings
    assert not any(line.startswith("none:") for line in warnings)
